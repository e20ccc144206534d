"""
Applying: only what differs is written, what is left out goes, and nobody else's is touched.
"""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeldeploy_operator.cluster.apply import Applier, contains, key_of
from modeldeploy_operator.cluster.port import ConflictError, GoneError
from testkit.fake_kube import FakeKube
from testkit.objects import OWNER

SERVICES = "/api/v1/namespaces/vision/services"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=12,
)


def _service(name: str = "mnist", **spec: Any) -> dict[str, Any]:
    metadata = OWNER.metadata(name, "router")
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}


def _children(kube: FakeKube) -> dict[tuple[str, str], dict[str, Any]]:
    return {key_of(item): item for item in kube.objects.values()}


@given(JSON)
def test_everything_contains_itself(value: Any) -> None:
    """
    An object that came back unchanged needs no write.
    """
    assert contains(value, value)


@given(
    st.dictionaries(st.text(max_size=3), JSON), st.dictionaries(st.text(min_size=4), st.integers())
)
def test_what_the_server_adds_does_not_count(wanted: dict[str, Any], added: dict[str, Any]) -> None:
    """
    Fields that nobody asked for change nothing.
    """
    assert contains({**wanted, **added}, wanted)


@pytest.mark.parametrize(
    ("live", "wanted", "there"),
    [
        ({"a": 1}, {"a": 2}, False),
        ({}, {"a": 1}, False),
        ({"a": [1, 2]}, {"a": [1]}, False),
        ({"a": [1]}, {"a": [2]}, False),
        ({"a": [{"b": 1, "c": 2}]}, {"a": [{"b": 1}]}, True),
        ({}, {"a": []}, True),
        ({}, {"a": {}}, True),
        ({"a": "text"}, {"a": [1]}, False),
        ({"a": 1}, {"a": {"b": 1}}, False),
        (None, {"a": 1}, False),
    ],
)
def test_what_is_wanted_must_be_there(live: Any, wanted: Any, there: bool) -> None:  # noqa: FBT001 - a table
    """
    Values must be equal, lists as long; empty lists and objects may be left out by the server.
    """
    assert contains(live, wanted) == there


async def test_only_what_differs_is_written() -> None:
    """
    The first apply writes, the second finds nothing to do, and a change writes again.
    """
    kube = FakeKube()
    applier = Applier(kube)
    assert await applier.apply(OWNER, [_service(a=1), _service("mnist-v1")], {}) == 2
    assert await applier.apply(OWNER, [_service(a=1), _service("mnist-v1")], _children(kube)) == 0
    assert await applier.apply(OWNER, [_service(a=2), _service("mnist-v1")], _children(kube)) == 1
    assert len(kube.writes) == 3


async def test_a_restarted_operator_writes_nothing_that_is_there() -> None:
    """
    What was written before is compared by content, so a restart causes no write.
    """
    kube = FakeKube()
    await Applier(kube).apply(OWNER, [_service(a=1)], {})
    assert await Applier(kube).apply(OWNER, [_service(a=1)], _children(kube)) == 0


async def test_another_spelling_is_not_fought_over() -> None:
    """
    A value that the server spells in another way is written once and then left alone.
    """
    kube = FakeKube()
    applier = Applier(kube)
    await applier.apply(OWNER, [_service(cpu="1000m")], {})
    path = f"{SERVICES}/mnist"
    kube.objects[path]["spec"]["cpu"] = "1"
    assert await applier.apply(OWNER, [_service(cpu="1000m")], _children(kube)) == 0
    kube.put(path, {**kube.objects[path], "spec": {"cpu": "7"}})
    assert await applier.apply(OWNER, [_service(cpu="1000m")], _children(kube)) == 1


