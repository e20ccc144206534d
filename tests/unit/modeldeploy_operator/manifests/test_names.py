"""
Names and labels are those of ARCHITECTURE.md.
"""

from modeldeploy_operator.manifests import names
from testkit.objects import OWNER


def test_everything_is_named_after_its_owner() -> None:
    """
    A revision's objects, the router's and the routing's each have one name.
    """
    assert OWNER.pool("0a1b2c3d4e") == "mnist-0a1b2c3d4e"
    assert OWNER.router == "mnist-router"
    assert OWNER.routing == "mnist-routing"


def test_the_longest_name_makes_labels_that_fit() -> None:
    """
    A name of 40 characters, the longest that is accepted, leaves room for a revision in 63.
    """
    longest = names.Owner("m" * 40, "vision", "uid")
    assert max(map(len, (longest.pool("0" * 10), longest.router, longest.routing))) <= 63


def test_labels_tell_owner_component_and_revision() -> None:
    """
    Everything carries its deployment, its component and its manager; a pool its revision too.
    """
    assert OWNER.labels(names.SERVER, "0a1b2c3d4e") == {
        "serving.modeldeploy.io/deployment": "mnist",
        "serving.modeldeploy.io/revision": "0a1b2c3d4e",
        "app.kubernetes.io/component": "server",
        "app.kubernetes.io/managed-by": "modeldeploy",
    }
    assert names.REVISION_LABEL not in OWNER.labels(names.ROUTER)


def test_selectors_hold_what_pods_never_lose() -> None:
    """
    A selector leaves out who manages the pods; the scale subresource gets its text.
    """
    assert OWNER.selector(names.ROUTER) == {
        "serving.modeldeploy.io/deployment": "mnist",
        "app.kubernetes.io/component": "router",
    }
    assert OWNER.server_selector_text() == (
        "serving.modeldeploy.io/deployment=mnist,app.kubernetes.io/component=server"
    )


def test_everything_has_one_controller() -> None:
    """
    The garbage collector removes what is made, as its one controller is the ModelDeployment.
    """
    [reference] = OWNER.metadata("x", names.SERVER)["ownerReferences"]
    assert (reference["kind"], reference["uid"]) == ("ModelDeployment", "uid-1")
    assert reference["controller"]
