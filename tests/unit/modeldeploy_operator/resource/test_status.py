"""
The memory survives its way through the status, whatever it holds.
"""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from modeldeploy_operator.resource.status import dump_memory, load_memory
from modeldeploy_operator.rollout.memory import (
    Canary,
    Chapter,
    Memory,
    Outcome,
    Rejected,
    Revision,
    Undo,
    Withdrawal,
)
from testkit.objects import NOW

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
WHEN = st.datetimes(
    datetime(2000, 1, 1),  # noqa: DTZ001 - hypothesis adds the time zone
    datetime(2100, 1, 1),  # noqa: DTZ001 - hypothesis adds the time zone
    timezones=st.just(UTC),
)
REVISION = st.builds(Revision, TEXT, TEXT)
OUTCOME = st.sampled_from(Outcome)
CANARY = st.builds(
    Canary,
    revision=REVISION,
    step=st.integers(0, 20),
    steps_hash=TEXT,
    started_at=WHEN,
    step_started_at=st.none() | WHEN,
    approved=st.booleans(),
    released=st.booleans(),
    full=st.booleans(),
    had_traffic=st.booleans(),
    waiting_since=st.none() | WHEN,
    waited=st.floats(0, 1e9),
    most_ready=st.integers(0, 1_000),
    withdrawal=st.none() | st.builds(Withdrawal, OUTCOME, TEXT, TEXT),
)
MEMORY = st.builds(
    Memory,
    stable=st.none() | REVISION,
    canary=st.none() | CANARY,
    rejected=st.none() | st.builds(Rejected, TEXT, TEXT, TEXT),
    undo=st.none() | st.builds(Undo, REVISION, TEXT),
    paused_since=st.none() | WHEN,
    first_started_at=st.none() | WHEN,
    refusal=TEXT,
)


@given(MEMORY)
def test_what_is_dumped_is_loaded(memory: Memory) -> None:
    """
    A memory that goes through JSON comes back as it was.
    """
    stored = json.loads(json.dumps({"rollout": dump_memory(memory)}))
    assert load_memory(stored) == memory


def test_an_empty_memory_takes_no_room() -> None:
    """
    A memory of nothing is an empty object, and an empty status is a memory of nothing.
    """
    assert dump_memory(Memory()) == {}
    assert load_memory({}) == Memory()
    assert load_memory({"rollout": None, "history": None}) == Memory()


def test_history_and_action_stand_in_the_status_proper() -> None:
    """
    The history and the handled action are for people too, so they are not said twice.
    """
    chapter = Chapter("v1", "1", Outcome.PROMOTED, NOW, NOW, "")
    memory = Memory(handled_action="retry@v1", history=(chapter,))
    assert dump_memory(memory) == {}
    entry = {
        "revision": "v1",
        "version": "1",
        "outcome": "Promoted",
        "startedAt": "2026-01-01T00:00:00Z",
        "finishedAt": "2026-01-01T00:00:00Z",
        "message": "",
    }
    assert load_memory({"history": [entry], "lastHandledAction": "retry@v1"}) == memory


def test_the_spelling_of_a_memory_is_kept() -> None:
    """
    A status that an older operator wrote is read by a newer one: this spelling stays.
    """
    stored: dict[str, Any] = {
        "stable": {"revision": "v1", "version": "1"},
        "canary": {
            "revision": {"revision": "v2", "version": "2"},
            "step": 1,
            "stepsHash": "0a1b2c3d4e",
            "startedAt": "2026-01-01T00:00:00Z",
            "hadTraffic": True,
            "mostReady": 2,
        },
    }
    canary = Canary(Revision("v2", "2"), 1, "0a1b2c3d4e", NOW, had_traffic=True, most_ready=2)
    memory = Memory(stable=Revision("v1", "1"), canary=canary)
    assert load_memory({"rollout": stored}) == memory
    assert dump_memory(memory) == stored
    assert dump_memory(replace(memory, canary=None)) == {"stable": stored["stable"]}
