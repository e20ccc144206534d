"""
Checks that others answer, as a user writes them.
"""

from typing import Any

import pydantic
import pytest

from modeldeploy_operator.analysis.external import External, Source
from testkit.objects import a_spec

WEB = {"url": "https://quality.example.com/api", "jsonPath": "$.rate", "max": 1}
PROMETHEUS = {"server": "http://prometheus.monitoring:9090", "query": "up", "min": 0.5}
JOB = {"template": {"spec": {"containers": [{"name": "test", "image": "i"}]}}}
REPLAY = {"uri": "s3://logs/mnist", "maxMismatch": "0.5%"}


def _criteria(steps: bool = True, **check: Any) -> Any:  # noqa: FBT001, FBT002 - one choice
    rollout: dict[str, Any] = {"analysis": {"checks": [{"name": "it", **check}]}}
    if steps:
        rollout["steps"] = [{"weight": 10}]
    return a_spec(rollout=rollout).rollout.criteria()


@pytest.mark.parametrize(
    ("check", "source", "bounds"),
    [
        ({"web": WEB}, Source.WEB, (None, 1)),
        ({"prometheus": PROMETHEUS}, Source.PROMETHEUS, (0.5, None)),
        ({"job": JOB}, Source.JOB, (1.0, None)),
        ({"replay": REPLAY}, Source.REPLAY, (None, 0.005)),
    ],
)
def test_each_kind_in_the_analysis_own_terms(
    check: dict[str, Any], source: Source, bounds: tuple[float | None, float | None]
) -> None:
    """
    With its bounds; checks of what was counted stay apart.
    """
    criteria = _criteria(**check)
    (found,) = criteria.external
    assert isinstance(found, External)
    assert (found.name, found.source, (found.min, found.max)) == ("it", source, bounds)
    assert criteria.checks == ()
    assert criteria.failure_limit == 2


@pytest.mark.parametrize(
    ("check", "words"),
    [
        ({"web": {**WEB, "url": "http://x/{{who}}"}}, "may stand in double braces"),
        ({"prometheus": {**PROMETHEUS, "query": "{{canary}"}}, "may stand in double braces"),
        ({"web": {"url": "http://x/", "jsonPath": "$"}}, "max, min or both"),
        ({"web": {**WEB, "jsonPath": "$..rate"}}, "jsonPath"),
        ({"web": {**WEB, "jsonPath": "$[*]"}}, "jsonPath"),
        ({"web": WEB, "job": JOB}, "exactly one kind"),
        ({"job": {"template": {"spec": {}}}}, "at least one container"),
        ({"job": {"template": {"spec": {"containers": ["x"]}}}}, "a list of containers"),
        (
            {"job": {"template": {"spec": {"containers": [{"name": "a", "env": {"x": 1}}]}}}},
            "a list of variables",
        ),
        ({"replay": {**REPLAY, "tolerance": 2}}, "less than or equal to 1"),
    ],
)
def test_what_cannot_be_asked(check: dict[str, Any], words: str) -> None:
    """
    Also the operator refuses what slipped past the API server.
    """
    with pytest.raises(pydantic.ValidationError, match=words):
        _criteria(**check)


@pytest.mark.parametrize("query", ["sum by (a) (up{a='b'})", "up{v='{{canary}}'}", "x{", "{"])
def test_single_braces_are_promqls(query: str) -> None:
    """
    Only double ones are placeholders.
    """
    assert _criteria(prometheus={**PROMETHEUS, "query": query}).external
