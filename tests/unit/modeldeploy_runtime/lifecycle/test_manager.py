"""
The manager, with loaders that do what the test says.
"""

import functools
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modeldeploy_runtime.lifecycle.handle import Lease
from modeldeploy_runtime.lifecycle.manager import MAX_ENDED, Manager, Retries
from modeldeploy_runtime.servables.errors import LoadError, NotFoundError
from modeldeploy_runtime.servables.ids import Selector
from modeldeploy_runtime.servables.states import State


class _Model:
    """
    A model that knows whether it was unloaded.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.signatures: dict[str, Any] = {}
        self.signature_defs: dict[str, bytes] = {}
        self.unloaded = False

    def run(self, *_: Any) -> list[Any]:
        return []

    def unload(self) -> None:
        self.unloaded = True


class _Loader:
    """
    Fails on a path as often as it is told to.
    """

    def __init__(self, **failures: list[Exception]) -> None:
        self.failures = failures
        self.tries: list[str] = []
        self.gate = threading.Event()
        self.gate.set()

    def load(self, path: Path) -> _Model:
        self.gate.wait(5)
        self.tries.append(path.name)
        if failures := self.failures.get(f"v{path.name}"):
            raise failures.pop(0)
        return _Model(path)


def _until(condition: Callable[[], Any]) -> None:
    end = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.002)


def _states(manager: Manager) -> dict[int, State]:
    return {status.version: status.state for status in manager.statuses("m")}


def _is_available(manager: Manager, version: int) -> bool:
    return _states(manager).get(version) is State.AVAILABLE


def _paths(*versions: int) -> dict[int, Path]:
    return {version: Path(f"/m/{version}") for version in versions}


def test_swap() -> None:
    """
    A new version takes over, and the old one goes when its last user has left.
    """
    manager = Manager(_Loader(), Retries())
    manager.set_aspired("m", _paths(1))
    _until(lambda: _states(manager) == {1: State.AVAILABLE})
    with manager.acquire(Selector("m")) as held:
        manager.set_aspired("m", _paths(2))
        _until(lambda: _states(manager) == {2: State.AVAILABLE, 1: State.UNLOADING})
        assert manager.acquire(Selector("m")).id.version == 2
        with pytest.raises(NotFoundError):
            manager.acquire(Selector("m", 1))
        model = held.model
        assert not getattr(model, "unloaded", True)
    _until(lambda: _states(manager) == {2: State.AVAILABLE, 1: State.END})
    assert getattr(model, "unloaded", False)


def test_permanent_failure() -> None:
    """
    A version whose files are bad is tried once and ends with its error; the old one stays.
    """
    loader = _Loader(v2=[LoadError("bad files", permanent=True)] * 9)
    manager = Manager(loader, Retries(5, 0.0))
    manager.set_aspired("m", _paths(1))
    _until(lambda: _states(manager) == {1: State.AVAILABLE})
    manager.set_aspired("m", _paths(2))
    _until(lambda: _states(manager) == {2: State.END, 1: State.AVAILABLE})
    assert str(manager.statuses("m")[0].error) == "bad files"
    assert loader.tries == ["1", "2"]


def test_retries() -> None:
    """
    What may pass is tried again as often as is wanted.
    """
    loader = _Loader(v1=[LoadError("busy", permanent=False)] * 2)
    manager = Manager(loader, Retries(2, 0.0))
    manager.set_aspired("m", _paths(1))
    _until(lambda: _states(manager) == {1: State.AVAILABLE})
    assert loader.tries == ["1"] * 3
    loader = _Loader(v1=[LoadError("busy", permanent=False)] * 3)
    manager = Manager(loader, Retries(2, 0.0))
    manager.set_aspired("m", _paths(1))
    _until(lambda: _states(manager) == {1: State.END})


def test_unwanted_retries_end() -> None:
    """
    Nobody waits for another try of a version that nobody wants any more.
    """
    loader = _Loader(v1=[LoadError("busy", permanent=False)] * 3)
    manager = Manager(loader, Retries(2, 3600.0))
    manager.set_aspired("m", _paths(1))
    _until(lambda: loader.tries)
    manager.set_aspired("m", _paths(2))
    _until(lambda: _states(manager) == {2: State.AVAILABLE, 1: State.END})


def test_surprising_failure() -> None:
    """
    A loader that breaks its contract fails the version and nothing else.
    """
    manager = Manager(_Loader(v1=[RuntimeError("oh")]), Retries())
    manager.set_aspired("m", _paths(1))
    _until(lambda: _states(manager) == {1: State.END})
    assert str(manager.statuses("m")[0].error) == "RuntimeError: oh"


def test_wanted_again() -> None:
    """
    A version that was given up and is wanted again is loaded anew, even after a failure.
    """
    manager = Manager(_Loader(v1=[LoadError("bad", permanent=True)]), Retries())
    manager.set_aspired("m", _paths(1))
    _until(lambda: _states(manager) == {1: State.END})
    manager.set_aspired("m", {})
    manager.set_aspired("m", _paths(1))
    _until(lambda: _states(manager) == {1: State.AVAILABLE})
    with manager.acquire(Selector("m")):
        manager.set_aspired("m", {})
        _until(lambda: _states(manager) == {1: State.UNLOADING})
        manager.set_aspired("m", _paths(1))
    _until(lambda: _states(manager) == {1: State.AVAILABLE})


def test_slow_load_delays_nobody_else() -> None:
    """
    Another model is loaded while one takes for ever.
    """
    loader = _Loader()
    loader.gate.clear()
    manager = Manager(loader, Retries())
    manager.set_aspired("slow", _paths(1))
    manager.set_aspired("m", _paths(1))
    assert _states(manager) == {1: State.LOADING}
    loader.gate.set()
    _until(lambda: _states(manager) == {1: State.AVAILABLE})


def test_old_versions_are_forgotten() -> None:
    """
    The status keeps only the newest of the versions that are gone.
    """
    manager = Manager(_Loader(), Retries())
    for version in range(1, MAX_ENDED + 10):
        manager.set_aspired("m", _paths(version))
        _until(functools.partial(_is_available, manager, version))
    _until(lambda: list(_states(manager).values()).count(State.END) == len(_states(manager)) - 1)
    assert len(_states(manager)) == MAX_ENDED + 1


def test_closed_lease() -> None:
    """
    Nobody enters a closed lease, and who waits is told when the last one leaves.
    """
    lease = Lease("held")
    assert lease.enter()
    lease.close()
    assert not lease.enter()
    waiting = threading.Thread(target=lease.wait_unused)
    waiting.start()
    lease.leave()
    waiting.join(5)
    assert not waiting.is_alive()
