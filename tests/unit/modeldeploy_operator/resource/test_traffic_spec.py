"""
Versions that are served for good, and rules by header: from what a user writes to what is wanted.
"""

from typing import Any

import pydantic
import pytest

from modeldeploy_operator.resource import revisions
from modeldeploy_operator.resource.spec import ModelDeploymentSpec
from modeldeploy_operator.resource.wanted import read_wanted
from modeldeploy_operator.rollout.decision import Wanted
from modeldeploy_operator.rollout.memory import Standing
from modeldeploy_operator.rollout.snapshot import NO_RULES, Match, Rules

URI = "s3://models/mnist"


def wanted(model: dict[str, Any] | None = None, traffic: dict[str, Any] | None = None) -> Wanted:
    """
    Read an object of version 3.
    """
    spec = {"model": {"uri": URI, "version": 3, **(model or {})}, "traffic": traffic or {}}
    body = {"metadata": {"name": "mnist"}, "spec": spec}
    return read_wanted(body, ModelDeploymentSpec.model_validate(spec))


def test_a_version_served_for_good_is_the_revision_that_it_would_be_alone() -> None:
    """
    Its hash is that of the same object with its version, the digest of the wanted one apart.
    """
    entry = {"version": 2, "replicas": 2, "labels": ["experiment"], "weight": 10}
    found = wanted({"alsoServe": [entry], "keepVersions": 1, "digest": f"sha256:{'0' * 64}"})
    alone = ModelDeploymentSpec.model_validate({"model": {"uri": URI, "version": 2}})
    revision = revisions.revision_of(alone, "mnist")
    assert found.also == (Standing(revision, 2, ("experiment",), 1000),)
    assert found.keep == 1


def test_they_make_no_revision_of_the_wanted_version() -> None:
    """
    What is served beside it, and rules by header, restart nothing.
    """
    plain = wanted()
    busy = wanted({"alsoServe": [{"version": 1}]}, {"sticky": {"header": "x-user-id"}})
    assert plain.revision == busy.revision
    assert (plain.also, plain.rules) == ((), NO_RULES)


def test_rules_by_header() -> None:
    """
    Rules keep their order; who is meant is written as the routers write it.
    """
    rule = {"name": "beta", "headers": {"x-cohort": "beta"}, "to": "Canary"}
    found = wanted(traffic={"match": [rule], "sticky": {"cookie": "SID"}}).rules
    assert found == Rules((Match("beta", {"x-cohort": "beta"}, "canary"),), ("cookie", "SID"))
    assert wanted(traffic={"sticky": {"header": "x-u"}}).rules.sticky == ("header", "x-u")


@pytest.mark.parametrize("sticky", [{}, {"header": "x-u", "cookie": "SID"}])
def test_sticky_is_one_thing(sticky: dict[str, str]) -> None:
    """
    A header or a cookie, and not both.
    """
    with pytest.raises(pydantic.ValidationError, match="a header or a cookie"):
        wanted(traffic={"sticky": sticky})


@pytest.mark.parametrize("name", ["", "X-Cohort", "x cohort", "x;y", "x=y", "-x", "x" * 65])
def test_a_headers_name_is_written_in_lower_case(name: str) -> None:
    """
    Anything else would not be found in a request, or be read as something else by the routers.
    """
    rule = {"name": "beta", "headers": {name: "beta"}, "to": "Canary"}
    with pytest.raises(pydantic.ValidationError, match="no header's name in lower case"):
        wanted(traffic={"match": [rule]})
