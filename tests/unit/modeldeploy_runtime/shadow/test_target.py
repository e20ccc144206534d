"""
Targets as they are set over the control port; the contract tests show the refusals.
"""

import pytest

from modeldeploy_runtime.servables.errors import InvalidArgumentError
from modeldeploy_runtime.shadow import target
from modeldeploy_runtime.shadow.target import Target

WRITTEN = {
    "name": "r2-1a2b",
    "model": "m",
    "address": "m-r2.vision.svc:8500",
    "percent": 10,
    "tolerance": 0.001,
}


def test_a_target_is_read_and_written() -> None:
    """
    What was set is what is told.
    """
    read = target.read(WRITTEN)
    assert read == Target("r2-1a2b", "m", "m-r2.vision.svc:8500", 10.0, 0.001)
    assert read.as_json() == WRITTEN
    assert target.read(read.as_json()) == read


@pytest.mark.parametrize(
    "change",
    [
        {"name": ""},
        {"name": "-"},
        {"name": 1},
        {"address": "m-r2"},
        {"address": "http://m:1"},
        {"percent": 100.1},
        {"percent": True},
        {"percent": 10**400},
        {"tolerance": float("nan")},
        {"tolerance": -0.1},
        {"more": 1},
    ],
)
def test_a_wrong_field_is_refused(change: dict[str, object]) -> None:
    """
    With a sentence.
    """
    with pytest.raises(InvalidArgumentError, match="target"):
        target.read({**WRITTEN, **change})
