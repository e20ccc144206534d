"""
The manager, with loaders that do what the test says.
"""

import functools

import pytest

from modeldeploy_runtime.lifecycle.manager import MAX_ENDED
from modeldeploy_runtime.lifecycle.options import Retries
from modeldeploy_runtime.servables.errors import LoadError, NotFoundError
from modeldeploy_runtime.servables.ids import Selector
from modeldeploy_runtime.servables.states import State
from testkit.loading import Models, is_available, states, until, want


def test_swap() -> None:
    """
    A new version takes over, and the old one goes when its last user has left.
    """
    manager = (models := Models()).manager()
    want(manager, models, "m", 1)
    until(lambda: states(manager) == {1: State.AVAILABLE})
    with manager.acquire(Selector("m")) as held:
        want(manager, models, "m", 2)
        until(lambda: states(manager) == {2: State.AVAILABLE, 1: State.UNLOADING})
        assert manager.acquire(Selector("m")).id.version == 2
        with pytest.raises(NotFoundError):
            manager.acquire(Selector("m", 1))
        model = held.model
        assert not getattr(model, "unloaded", True)
    until(lambda: states(manager) == {2: State.AVAILABLE, 1: State.END})
    assert getattr(model, "unloaded", False)


def test_permanent_failure() -> None:
    """
    A version whose files are bad is tried once and ends with its error; the old one stays.
    """
    models = Models(v2=[LoadError("bad files", permanent=True)] * 9)
    manager = models.manager(retries=Retries(5, 0.0))
    want(manager, models, "m", 1)
    until(lambda: states(manager) == {1: State.AVAILABLE})
    want(manager, models, "m", 2)
    until(lambda: states(manager) == {2: State.END, 1: State.AVAILABLE})
    assert str(manager.statuses("m")[0].error) == "bad files"
    assert models.tries == ["1", "2"]


def test_retries() -> None:
    """
    What may pass is tried again as often as is wanted.
    """
    models = Models(v1=[LoadError("busy", permanent=False)] * 2)
    manager = models.manager(retries=Retries(2, 0.0))
    want(manager, models, "m", 1)
    until(lambda: states(manager) == {1: State.AVAILABLE})
    assert models.tries == ["1"] * 3
    models = Models(v1=[LoadError("busy", permanent=False)] * 3)
    manager = models.manager(retries=Retries(2, 0.0))
    want(manager, models, "m", 1)
    until(lambda: states(manager) == {1: State.END})


def test_unwanted_retries_end() -> None:
    """
    Nobody waits for another try of a version that nobody wants any more.
    """
    models = Models(v1=[LoadError("busy", permanent=False)] * 3)
    manager = models.manager(retries=Retries(2, 3600.0))
    want(manager, models, "m", 1)
    until(lambda: models.tries)
    want(manager, models, "m", 2)
    until(lambda: states(manager) == {2: State.AVAILABLE, 1: State.END})


def test_surprising_failure() -> None:
    """
    A loader that breaks its contract fails the version and nothing else.
    """
    manager = (models := Models(v1=[RuntimeError("oh")])).manager()
    want(manager, models, "m", 1)
    until(lambda: states(manager) == {1: State.END})
    assert str(manager.statuses("m")[0].error) == "RuntimeError: oh"


def test_wanted_again() -> None:
    """
    A version that was given up and is wanted again is loaded anew, even after a failure.
    """
    manager = (models := Models(v1=[LoadError("bad", permanent=True)])).manager()
    want(manager, models, "m", 1)
    until(lambda: states(manager) == {1: State.END})
    want(manager, models, "m")
    want(manager, models, "m", 1)
    until(lambda: states(manager) == {1: State.AVAILABLE})
    with manager.acquire(Selector("m")):
        want(manager, models, "m")
        until(lambda: states(manager) == {1: State.UNLOADING})
        want(manager, models, "m", 1)
    until(lambda: states(manager) == {1: State.AVAILABLE})


def test_old_versions_are_forgotten() -> None:
    """
    The status keeps only the newest of the versions that are gone.
    """
    manager = (models := Models()).manager()
    for version in range(1, MAX_ENDED + 10):
        want(manager, models, "m", version)
        until(functools.partial(is_available, manager, version))
    until(lambda: list(states(manager).values()).count(State.END) == len(states(manager)) - 1)
    assert len(states(manager)) == MAX_ENDED + 1
