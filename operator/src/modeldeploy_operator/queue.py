"""
The work queue: whatever happens only says *which* object to look at; looking is coalesced.

One object is never looked at twice at the same time; while it is being looked at, any number of
calls make one more look. A look that fails is tried again with a growing, jittered delay.
"""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime

from modeldeploy_operator.cluster.port import ClusterError, ConflictError, ObjectGoneError

log = logging.getLogger(__name__)

Key = tuple[str, str]
FIRST_DELAY, LONGEST_DELAY = 0.5, 60.0


class WorkQueue:
    """
    Runs `look` for every object that was asked for; all calls belong to one event loop.

    An object of which `look` says that it is gone is forgotten until somebody asks again.
    A queue that is held remembers what it is asked for, and looks at nothing until it is opened.
    """

    def __init__(
        self,
        look: Callable[[str, str], Awaitable[datetime | None]],
        *,
        workers: int,
        resync_seconds: float,
        held: bool = False,
    ) -> None:
        self._look = look
        self._slots = asyncio.Semaphore(workers)
        self._resync = resync_seconds
        self._asked: dict[Key, asyncio.Event] = {}
        self._tasks: dict[Key, asyncio.Task[None]] = {}
        self._due: dict[Key, float] = {}
        self._closed = False
        self._opened = asyncio.Event()
        if not held:
            self._opened.set()

    def open(self) -> None:
        """
        Let the looks begin.
        """
        now = time.monotonic()
        self._due = dict.fromkeys(self._due, now)
        self._opened.set()

    @property
    def opened(self) -> bool:
        """
        Whether looks may begin.
        """
        return self._opened.is_set()

    def age(self) -> float:
        """
        Tell for how many seconds the object that waits longest has been waiting.
        """
        if not self.opened or not self._due:
            return 0.0
        return time.monotonic() - min(self._due.values())

    def ask(self, namespace: str, name: str) -> None:
        """
        Ask for a look at an object, soon.
        """
        if self._closed:
            return
        key = (namespace, name)
        self._asked.setdefault(key, asyncio.Event()).set()
        if key not in self._tasks:
            self._tasks[key] = asyncio.create_task(self._tend(key))

    async def close(self) -> None:
        """
        Stop looking at anything, for good.
        """
        self._closed = True
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _tend(self, key: Key) -> None:
        failures = 0
        while True:
            asked = self._asked[key]
            asked.clear()
            try:
                delay, failed = await self._once(key, failures)
            except ObjectGoneError:
                if asked.is_set():
                    continue
                del self._asked[key], self._tasks[key]
                return
            failures = failures + 1 if failed else 0
            with suppress(TimeoutError):
                # Not wait_for, which in Python 3.11 forgets a cancellation that meets the event.
                async with asyncio.timeout(delay):
                    await asked.wait()

    async def _once(self, key: Key, failures: int) -> tuple[float, bool]:
        self._due[key] = time.monotonic()
        try:
            await self._opened.wait()
            async with self._slots:
                again = await self._look(*key)
        except ObjectGoneError:
            raise
        except ConflictError as conflict:
            log.info("%s", conflict, extra={"deployment": "/".join(key)})
            return FIRST_DELAY, False
        except ClusterError as error:
            log.warning("%s", error, extra={"deployment": "/".join(key)})
            return _delay(failures), True
        except Exception:
            log.exception("A pass failed.", extra={"deployment": "/".join(key)})
            return _delay(failures), True
        finally:
            del self._due[key]
        if again is None:
            return self._resync * random.uniform(0.8, 1.2), False  # noqa: S311 - jitter
        return max(0.05, (again - datetime.now(UTC)).total_seconds()), False


def _delay(failures: int) -> float:
    longest: float = min(LONGEST_DELAY, FIRST_DELAY * 2**failures)
    return longest * random.uniform(0.5, 1.0)  # noqa: S311 - jitter
