"""
The table of states.
"""

from modeldeploy_runtime.servables import states
from modeldeploy_runtime.servables.states import State


def test_one_way() -> None:
    """
    From every state the end is reached, and no state is entered twice.
    """
    for state in State:
        seen = [state]
        while following := states.TRANSITIONS[seen[-1]]:
            assert not following & set(seen)
            seen.append(min(following - {State.END}, default=State.END, key=lambda s: s.value))
        assert seen[-1] is State.END


def test_nothing_comes_back() -> None:
    """
    What has ended begins anew as another servable, never as the same one.
    """
    assert not any(states.may_follow(State.END, state) for state in State)
    assert states.may_follow(State.LOADING, State.END)
    assert not states.may_follow(State.AVAILABLE, State.END)
