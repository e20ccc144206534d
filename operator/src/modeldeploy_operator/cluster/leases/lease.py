"""
The Lease of an installation: of several operators, the one that holds it acts.

An operator that was away for longer than its lease, paused or cut off, writes nothing when it is
back: every write asks first how old the last renewal is.
"""

import asyncio
import logging
import socket
import time
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Self

from modeldeploy_operator.cluster.leases import election
from modeldeploy_operator.cluster.leases.election import Move, Sight
from modeldeploy_operator.cluster.port import (
    ClusterError,
    ConflictError,
    GoneError,
    Kube,
    Manifest,
    NotLeadingError,
    Resource,
)

log = logging.getLogger(__name__)

LEASES = Resource("coordination.k8s.io/v1", "Lease", "leases")
LEASE_SECONDS = 15
SURE_SECONDS = 10.0
"""A leader acts only so long after its last renewal; the others wait for the whole lease."""
PERIOD_SECONDS = 2.0


def clock() -> float:
    """
    Return seconds that go on while a process is stopped and while the machine sleeps.
    """
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Lease:
    """
    One operator's view of the lease.
    """

    def __init__(
        self, kube: Kube, namespace: str, name: str, me: str, now: Callable[[], float] = clock
    ) -> None:
        self._kube = kube
        self._path = LEASES.path(namespace, name)
        self._place = {"name": name, "namespace": namespace}
        self._me = me
        self._now = now
        self._sight = Sight()
        self._renewed: float | None = None
        self._holder = ""

    @classmethod
    def named(cls, kube: Kube, place: str, identity: str) -> Self | None:
        """
        Build the view of `NAMESPACE/NAME`; None where no lease is wanted.

        An identity, the pod's name, lets the pod's next container go on with the lease of the one
        that died, as no two of them overlap; without one each process is somebody else.
        """
        if not place:
            return None
        namespace, _, name = place.partition("/")
        me = identity or f"{socket.gethostname()}_{uuid.uuid4().hex[:8]}"
        return cls(kube, namespace, name, me)

    def check(self) -> None:
        """
        Make sure that this operator may act now.

        Raises:
            NotLeadingError: It may not, or not any more.

        """
        if self._renewed is None or self._now() - self._renewed >= SURE_SECONDS:
            raise NotLeadingError(
                "This operator does not hold its lease, so it writes nothing; another one goes on."
            )

    async def acquire(self) -> None:
        """
        Wait until this operator leads.
        """
        log.info("Waiting for the lease %(namespace)s/%(name)s.", self._place)
        while not await self._turn():  # noqa: ASYNC110 - what is waited for is elsewhere
            await asyncio.sleep(PERIOD_SECONDS)
        log.info("This operator leads, as %s.", self._me)

    async def keep(self) -> None:
        """
        Renew the lease until somebody else has led; then return.

        While the API server is away nobody can take the lease, and it is renewed afterwards.
        """
        while True:
            await asyncio.sleep(PERIOD_SECONDS)
            if not await self._turn() and self._renewed is None:
                log.error("This operator lost its lease to %s.", self._holder or "another one")
                return

    async def release(self) -> None:
        """
        Give the lease up, so that another operator leads at once.
        """
        if self._renewed is None:
            return
        self._renewed = None
        try:
            lease = await self._kube.get(self._path)
            if lease["spec"].get("holderIdentity") == self._me:
                freed = election.release(lease, stamp=_stamp())
                await self._kube.send("PUT", self._path, freed)
        except ClusterError as error:
            log.warning("The lease was not given up, others wait for its end: %s", error)

    async def _turn(self) -> bool:
        """
        Look at the lease and do what is to be done; tell whether it is held now.
        """
        began = self._now()
        try:
            lease = await self._read()
            self._sight = election.see(self._sight, lease, self._now())
            move = election.choose(self._me, lease, self._sight, self._now())
            self._holder = str(((lease or {}).get("spec") or {}).get("holderIdentity") or "")
            if move is not Move.RENEW and self._renewed is not None:
                self._renewed = None
                return False
            if move is Move.WAIT:
                return False
            await self._write(lease, move)
        except ClusterError as error:
            if not isinstance(error, ConflictError):
                log.warning("The lease could not be renewed: %s", error)
            return False
        self._renewed = began
        return True

    async def _read(self) -> Manifest | None:
        try:
            return await self._kube.get(self._path)
        except GoneError:
            return None

    async def _write(self, lease: Manifest | None, move: Move) -> None:
        body = election.write(self._me, lease, move, stamp=_stamp(), seconds=LEASE_SECONDS)
        if move is Move.CREATE:
            collection = self._path.rpartition("/")[0]
            await self._kube.send("POST", collection, {**body, "metadata": self._place})
        else:
            await self._kube.send("PUT", self._path, body)


class FencedKube:
    """
    A `Kube` that asks before each write whether this operator may act.
    """

    def __init__(self, kube: Kube, check: Callable[[], None]) -> None:
        self._kube = kube
        self._check = check

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> Manifest:
        """
        Read one object or a list.
        """
        return await self._kube.get(path, query)

    async def apply(self, path: str, manifest: Manifest) -> Manifest:
        """
        Apply, if this operator leads.

        Raises:
            NotLeadingError: It does not.

        """
        self._check()
        return await self._kube.apply(path, manifest)

    async def send(self, method: str, path: str, body: Manifest) -> Manifest:
        """
        Create, replace or delete, if this operator leads.

        Raises:
            NotLeadingError: It does not.

        """
        self._check()
        return await self._kube.send(method, path, body)


def _stamp() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
