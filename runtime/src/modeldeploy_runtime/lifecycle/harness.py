"""One version on its way through the states; the manager's lock guards every field."""

import time

from modeldeploy_runtime.lifecycle.handle import Lease
from modeldeploy_runtime.lifecycle.policy import VersionSnapshot
from modeldeploy_runtime.loaders.port import Loader, Model
from modeldeploy_runtime.servables import states
from modeldeploy_runtime.servables.data import ServableData
from modeldeploy_runtime.servables.errors import ServingError
from modeldeploy_runtime.servables.ids import ServableId
from modeldeploy_runtime.servables.states import State, StateEvent, VersionStatus
from modeldeploy_runtime.threads import Alarm


class Harness:
    """
    What the manager knows of one version.

    Attributes:
        tries: How often a load has been tried and failed.
        alarm: What will try again, or end the wait for users, unless it is cancelled.
        parked: Whether a version that is loading waits: for a further try, or for memory.
        problem: Why it waits, in a sentence.
    """

    def __init__(self, data: ServableData[Loader]) -> None:
        self.id: ServableId = data.id
        self.data = data
        self.state = State.START
        self.aspired = True
        self.error: ServingError | None = None
        self.lease: Lease[Model] | None = None
        self.tries = 0
        self.alarm: Alarm | None = None
        self.parked = False
        self.problem = ""
        self.memory = 0
        self.created = self.since = time.time()
        self.load_seconds = 0.0

    def move(self, state: State, error: ServingError | None = None) -> StateEvent:
        """Enter another state; going backwards is a fault in the program."""
        if not states.may_follow(self.state, state):
            raise RuntimeError(f"{self.id} cannot go from {self.state.value} to {state.value}.")
        if self.state is State.LOADING:
            self.load_seconds = time.time() - self.since
        self.state = state
        self.error = error
        self.parked, self.problem = False, ""
        self.since = time.time()
        if self.alarm is not None:
            self.alarm.cancel()
            self.alarm = None
        return StateEvent(self.id, state, error, self.since)

    def park(self, problem: str, alarm: Alarm | None = None) -> None:
        """Let a load wait, until the alarm or until somebody takes it up again."""
        self.parked, self.problem, self.alarm = True, problem, alarm

    def snapshot(self) -> VersionSnapshot:
        """Describe the version for the policy."""
        return VersionSnapshot(self.id.version, self.state, self.aspired)

    def status(self) -> VersionStatus:
        """Describe the version for people and clients."""
        return VersionStatus(
            self.id.version,
            self.state,
            self.error,
            self.id.version_text,
            self.problem,
            self.created,
            self.since,
            self.load_seconds,
            self.memory if self.state in {State.AVAILABLE, State.UNLOADING} else 0,
        )
