"""
Waits for inferences that are in a queue, without holding a thread.

Requests that arrive in one turn of the event loop are left in their queues one after the other, and
at the end of the turn the loop's thread helps with what is cheap: then they share a batch, and no
other thread has to be woken.
"""

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from modeldeploy_runtime.inference.answered.plans import Started
from modeldeploy_runtime.loaders.port import CallQueue
from modeldeploy_runtime.transports.rest.handlers import Begun, Reply

# Writing more values than this holds up the other requests noticeably.
SMALL_ANSWER = 4096


@dataclass(frozen=True, slots=True)
class Waiting:
    """An inference in a queue, and how its result is written."""

    begun: Begun
    started: Started[Any]

    @property
    def is_small(self) -> bool:
        """Whether the answer is written so fast that a thread would only add to it."""
        if self.started.future.exception():
            return True
        return sum(array.size for array in self.started.future.result().values()) <= SMALL_ANSWER

    def reply(self) -> Reply:
        """Write the result, or raise what the model raised."""
        return self.begun.reply(self.started.result())


def start(begun: Begun, deadline: float | None) -> Waiting | None:
    """Leave an inference in its queue, if it has one that takes it."""
    started = begun.pending.start(deadline)
    return None if started is None else Waiting(begun, started)


def proceed(begun: Begun, deadline: float | None) -> Reply | Waiting:
    """Leave an inference in its queue from a thread, or answer it there."""
    waiting = start(begun, deadline)
    if waiting is None:
        return begun.finish(deadline)
    waiting.started.queue.help()
    return waiting


class Turns:
    """Waits in the event loop; to be used from its thread alone."""

    def __init__(self) -> None:
        self._helping = False

    def help_soon(self, queue: CallQueue) -> None:
        """Help at the end of the loop's turn, once for all that came in it."""
        if not self._helping:
            self._helping = True
            asyncio.get_running_loop().call_soon(self._help, queue)

    def _help(self, queue: CallQueue) -> None:
        self._helping = False
        queue.help()

    async def wait(self, waiting: Waiting, deadline: float | None) -> None:
        """
        Return when the inference is done.

        Raises:
            ServingError: The deadline passed before.
        """
        future = waiting.started.future
        loop = asyncio.get_running_loop()
        woken = loop.create_future()
        wake = _waker(loop, woken)
        future.add_done_callback(wake)
        timer = None
        if deadline is not None:
            timer = loop.call_later(max(0.0, deadline - time.monotonic()), _set, woken)
        try:
            await woken
        finally:
            if timer is not None:
                timer.cancel()
        if not future.done():
            raise waiting.started.queue.give_up(future)


def _waker(
    loop: asyncio.AbstractEventLoop, woken: "asyncio.Future[None]"
) -> Callable[[Future[Any]], None]:
    own = threading.get_ident()

    def wake(_: Future[Any]) -> None:
        if threading.get_ident() == own:
            _set(woken)
        else:
            loop.call_soon_threadsafe(_set, woken)

    return wake


def _set(woken: "asyncio.Future[None]") -> None:
    if not woken.done():
        woken.set_result(None)