async def test_a_forgotten_owner_is_compared_anew() -> None:
    """
    What was remembered for an owner that is gone is dropped; others' is kept.
    """
    kube = FakeKube()
    applier = Applier(kube)
    await applier.apply(OWNER, [_service(cpu="1000m")], {})
    kube.objects[f"{SERVICES}/mnist"]["spec"]["cpu"] = "1"
    applier.forget(OWNER.namespace, "somebody-else")
    assert await applier.apply(OWNER, [_service(cpu="1000m")], _children(kube)) == 0
    applier.forget(OWNER.namespace, OWNER.name)
    assert await applier.apply(OWNER, [_service(cpu="1000m")], _children(kube)) == 1


async def test_what_the_plan_leaves_out_goes() -> None:
    """
    A child without a place in the plan is deleted, and one that is gone already is no error.
    """
    kube = FakeKube()
    applier = Applier(kube)
    await applier.apply(OWNER, [_service(), _service("mnist-v1")], {})
    children = _children(kube)
    assert await applier.apply(OWNER, [_service()], children) == 1
    assert list(kube.objects) == [f"{SERVICES}/mnist"]
    assert await applier.apply(OWNER, [_service()], children) == 1


async def test_anothers_object_is_never_applied_over() -> None:
    """
    An object of that name without our reference is named, and stays as it is.
    """
    kube = FakeKube()
    kube.put(f"{SERVICES}/mnist", {"metadata": {"name": "mnist"}, "spec": {"mine": True}})
    taken = await Applier(kube).find_taken(OWNER, [_service("other"), _service()], {})
    assert taken is not None
    assert taken.startswith("A Service named mnist exists in namespace vision and was not made")
    assert kube.writes == []


async def test_a_predecessors_object_is_waited_for() -> None:
    """
    What a deleted ModelDeployment of the same name leaves is about to go: a conflict, no trouble.
    """
    kube = FakeKube()
    predecessor = {**OWNER.reference(), "uid": "uid-0"}
    kube.put(f"{SERVICES}/mnist", {"metadata": {"ownerReferences": [predecessor]}})
    with pytest.raises(ConflictError, match="is still being removed"):
        await Applier(kube).find_taken(OWNER, [_service()], {})


async def test_an_object_that_lost_its_label_is_taken_back() -> None:
    """
    An object that is ours by reference, and was not listed, is written again.
    """
    kube = FakeKube()
    kube.put(f"{SERVICES}/mnist", {"metadata": {"ownerReferences": [OWNER.reference()]}})
    assert await Applier(kube).find_taken(OWNER, [_service()], {}) is None
    assert await Applier(kube).apply(OWNER, [_service()], {}) == 1


async def test_what_was_listed_is_not_asked_for_again() -> None:
    """
    A name whose object is a child of ours costs no request.
    """
    kube = FakeKube()
    kube.refuse("GET", f"{SERVICES}/mnist", ConflictError("nobody asks"))
    children = {key_of(_service()): _service()}
    assert await Applier(kube).find_taken(OWNER, [_service()], children) is None


async def test_a_refused_deletion_is_an_error() -> None:
    """
    Only an object that is gone may fail to be deleted.
    """
    kube = FakeKube()
    kube.refuse("DELETE", f"{SERVICES}/mnist", ConflictError("no"))
    with pytest.raises(ConflictError):
        await Applier(kube).apply(OWNER, [], {key_of(_service()): _service()})
    kube.refuse("DELETE", f"{SERVICES}/mnist", GoneError("gone"))
    assert await Applier(kube).apply(OWNER, [], {key_of(_service()): _service()}) == 1


async def test_an_old_decision_does_not_move_traffic() -> None:
    """
    A routing that another operator has written since is not written over.
    """
    kube = FakeKube()
    applier = Applier(kube)
    metadata = OWNER.metadata(OWNER.routing, "router")
    routing = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"a": "1"}}
    await applier.apply(OWNER, [routing], {})
    seen = _children(kube)
    await applier.apply(OWNER, [{**routing, "data": {"a": "2"}}], seen)
    with pytest.raises(ConflictError):
        await Applier(kube).apply(OWNER, [{**routing, "data": {"a": "3"}}], seen)
    [stored] = kube.objects.values()
    assert stored["data"] == {"a": "2"}
