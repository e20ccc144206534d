"""
Leases: what is used does not go.
"""

import pytest

from modeldeploy_runtime.lifecycle.handle import Lease


def test_a_closed_lease() -> None:
    """
    Nobody enters a closed lease, and the last one to leave tells whoever closed it, once.
    """
    told: list[str] = []
    lease = Lease("held")
    assert lease.enter()
    assert lease.enter()
    lease.close(lambda: told.append("unused"))
    assert not lease.enter()
    lease.leave()
    assert told == []
    lease.leave()
    assert told == ["unused"]
    assert lease.expire() == 0
    assert told == ["unused"]


def test_an_unused_lease() -> None:
    """
    A lease that nobody uses is free at once.
    """
    told: list[str] = []
    Lease("held").close(lambda: told.append("unused"))
    assert told == ["unused"]


@pytest.mark.parametrize("users", [1, 3])
def test_patience_ends(users: int) -> None:
    """
    Whoever waits no longer learns how many users are left, and is told only once.
    """
    told: list[str] = []
    lease = Lease("held")
    for _ in range(users):
        assert lease.enter()
    lease.close(lambda: told.append("free"))
    assert lease.expire() == users
    for _ in range(users):
        lease.leave()
    assert told == ["free"]
