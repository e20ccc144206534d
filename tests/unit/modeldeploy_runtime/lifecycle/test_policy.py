"""
The policy that never leaves a model without a version while one is wanted.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeldeploy_runtime.lifecycle.policy import Action, Verb, VersionSnapshot, next_action
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
    assert next_action([VersionSnapshot(*version) for version in versions]) == action


SNAPSHOTS = st.dictionaries(
    st.integers(1, 6), st.tuples(st.sampled_from(State), st.booleans()), max_size=6
)


@given(SNAPSHOTS)
def test_it_comes_to_an_end(versions: dict[int, tuple[State, bool]]) -> None:
    """
    Done again and again, the policy ends with what is wanted and never takes the last answer away.
    """
    for _ in range(4 * len(versions) + 1):
        snapshots = [VersionSnapshot(v, *rest) for v, rest in versions.items()]
        answering = sum(snapshot.state is AVAILABLE for snapshot in snapshots)
        action = next_action(snapshots)
        if action is None:
            waiting = [v for v, (state, _) in versions.items() if state is LOADING]
            if not waiting:
                break
            versions[waiting[0]] = (AVAILABLE, versions[waiting[0]][1])
            continue
        state, aspired = versions[action.version]
        after = LOADING if action.verb is Verb.LOAD else State.UNLOADING
        assert states.may_follow(state, after)
        assert aspired is (action.verb is Verb.LOAD)
        if action.verb is Verb.UNLOAD and any(wanted for _, wanted in versions.values()):
            assert answering > 1
        versions[action.version] = (after if after is LOADING else END, aspired)
    assert not any(state is START and wanted for state, wanted in versions.values())
