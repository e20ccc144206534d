"""
Threads and timers.
"""

import os
import threading

from modeldeploy_runtime.threads import Timers, Workers


def test_workers_are_bounded() -> None:
    """
    No more is done at once than there are threads, and what fails ends nothing.
    """
    workers = Workers("test", 2)
    gate, both, done = threading.Event(), threading.Barrier(3), threading.Event()
    running: list[int] = []

    def work() -> None:
        running.append(1)
        both.wait(10)
        gate.wait(10)
        raise RuntimeError("This is only logged.")

    workers.submit(work)
    workers.submit(work)
    workers.submit(done.set)
    both.wait(10)
    assert len(running) == 2
    assert not done.is_set()
    gate.set()
    assert done.wait(10)


def test_nice_threads_stand_back_behind_their_process() -> None:
    """
    A thread's claim to a processor is lower than the process's, whatever the process has.
    """
    found: list[int] = []
    done = threading.Event()

    def work() -> None:
        found.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
        done.set()

    Workers("test", 1, nice=3).submit(work)
    assert done.wait(10)
    assert found == [min(os.getpriority(os.PRIO_PROCESS, os.getpid()) + 3, 19)]


def test_timers() -> None:
    """
    What is due first comes first, and what was cancelled never comes.
    """
    timers = Timers("test")
    done = threading.Event()
    came: list[str] = []
    timers.after(0.03, done.set)
    timers.after(0.02, lambda: came.append("second"))
    timers.after(0.01, lambda: came.append("first"))
    timers.after(0.0, lambda: came.append("cancelled")).cancel()
    timers.after(0.0, lambda: came.remove("This is not there, and only logged."))
    assert done.wait(10)
    assert [word for word in came if word != "cancelled"] == ["first", "second"]
