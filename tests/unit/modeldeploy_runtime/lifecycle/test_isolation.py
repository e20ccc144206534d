"""
Models that do not disturb one another, and memory that they share.
"""

import threading
import time

import pytest

from modeldeploy_runtime.lifecycle import resource_preserving
from modeldeploy_runtime.lifecycle.options import Retries
from modeldeploy_runtime.servables.data import ServableData
from modeldeploy_runtime.servables.errors import Code, LoadError
from modeldeploy_runtime.servables.ids import Selector, ServableId
from modeldeploy_runtime.servables.states import State, StateEvent
from testkit.loading import Models, states, until, want


def test_a_slow_load_delays_nobody_else() -> None:
    """
    Another model is loaded while one takes for ever, even with one thread for replacements.
    """
    models = Models()
    models.limit *= 2
    manager = models.manager(load_threads=1)
    want(manager, models, "slow", 1)
    until(lambda: states(manager, "slow") == {1: State.AVAILABLE})
    gate = models.gates["slow"] = threading.Event()
    want(manager, models, "slow", 2)
    until(lambda: states(manager, "slow")[2] is State.LOADING)
    want(manager, models, "m", 1)
    until(lambda: states(manager) == {1: State.AVAILABLE})
    gate.set()
    until(lambda: states(manager, "slow") == {1: State.END, 2: State.AVAILABLE})


def test_a_wait_for_a_retry_takes_no_thread() -> None:
    """
    While one model waits for its next try, others are loaded by the only thread.
    """
    models = Models(v1=[LoadError("busy", permanent=False)] * 9)
    manager = models.manager(first_load_threads=1, retries=Retries(2, 3600.0))
    want(manager, models, "fails", 1)
    until(lambda: manager.statuses("fails")[0].problem == "busy")
    assert states(manager, "fails") == {1: State.LOADING}
    want(manager, models, "m", 2)
    until(lambda: states(manager) == {2: State.AVAILABLE})


def test_a_slow_drain_delays_nobody_else() -> None:
    """
    A version that is still used holds up no other unload, even with one thread for them.
    """
    models = Models()
    manager = models.manager(unload_threads=1)
    for name in ("used", "m"):
        want(manager, models, name, 1)
        until(lambda: states(manager, name) == {1: State.AVAILABLE})  # noqa: B023 - waited for here
    with manager.acquire(Selector("used")):
        want(manager, models, "used")
        want(manager, models, "m")
        until(lambda: states(manager) == {1: State.END})
        assert states(manager, "used") == {1: State.UNLOADING}
    until(lambda: states(manager, "used") == {1: State.END})


def test_a_drain_has_a_bound(caplog: pytest.LogCaptureFixture) -> None:
    """
    A version is unloaded under requests that take too long, and the log counts them.
    """
    models = Models()
    manager = models.manager(unload_timeout=0.01)
    want(manager, models, "m", 1)
    until(lambda: states(manager) == {1: State.AVAILABLE})
    with manager.acquire(Selector("m")), manager.acquire(Selector("m")):
        want(manager, models, "m")
        until(lambda: states(manager) == {1: State.END})
    assert "{name: m version: 1} is unloaded under 2 requests" in caplog.text


def test_a_load_waits_for_memory() -> None:
    """
    Of three loads for which there is room for two, one waits until an unload has given some back.
    """
    models = Models()
    manager = models.manager()
    for name in ("a", "b"):
        want(manager, models, name, 1)
        until(lambda: states(manager, name) == {1: State.AVAILABLE})  # noqa: B023 - waited for here
    with manager.acquire(Selector("a")):
        want(manager, models, "a")
        want(manager, models, "c", 1)
        until(lambda: "Insufficient resources" in manager.statuses("c")[0].problem)
        assert states(manager, "c") == {1: State.LOADING}
    until(lambda: states(manager, "c") == {1: State.AVAILABLE})


def test_a_load_that_does_not_fit() -> None:
    """
    Where nothing is about to go, a load that does not fit fails with the figures, and is tried on.
    """
    models = Models()
    manager = models.manager(retries=Retries(1, 0.01))
    want(manager, models, "m", 1, 2)
    until(lambda: len(models.tries) == 2)
    want(manager, models, "n", 1)
    until(lambda: states(manager, "n") == {1: State.END})
    error = manager.statuses("n")[0].error
    assert error is not None
    assert error.code is Code.RESOURCE_EXHAUSTED
    assert str(error) == (
        "Insufficient resources to load servable {name: n version: 1}: it needs about 10.0 MiB of "
        "memory, and 5.0 MiB of 25.0 MiB are free. Give the server more memory, or serve less."
    )


