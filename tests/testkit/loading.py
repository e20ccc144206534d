"""
Loaders that do what a test says, in place of those that read files.
"""

import threading
import time
from collections.abc import Callable
from typing import Any

from modeldeploy_runtime.lifecycle.events import EventBus
from modeldeploy_runtime.lifecycle.manager import Manager
from modeldeploy_runtime.lifecycle.options import Options
from modeldeploy_runtime.loaders.memory import Room
from modeldeploy_runtime.servables.data import ServableData
from modeldeploy_runtime.servables.ids import ServableId
from modeldeploy_runtime.servables.states import State


class Model:
    """
    A model that knows whether it was unloaded.
    """

    def __init__(self, server: "Models", version: int) -> None:
        self._models = server
        self.version = version
        self.signatures: dict[str, Any] = {}
        self.signature_defs: dict[str, bytes] = {"v": b"%d" % version}
        self.unloaded = False

    def run(self, *_: Any) -> Any:
        """
        No request comes here.
        """
        raise AssertionError("No request comes here.")

    def unload(self) -> None:
        """
        Give the memory back.
        """
        self._models.used -= self._models.unit
        self.unloaded = True


class Models:
    """
    Loads versions of ten MiB where there is room for 25; fails on one as often as it is told to.
    """

    unit = 10 * 1024 * 1024

    def __init__(self, **failures: list[Exception]) -> None:
        self.failures = failures
        self.tries: list[str] = []
        self.cleaned: list[str] = []
        self.used = self.extra = 0
        self.limit = int(2.5 * self.unit)
        self.bus = EventBus()
        self.gates: dict[str, threading.Event] = {}

    def room(self) -> Room:
        """
        Tell how much memory there is.
        """
        return Room(self.limit, self.used)

    def manager(self, **options: Any) -> Manager:
        """
        Make a manager whose memory this is.
        """
        return Manager(Options(**options), self.room, self.bus)

    def loader(self, name: str, version: int) -> "VersionLoader":
        """
        Make the loader of one version.
        """
        return VersionLoader(self, name, version)


class VersionLoader:
    """
    Loads one version.
    """

    def __init__(self, models: Models, name: str, version: int) -> None:
        self._models = models
        self._name = name
        self._version = version

    def estimate(self) -> int:
        """
        Tell what a version needs.
        """
        return self._models.unit + self._models.extra

    def load(self) -> Model:
        """
        Load, or fail as told.
        """
        if gate := self._models.gates.get(self._name):
            gate.wait(60)
        self._models.tries.append(str(self._version))
        if failures := self._models.failures.get(f"v{self._version}"):
            raise failures.pop(0)
        self._models.used += self._models.unit
        return Model(self._models, self._version)

    def clean(self) -> None:
        """
        Note that nobody needs the files any more.
        """
        self._models.cleaned.append(f"{self._name}{self._version}")


def want(manager: Manager, models: Models, name: str, *versions: int) -> None:
    """
    Say which versions of a model are wanted.
    """
    manager.set_aspired(
        name,
        [ServableData(ServableId(name, v), models.loader(name, v)) for v in versions],
    )


def until(condition: Callable[[], Any]) -> None:
    """
    Wait for a condition.
    """
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.002)


def states(manager: Manager, name: str = "m") -> dict[int, State]:
    """
    Tell the state of each version of a model.
    """
    return {status.version: status.state for status in manager.statuses(name)}


def is_available(manager: Manager, version: int) -> bool:
    """
    Tell whether a version of the model answers.
    """
    return states(manager).get(version) is State.AVAILABLE
