"""Gives work to a pool of threads, where a bounded number of requests may wait."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, TypeVar

from modeldeploy_runtime.inference import execution
from modeldeploy_runtime.servables import errors

Done = TypeVar("Done")


class Places:
    """Threads, and places where requests wait for them; for the event loop's thread alone."""

    def __init__(self, executor: Executor, count: int) -> None:
        self._executor = executor
        self._count = count
        self._taken = 0

    @property
    def are_full(self) -> bool:
        """Whether no more work is taken."""
        return self._taken >= self._count

    async def run(self, work: Callable[[], Done], deadline: float | None) -> Done:
        """
        Do something in a thread; an inference that comes too late to its turn does not run.

        Raises:
            ResourceError: All places are taken.
            DeadlineError: It was not done in time.
        """
        timeout = None if deadline is None else max(0.0, deadline - time.monotonic())
        future = self._submit(work)
        # Not wait_for: it would cancel work that has not begun, and its version stay held.
        done, _ = await asyncio.wait((future,), timeout=timeout)
        if not done:
            future.add_done_callback(_ignore_result)
            raise execution.too_late()
        return future.result()

    def _submit(self, work: Callable[[], Done]) -> "asyncio.Future[Done]":
        if self.are_full:
            raise errors.ResourceError(
                f"All {self._count} places for predictions are taken; try again soon."
            )
        self._taken += 1
        future = asyncio.get_running_loop().run_in_executor(self._executor, work)
        future.add_done_callback(self._release)
        return future

    def _release(self, _future: "asyncio.Future[Any]") -> None:
        self._taken -= 1


def _ignore_result(future: "asyncio.Future[Any]") -> None:
    if not future.cancelled():
        future.exception()