def test_resource_preserving() -> None:
    """
    The old version goes before the new one comes, so that two are never held.
    """
    models = Models()
    manager = models.manager(policy=resource_preserving.next_action)
    want(manager, models, "m", 1)
    until(lambda: states(manager) == {1: State.AVAILABLE})
    models.extra = models.unit
    want(manager, models, "m", 2)
    until(lambda: states(manager) == {1: State.END, 2: State.AVAILABLE})


def test_an_interface_that_breaks() -> None:
    """
    A version that is refused is unloaded and at its end, and one that is older is not compared.
    """
    models = Models()
    seen: list[tuple[bytes, bytes]] = []

    def check(before: dict[str, bytes], after: dict[str, bytes]) -> list[str]:
        seen.append((before["v"], after["v"]))
        return ["The input is gone."] if after["v"] == b"3" else []

    manager = models.manager(check=check)
    want(manager, models, "m", 1, 2)
    until(lambda: states(manager) == {1: State.AVAILABLE, 2: State.AVAILABLE})
    assert seen == []
    want(manager, models, "m", 2, 3)
    until(lambda: states(manager)[3] is State.END)
    assert str(manager.statuses("m")[0].error) == (
        "Its interface breaks that of the version that serves now: The input is gone."
    )
    assert models.used == models.unit
    # Whoever takes the place of a version is compared with it, however old it is.
    want(manager, models, "m", 1)
    until(lambda: states(manager)[1] is State.AVAILABLE)
    assert seen == [(b"2", b"3"), (b"2", b"1")]


def test_events() -> None:
    """
    Every change is told in order: available after requests reach a version, unloading before.
    """
    models = Models()
    manager = models.manager()
    told: list[tuple[str, bool]] = []

    def listen(event: StateEvent) -> None:
        reached = any(s.state is State.AVAILABLE for s in manager.statuses(event.id.name))
        told.append((event.state.value, reached))

    models.bus.subscribe(listen)
    want(manager, models, "m", 1)
    until(lambda: states(manager) == {1: State.AVAILABLE})
    want(manager, models, "m")
    until(lambda: states(manager) == {1: State.END})
    assert [state for state, _ in told] == ["START", "LOADING", "AVAILABLE", "UNLOADING", "END"]
    assert told[2] == ("AVAILABLE", True)


def test_a_version_with_an_error() -> None:
    """
    A version for which a source has an error is at its end without a load.
    """
    models = Models()
    manager = models.manager()
    error = LoadError("no such platform", permanent=True)
    manager.set_aspired("m", [ServableData(ServableId("m", 1), error)])
    assert states(manager) == {1: State.END}
    assert manager.statuses("m")[0].error is error


def test_what_is_told_of_a_version() -> None:
    """
    A status has the version's name, when it came, how long it took, and what it holds.
    """
    models = Models()
    manager = models.manager()
    before = time.time()
    name = "2024-11-05"
    servable = ServableId("m", 2**62 + 1, name)
    manager.set_aspired("m", [ServableData(servable, models.loader("m", 1))])
    until(lambda: states(manager) == {2**62 + 1: State.AVAILABLE})
    [status] = manager.statuses("m")
    assert status.name == name
    assert before <= status.created <= status.since <= time.time()
    assert 0.0 <= status.load_seconds < 10.0
    assert status.memory_bytes == models.unit
    assert manager.acquire(Selector("m")).id.version_text == name


def test_what_was_brought_is_removed() -> None:
    """
    The files of a version are kept while it is served, and removed when it is gone or failed.
    """
    models = Models(v2=[LoadError("bad", permanent=True)])
    manager = models.manager()
    want(manager, models, "m", 1, 2)
    until(lambda: states(manager) == {1: State.AVAILABLE, 2: State.END})
    until(lambda: models.cleaned == ["m2"])
    want(manager, models, "m")
    until(lambda: models.cleaned == ["m2", "m1"])
