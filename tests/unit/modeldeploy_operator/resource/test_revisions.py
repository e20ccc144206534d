"""
Revisions: golden hashes for ever, and which edits reach a pod.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from modeldeploy_operator.resource import revisions
from modeldeploy_operator.resource.spec import ModelDeploymentSpec
from testkit.objects import a_spec, a_spec_dict

GOLDEN: dict[str, dict[str, Any]] = json.loads(
    (Path(__file__).parent.parent / "testdata" / "revisions.json").read_text(encoding="utf-8")
)
NAME = "mnist"


@pytest.mark.parametrize("title", list(GOLDEN))
def test_a_hash_never_changes(title: str) -> None:
    """
    A revision keeps its hash through every release; no option writes this file anew.

    A change here would replace every model pod of every user at an upgrade.
    """
    golden = GOLDEN[title]
    spec = ModelDeploymentSpec.model_validate(golden["spec"])
    assert revisions.revision_of(spec, NAME).revision == golden["revision"]


def test_no_two_golden_specs_share_a_revision() -> None:
    """
    Every field that reaches a pod tells revisions apart.
    """
    hashes = [golden["revision"] for golden in GOLDEN.values()]
    assert len(set(hashes)) == len(hashes)


@pytest.mark.parametrize(
    "changes",
    [
        {"replicas": 7},
        {"rollout": {"steps": [{"weight": 1}], "progressDeadline": "1h", "paused": True}},
        {"traffic": {"router": {"replicas": 3, "resources": {"limits": {"memory": "1Gi"}}}}},
        {"resources": {"requests": {}, "limits": {}}},
        {"server": {"args": []}},
    ],
)
def test_what_reaches_no_pod_makes_no_revision(changes: dict[str, Any]) -> None:
    """
    Replicas, rollout, traffic, and defaults that are written out leave the revision as it is.
    """
    assert revisions.revision_of(a_spec(**changes), NAME) == revisions.revision_of(a_spec(), NAME)


def test_the_model_name_reaches_the_pod() -> None:
    """
    A model that is named as its object by hand is the same; another object's model is another.
    """
    named = ModelDeploymentSpec.model_validate({"model": {**a_spec_dict()["model"], "name": NAME}})
    assert revisions.revision_of(named, NAME) == revisions.revision_of(a_spec(), NAME)
    assert revisions.revision_of(a_spec(), "other") != revisions.revision_of(a_spec(), NAME)


def test_a_number_and_its_text_are_one_version() -> None:
    """
    A version of 3 and of "3" are the same folder, and the same revision.
    """
    assert revisions.revision_of(a_spec(3), NAME) == revisions.revision_of(a_spec("3"), NAME)
    assert revisions.revision_of(a_spec("03"), NAME) != revisions.revision_of(a_spec(3), NAME)
    assert revisions.revision_of(a_spec(3), NAME).version == "3"
