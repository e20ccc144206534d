"""
The two policies: one never leaves a model without an answer, one never holds two versions.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeldeploy_runtime.lifecycle import availability_preserving, resource_preserving
from modeldeploy_runtime.lifecycle.policy import Action, Policy, Verb, VersionSnapshot
from modeldeploy_runtime.servables import states
from modeldeploy_runtime.servables.states import State

START, LOADING, AVAILABLE, END = State.START, State.LOADING, State.AVAILABLE, State.END


def _load(version: int) -> Action:
    return Action(Verb.LOAD, version)


def _unload(version: int) -> Action:
    return Action(Verb.UNLOAD, version)


@pytest.mark.parametrize(
    ("versions", "action"),
    [
        # Nothing is known: nothing is done.
        ([], None),
        # The highest wanted version is loaded first.
        ([(1, START, True), (2, START, True)], _load(2)),
        # One at a time.
        ([(1, START, True), (2, LOADING, True)], None),
        # The old version stays until the new one answers.
        ([(1, AVAILABLE, False), (2, START, True)], _load(2)),
        ([(1, AVAILABLE, False), (2, LOADING, True)], None),
        ([(1, AVAILABLE, False), (2, AVAILABLE, True)], _unload(1)),
        # It stays too when the new one cannot be loaded.
        ([(1, AVAILABLE, False), (2, END, True)], None),
        # Of two old versions the lower one may go early.
        ([(1, AVAILABLE, False), (2, AVAILABLE, False), (3, START, True)], _unload(1)),
        # Nothing is wanted: everything goes.
        ([(1, AVAILABLE, False)], _unload(1)),
        # What nobody wants is not loaded.
        ([(1, START, False)], None),
    ],
)
def test_cases(versions: list[tuple[int, State, bool]], action: Action | None) -> None:
    """
    The case in the comment has this action.
    """
    snapshots = [VersionSnapshot(*version) for version in versions]
    assert availability_preserving.next_action(snapshots) == action


@pytest.mark.parametrize(
    ("versions", "action"),
    [
        ([], None),
        ([(1, START, True), (2, START, True)], _load(2)),
        ([(1, START, True), (2, LOADING, True)], None),
        # The old version goes first, and the new one comes when it is gone.
        ([(1, AVAILABLE, False), (2, START, True)], _unload(1)),
        ([(1, State.UNLOADING, False), (2, START, True)], None),
        ([(1, END, False), (2, START, True)], _load(2)),
        # A load that nobody wants any more holds memory, too.
        ([(1, LOADING, False), (2, START, True)], None),
        # What is wanted stays.
        ([(1, AVAILABLE, True), (2, START, True)], _load(2)),
        ([(1, AVAILABLE, False)], _unload(1)),
    ],
)
def test_resource_preserving(
    versions: list[tuple[int, State, bool]], action: Action | None
) -> None:
    """
    The case in the comment has this action.
    """
    snapshots = [VersionSnapshot(*version) for version in versions]
    assert resource_preserving.next_action(snapshots) == action


SNAPSHOTS = st.dictionaries(
    st.integers(1, 6), st.tuples(st.sampled_from(State), st.booleans()), max_size=6
)


ENDS = {LOADING: AVAILABLE, State.UNLOADING: END}
"""What becomes of a version that is under way."""


def _is_covered(versions: dict[int, tuple[State, bool]]) -> bool:
    return sum(state is AVAILABLE for state, _ in versions.values()) > 1


def _is_alone(versions: dict[int, tuple[State, bool]]) -> bool:
    return not any(s in {AVAILABLE, State.UNLOADING} and not w for s, w in versions.values())


@pytest.mark.parametrize(
    "next_action", [availability_preserving.next_action, resource_preserving.next_action]
)
@given(versions=SNAPSHOTS)
def test_it_comes_to_an_end(next_action: Policy, versions: dict[int, tuple[State, bool]]) -> None:
    """
    Done again and again, a policy ends with what is wanted and never breaks its promise on the way.
    """
    preserves_answers = next_action is availability_preserving.next_action
    versions = dict(sorted(versions.items()))
    for _ in range(5 * len(versions) + 1):
        snapshots = [VersionSnapshot(v, *rest) for v, rest in versions.items()]
        action = next_action(snapshots)
        if action is None:
            waiting = [v for v, (state, _) in versions.items() if state in ENDS]
            if not waiting:
                break
            state, aspired = versions[waiting[0]]
            versions[waiting[0]] = (ENDS[state], aspired)
            continue
        state, aspired = versions[action.version]
        after = LOADING if action.verb is Verb.LOAD else State.UNLOADING
        assert states.may_follow(state, after)
        assert aspired is (action.verb is Verb.LOAD)
        if action.verb is Verb.UNLOAD and any(wanted for _, wanted in versions.values()):
            assert _is_covered(versions) or not preserves_answers
        if action.verb is Verb.LOAD:
            assert _is_alone(versions) or preserves_answers
        versions[action.version] = (after, aspired)
    assert not any(state is START and wanted for state, wanted in versions.values())
