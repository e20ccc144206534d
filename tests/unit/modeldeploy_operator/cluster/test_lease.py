"""
Of several operators one acts, and one that was away for too long writes nothing.
"""

import asyncio
from typing import Any

import pytest

from modeldeploy_operator.cluster.leases import election, lease
from modeldeploy_operator.cluster.leases.election import Move, Sight
from modeldeploy_operator.cluster.leases.lease import LEASE_SECONDS, FencedKube, Lease
from modeldeploy_operator.cluster.port import ClusterError, Manifest, NotLeadingError
from testkit.fake_kube import FakeKube

PATH = "/apis/coordination.k8s.io/v1/namespaces/system/leases/operator"


class Clock:
    """
    A clock that the test turns.
    """

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        """
        Tell the time.
        """
        return self.now


def _lease(holder: str = "other", version: str = "1") -> Any:
    return {
        "metadata": {"resourceVersion": version},
        "spec": {"holderIdentity": holder, "leaseDurationSeconds": 15, "leaseTransitions": 4},
    }


@pytest.mark.parametrize(
    ("found", "age", "move"),
    [
        (None, 0, Move.CREATE),
        (_lease("me"), 0, Move.RENEW),
        (_lease("me"), 99, Move.RENEW),
        (_lease("other"), 14.9, Move.WAIT),
        (_lease("other"), 15, Move.TAKE),
        (_lease(""), 0, Move.TAKE),
        ({"metadata": {"resourceVersion": "1"}}, 0, Move.TAKE),
    ],
)
def test_a_lease_is_taken_only_when_it_has_run_out(found: Any, age: float, move: Move) -> None:
    """
    By our own clock it must have stood unchanged for its whole length, or been given up.
    """
    sight = election.see(Sight(), found, 100.0)
    sight = election.see(sight, found, 100.0 + age)
    assert election.choose("me", found, sight, 100.0 + age) is move


def test_a_renewal_is_a_new_sight() -> None:
    """
    Each change begins the waiting anew.
    """
    sight = election.see(Sight(), _lease(version="1"), 100.0)
    assert election.see(sight, _lease(version="2"), 110.0).since == 110.0


def test_what_is_written_tells_who_and_how_often() -> None:
    """
    The holder, and how often it changed, are for people; the version makes one of two win.
    """
    told = election.write("me", _lease(), Move.TAKE, stamp="now", seconds=15)
    assert told["metadata"] == {"resourceVersion": "1"}
    assert told["spec"] == {
        "holderIdentity": "me",
        "leaseTransitions": 5,
        "acquireTime": "now",
        "renewTime": "now",
        "leaseDurationSeconds": 15,
    }
    renewed = election.write("me", told, Move.RENEW, stamp="later", seconds=15)
    assert renewed["spec"] == {**told["spec"], "renewTime": "later"}


@pytest.fixture
def clock() -> Clock:
    """
    Both operators are on one machine here.
    """
    return Clock()


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "PERIOD_SECONDS", 0.0)


def _operator(kube: FakeKube, me: str, clock: Clock) -> Lease:
    return Lease(kube, "system", "operator", me, clock)


async def test_the_second_operator_waits_and_writes_nothing(clock: Clock) -> None:
    """
    While the first one renews, the second is refused every write before it is sent.
    """
    kube = FakeKube()
    first, second = _operator(kube, "first", clock), _operator(kube, "second", clock)
    await first.acquire()
    first.check()
    waiting = asyncio.create_task(second.acquire())
    for _ in range(40):
        clock.now += 2
        assert await first._turn()
        await _turns()
    assert not waiting.done()
    fenced = FencedKube(kube, second.check)
    assert (await fenced.get(PATH))["spec"]["holderIdentity"] == "first"
    with pytest.raises(NotLeadingError, match="does not hold its lease"):
        await fenced.apply("/api/v1/namespaces/vision/services/mnist", {})
    with pytest.raises(NotLeadingError):
        await fenced.send("DELETE", PATH, {})
    await first.release()
    await waiting
    second.check()
    assert kube.objects[PATH]["spec"]["leaseTransitions"] == 1


async def test_a_leader_that_was_stopped_steps_down_before_it_writes(clock: Clock) -> None:
    """
    What wakes after its lease is refused at once, and ends as soon as it sees the new leader.
    """
    kube = FakeKube()
    first, second = _operator(kube, "first", clock), _operator(kube, "second", clock)
    await first.acquire()
    assert not await second._turn()
    clock.now += LEASE_SECONDS
    with pytest.raises(NotLeadingError):
        first.check()
    await second.acquire()
    second.check()
    await asyncio.wait_for(first.keep(), 5)
    with pytest.raises(NotLeadingError):
        first.check()
    await first.release()
    assert kube.objects[PATH]["spec"]["holderIdentity"] == "second"


async def test_a_leader_goes_on_after_the_api_server_was_away(clock: Clock) -> None:
    """
    It writes nothing meanwhile, and where nobody else has led it does not begin anew.
    """
    kube = FakeKube()
    first = _operator(kube, "first", clock)
    await first.acquire()
    keeping = asyncio.create_task(first.keep())
    kube.refuse("GET", PATH, ClusterError("away"))
    clock.now += 60
    await _turns()
    with pytest.raises(NotLeadingError):
        first.check()
    kube.refusals.clear()
    await _turns()
    first.check()
    assert not keeping.done()
    kube.refuse("GET", PATH, ClusterError("away"))
    await first.release()  # nobody can be told
    assert kube.objects[PATH]["spec"]["holderIdentity"] == "first"
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)


async def _turns() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_leader_whose_lease_was_deleted_steps_down(clock: Clock) -> None:
    """
    Somebody else may have taken the place by then.
    """
    kube = FakeKube()
    first = _operator(kube, "first", clock)
    await first.acquire()
    del kube.objects[PATH]
    await asyncio.wait_for(first.keep(), 5)
    with pytest.raises(NotLeadingError):
        first.check()


async def test_of_two_that_reach_for_the_lease_one_gets_it(clock: Clock) -> None:
    """
    The write carries the version that was read, and the late one is refused.
    """
    kube = FakeKube()
    first, second = _operator(kube, "first", clock), _operator(kube, "second", clock)
    await first.acquire()
    await first.release()
    stale = await kube.get(PATH)
    await first.acquire()

    class Late(FakeKube):
        """
        Reads what was there before.
        """

        async def get(self, _path: str, _query: Any = None) -> Manifest:
            """
            Answer too late.
            """
            return stale

    late = Late()
    late.objects = kube.objects
    second = _operator(late, "second", clock)
    assert not await second._turn()
    assert kube.objects[PATH]["spec"]["holderIdentity"] == "first"


def test_an_operator_has_a_name_of_its_own() -> None:
    """
    The pod's name where it is given, else one that no other process has; no lease, no name.
    """
    kube = FakeKube()
    assert Lease.named(kube, "", "pod") is None
    pod, one, other = (Lease.named(kube, "system/operator", name) for name in ("pod", "", ""))
    assert pod
    assert one
    assert other
    assert pod._me == "pod"
    assert pod._path == PATH
    assert one._me != other._me


def test_the_clock_goes_on_while_the_machine_sleeps() -> None:
    """
    The age of a lease is taken from a clock that never stands still.
    """
    assert lease.clock() > 0
