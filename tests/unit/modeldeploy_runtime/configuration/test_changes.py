"""
What one configuration changes in another, and what it must not.
"""

from collections.abc import Mapping
from typing import Any

import pytest

from modeldeploy_runtime.configuration import changes
from modeldeploy_runtime.configuration.changes import Change
from modeldeploy_runtime.servables import ids
from modeldeploy_runtime.servables.errors import Code
from modeldeploy_runtime.servables.states import State, VersionStatus
from modeldeploy_runtime.sources.models import ServedModel
from modeldeploy_runtime.sources.request_logging import RequestLogging
from modeldeploy_runtime.sources.version_policy import All, Specific

A, B = "/a", "/b"
LOGGED = RequestLogging("/log", 1.0)


def _model(path: str = A, **more: Any) -> ServedModel:
    return ServedModel("m", path, **more)


@pytest.mark.parametrize(
    ("old", "new", "change"),
    [
        (None, _model(), Change.ADDED),
        (_model(), None, Change.REMOVED),
        (_model(), _model(), Change.UNCHANGED),
        (_model(), _model(B), Change.MOVED),
        (_model(), _model(policy=All()), Change.MOVED),
        (_model(), _model(labels={"a": 1}), Change.ADJUSTED),
        (_model(), _model(logging=LOGGED), Change.ADJUSTED),
        (_model(labels={"a": 1}), _model(B, labels={"a": 2}), Change.MOVED),
    ],
)
def test_between(old: ServedModel | None, new: ServedModel | None, change: Change) -> None:
    """
    A model is added, moved, adjusted, removed or left alone.
    """
    before, after = ({model.name: model} if model else {} for model in (old, new))
    assert changes.between(before, after) == {"m": change}


@pytest.mark.parametrize("change", Change)
def test_what_is_waited_for(change: Change) -> None:
    """
    Only what is added or moved brings versions that somebody may wait for.
    """
    assert change.is_new == (change in {Change.ADDED, Change.MOVED})


def _faults(
    old: ServedModel | None,
    new: ServedModel,
    states: Mapping[int, State] | None = None,
    *,
    any_label: bool = False,
) -> list[tuple[Code, str]]:
    known = [VersionStatus(version, state) for version, state in (states or {}).items()]
    before = {old.name: old} if old else {}
    found = changes.faults(before, {new.name: new}, lambda _: known, any_label=any_label)
    return [(fault.code, fault.message) for fault in found]


def test_a_platform_stays() -> None:
    """
    A model keeps its platform.
    """
    assert _faults(_model(), _model(platform="onnx")) == [
        (
            Code.INVALID_ARGUMENT,
            (
                "Illegal to change a model's platform. For model m platform was tensorflow and new "
                "platform requested is onnx"
            ),
        )
    ]


REFUSED = (
    Code.FAILED_PRECONDITION,
    (
        "Request to assign label to version 2 of model m, which is not currently available for "
        "inference"
    ),
)
LABELLED = _model(labels={"a": 2})


@pytest.mark.parametrize(
    ("old", "new", "states", "refusals"),
    [
        # It answers, or is on its way.
        (_model(), LABELLED, {2: State.AVAILABLE}, []),
        (_model(), LABELLED, {2: State.LOADING}, []),
        # It is gone, or nobody knows it.
        (_model(), LABELLED, {2: State.END}, [REFUSED]),
        (_model(), LABELLED, {1: State.AVAILABLE}, [REFUSED]),
        # Nobody has looked yet.
        (None, LABELLED, {}, []),
        (_model(B), LABELLED, {}, []),
        # The policy says whether it will be there.
        (_model(), _model(labels={"a": 2}, policy=Specific(frozenset({2}))), {}, []),
        (None, _model(labels={"a": 2}, policy=Specific(frozenset({1}))), {}, [REFUSED]),
        # It was so before.
        (LABELLED, LABELLED, {}, []),
        (_model(labels={"a": 1}), LABELLED, {}, [REFUSED]),
    ],
)
def test_labels(
    old: ServedModel | None, new: ServedModel, states: Mapping[int, State], refusals: list[Any]
) -> None:
    """
    A label may name a version that answers or is expected to, and no other.
    """
    assert _faults(old, new, states) == refusals


def test_any_label() -> None:
    """
    With the flag a new label may name any version, and one that moves may not.
    """
    assert _faults(_model(), LABELLED, any_label=True) == []
    assert _faults(_model(labels={"a": 1}), LABELLED, any_label=True) == [REFUSED]


def test_a_label_is_no_version() -> None:
    """
    A label that is called as a version of its model is refused, by number and by name.
    """
    named = VersionStatus(ids.version_number("spring"), State.LOADING, name="spring")
    known = [VersionStatus(7, State.AVAILABLE, name="007"), named]
    for label in ("7", "spring"):
        new = {"m": _model(labels={label: 7})}
        found = changes.faults({"m": _model()}, new, lambda _: known, any_label=True)
        assert [(fault.code, fault.message) for fault in found] == [
            (
                Code.INVALID_ARGUMENT,
                f'Model m has the label "{label}", which is one of its versions.',
            )
        ]
    new = {"m": _model(labels={"007": 7})}
    assert not list(changes.faults({"m": _model()}, new, lambda _: known, any_label=True))
