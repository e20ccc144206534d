"""
The order of effects on a real cluster: everything that changed, told by the API server itself.
"""

import logging

import pytest

from testkit.chronicle import Chronicle, broken
from testkit.cluster import MODEL, Cluster, given, play
from testkit.traffic import Grpc, Rest, Traffic, send_many

log = logging.getLogger(__name__)

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(420), pytest.mark.long]

STEPS = [{"weight": 10, "approval": True}, {"weight": 50, "approval": True}]


@pytest.mark.parametrize("replicas", [1, 2])
def test_every_change_comes_in_its_order(replicas: int) -> None:
    """
    A promotion, an abort and a change back: no change of any object breaks a rule.

    A tenth of the requests goes to the canary at either size: one pod beside one, or beside two.
    """

    async def scenario(cluster: Cluster) -> None:
        name = f"ordered-{replicas}"
        deployed = await given(cluster, name, replicas=replicas, rollout={"steps": STEPS})
        host = await deployed.host()
        async with Chronicle(name) as chronicle, Traffic(host, MODEL) as traffic:
            await deployed.want_version(2)
            second = (await deployed.until_weight("10%", 2))["revision"]
            clients: list[Rest | Grpc] = [Rest(host, MODEL), Grpc(host, MODEL)]
            seen = await send_many(clients, 1_500)
            await deployed.act(f"approve@{second}/1")
            await deployed.until_weight("50%", 2)
            await deployed.act(f"approve@{second}/2")
            await deployed.until_stable(2)
            await deployed.want_version(3)
            third = (await deployed.until_weight("10%", 3))["revision"]
            await deployed.act(f"approve@{third}/1")
            await deployed.until_weight("50%", 3)
            await deployed.act(f"abort@{third}")
            await deployed.until_outcome("Aborted")
            await deployed.want_version(1)
            await deployed.until_weight("10%", 1)
            await deployed.want_version(2)
            await deployed.until_outcome("RolledBack")
            await traffic.answered()
        assert traffic.seen.failures == seen.failures == []
        got = sum(seen.versions[protocol]["2"] for protocol in ("rest", "grpc"))
        assert 0.07 < got / 1_500 < 0.13
        log.info("%d changes, a tenth was %d of 1500", len(chronicle.changes), got)
        assert broken(chronicle.changes, replicas) == []
        # The same history told backwards breaks most of them: they can fail.
        backwards = {said.split(" at ")[0] for said in broken(chronicle.changes[::-1], replicas)}
        assert len(backwards) >= 4, backwards
        await deployed.delete()

    play(scenario)
