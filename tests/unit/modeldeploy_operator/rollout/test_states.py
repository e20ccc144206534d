"""
The table of states is closed, and every state can be reached and left.
"""

from modeldeploy_operator.rollout.states import TRANSITIONS, State, diagram


def test_every_state_has_its_followers() -> None:
    """
    The table names every state, and from each one the steady state can be reached.
    """
    assert set(TRANSITIONS) == set(State)
    for start in State:
        reached = {start}
        for _ in State:
            reached |= {after for state in reached for after in TRANSITIONS[state]}
        assert State.STEADY in reached, start


def test_the_diagram_shows_every_way_once() -> None:
    """
    The diagram has one arrow for each way between two different states.
    """
    first, *arrows = diagram().splitlines()
    ways = {(a, b) for a, after in TRANSITIONS.items() for b in after if a != b}
    assert first == "stateDiagram-v2"
    assert len(arrows) == len(ways)
    assert set(arrows) == {f"    {a} --> {b}" for a, b in ways}
