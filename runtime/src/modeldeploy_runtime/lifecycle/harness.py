"""One version on its way through the states; the manager's lock guards every field."""

import threading
from pathlib import Path

from modeldeploy_runtime.lifecycle.handle import Lease
from modeldeploy_runtime.lifecycle.policy import VersionSnapshot
from modeldeploy_runtime.loaders.port import Model
from modeldeploy_runtime.servables import states
from modeldeploy_runtime.servables.errors import ServingError
from modeldeploy_runtime.servables.ids import ServableId
from modeldeploy_runtime.servables.states import State, VersionStatus


class Harness:
    """What the manager knows of one version."""

    def __init__(self, servable: ServableId, path: Path) -> None:
        self.id = servable
        self.path = path
        self.state = State.START
        self.aspired = True
        self.error: ServingError | None = None
        self.lease: Lease[Model] | None = None
        # Set when nobody wants the version any more: ends the waiting between two tries to load it.
        self.unwanted = threading.Event()

    def move(self, state: State, error: ServingError | None = None) -> None:
        """Enter another state; going backwards is a fault in the program."""
        if not states.may_follow(self.state, state):
            raise RuntimeError(f"{self.id} cannot go from {self.state.value} to {state.value}.")
        self.state = state
        self.error = error

    def set_aspired(self, aspired: bool) -> None:  # noqa: FBT001 - there is nothing else to set
        """Note whether the version is wanted."""
        self.aspired = aspired
        if aspired:
            self.unwanted.clear()
        else:
            self.unwanted.set()

    def snapshot(self) -> VersionSnapshot:
        """Describe the version for the policy."""
        return VersionSnapshot(self.id.version, self.state, self.aspired)

    def status(self) -> VersionStatus:
        """Describe the version for people and clients."""
        return VersionStatus(self.id.version, self.state, self.error)
