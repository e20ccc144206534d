"""
The objects of shared pods: a template without a version, the list, and the routing to them.
"""

import json
from typing import Any

from modeldeploy_operator.manifests import shared
from modeldeploy_operator.manifests.entrance.routing import build_routing
from modeldeploy_operator.manifests.shared import Listed
from modeldeploy_operator.rollout.snapshot import Routing
from testkit.objects import IMAGES, NOW, OWNER, a_spec, a_spec_dict

HOME = "pr1"
ENTRIES = (Listed("r1", "1"), Listed("r2", "2"))
INTERFACES = {"r2": {"metadata.json": "{}"}, "r1": {"waived": "It has no ready pod."}}


def listed(**model: Any) -> dict[str, Any]:
    """
    Build the list of two versions, and read what is in the ConfigMap.
    """
    spec = a_spec(model={**a_spec_dict(2)["model"], **model})
    built = shared.build_list(OWNER, spec, HOME, ENTRIES, ({"r1": "sha256:1"}, INTERFACES))
    assert built["metadata"]["name"] == "mnist-pr1-versions"
    assert shared.read_list(built) == ENTRIES
    data: dict[str, Any] = built["data"]
    return data


def test_the_template_of_shared_pods_names_no_version() -> None:
    """
    So no version changes it; the follower alone gets the Secret; the server serves all there is.
    """
    secret = {"uri": "pvc://models/mnist", "version": 1, "secretName": "s3-read"}
    gpu: dict[str, Any] = {"resources": {"limits": {"nvidia.com/gpu": 1}}}
    templates = [
        shared.build_template(OWNER, a_spec(model={**secret, "version": n}, **gpu), HOME, IMAGES)
        for n in (1, 2)
    ]
    assert templates[0] == templates[1]
    within = templates[0]["spec"]
    assert "initContainers" not in within
    server, follow = within["containers"]
    assert (server["name"], follow["name"]) == ("server", "follow")
    assert "envFrom" in follow
    assert follow["resources"] == shared.FOLLOWER
    assert server["resources"] == {"limits": {"nvidia.com/gpu": "1"}}
    assert "envFrom" not in server
    assert follow["args"][0] == "follow"
    assert not any("base_path" in argument for argument in server["args"])
    assert "--model_config_file=/etc/modeldeploy/serving/models.config" in server["args"]
    assert server["args"].count("--version_names=any") == 1
    mounted = {container["name"]: container["volumeMounts"] for container in (server, follow)}
    for mounts in mounted.values():
        assert "interface" not in {mount["name"] for mount in mounts}
        assert "serving" in {mount["name"] for mount in mounts}
    assert {"name": "serving", "configMap": {"name": "mnist-pr1-versions"}} in within["volumes"]


def test_the_list_says_what_each_version_must_be() -> None:
    """
    The recorded digest, or else the user's for the wanted version; and what it is compared with.
    """
    data = listed(digest="sha256:" + "2" * 64, signatures={"required": ["serving_default"]})
    first, second = json.loads(data["versions.json"])["versions"]
    assert (first["digest"], second["digest"]) == ("sha256:1", "sha256:" + "2" * 64)
    assert second["against"] == "interface-r2.json"
    assert data["interface-r2.json"] == "{}"
    assert "against" not in first
    assert second["required"] == ["serving_default"]
    assert 'base_path: "/models/mnist"' in data["models.config"]


def test_a_comparison_that_is_off_is_not_on_the_list() -> None:
    """
    Then nothing is compared, whatever was learned before.
    """
    data = listed(signatures={"compatibility": "Off"})
    assert all("against" not in e for e in json.loads(data["versions.json"])["versions"])
    assert set(data) == {"versions.json", "models.config"}


def test_what_is_no_list_holds_nothing() -> None:
    """
    A list that is not there yet, or that somebody broke, asks for no version.
    """
    assert shared.read_list(None) == ()
    assert shared.read_list({"data": {"versions.json": "no"}}) == ()


def test_the_routing_leads_to_shared_pods() -> None:
    """
    The slots of revisions in shared pods say so; those of others stay as they are.
    """
    built = build_routing(OWNER, "mnist", Routing({"a": "r1", "b": "r3"}, "r1"), 1, {})
    led = shared.lead(OWNER, built, {"r1": HOME})
    slots = json.loads(led["data"]["routing.json"])["slots"]
    assert (slots["a"]["service"], slots["a"]["shared"]) == ("mnist-pr1", True)
    assert (slots["b"]["service"], slots["b"].get("shared")) == ("mnist-r3", None)


def test_a_pod_is_told_of_each_list_and_again_while_it_has_not_read_it() -> None:
    """
    The kubelet may have looked before it knew of the list; without a list nobody is told.
    """
    pod: dict[str, Any] = {"metadata": {"name": "mnist-p1-x", "uid": "u"}}
    first, second = {"data": {"versions.json": "1"}}, {"data": {"versions.json": "2"}}
    mark = shared.build_mark(pod, first, NOW)
    assert mark
    assert mark["metadata"]["uid"] == "u"
    marked = {"metadata": {**pod["metadata"], **mark["metadata"]}}
    assert shared.build_mark(marked, first, NOW) is None
    assert shared.build_mark(marked, first, NOW + shared.READ_AGAIN) not in (None, mark)
    assert shared.build_mark(marked, second, NOW) not in (None, mark)
    assert shared.build_mark(pod, None, NOW) is None
