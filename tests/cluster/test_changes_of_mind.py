"""
What a person does in mid-canary: abort, retry, revert, want a third version, pause, undo.
"""

import pytest

from testkit.cluster import MODEL, Cluster, Deployed, given, play
from testkit.traffic import Seen, Traffic

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(420)]

STEPS = {"steps": [{"weight": 20, "approval": True}]}


async def _canary(deployed: Deployed, version: int) -> str:
    await deployed.want_version(version)
    canary = await deployed.until_weight("20%", version)
    return str(canary["revision"])


def _nothing_failed(seen: Seen) -> None:
    assert seen.failures == []
    assert min(seen.total("rest"), seen.total("grpc")) > 100


@pytest.mark.requirement("row-14")
def test_abort_retry_revert_and_a_third_version_fail_no_request() -> None:
    """
    Every change of mind in mid-canary ends where it should, and no client notices.
    """

    async def scenario(cluster: Cluster) -> None:
        deployed = await given(cluster, "changes", replicas=1, rollout=STEPS)
        first = await deployed.revision("stable")
        async with Traffic(await deployed.host(), MODEL) as traffic:
            second = await _canary(deployed, 2)

            await deployed.act("abort@0000000000")
            refused = await deployed.until_condition("ActionRefused", "True", "ActionRefused")
            assert second in refused["message"]

            await deployed.act(f"abort@{second}")
            await deployed.until_outcome("Aborted")
            await deployed.until_condition("Stalled", "True", "Aborted")
            assert (await deployed.condition("Ready"))["status"] == "True"
            assert await deployed.revision("stable") == first

            await deployed.act(f"retry@{second}")
            await deployed.until_weight("20%")

            await deployed.want_version(1)
            await deployed.until_outcome("RolledBack")
            assert await deployed.revision("stable") == first

            await _canary(deployed, 2)
            await deployed.want_version(3)
            third = (await deployed.until_weight("20%", 3))["revision"]
            assert third not in (first, second)
            chapters = (await deployed.status())["history"]
            assert (chapters[0]["outcome"], chapters[0]["revision"]) == ("Superseded", second)
            assert set(await cluster.deployments(deployed.name)) == {first, third}

            await deployed.act(f"approve@{third}/1")
            await deployed.until_stable(3)
        _nothing_failed(traffic.seen)
        await deployed.delete()

    play(scenario)


@pytest.mark.long
def test_pause_and_undo() -> None:
    """
    A pause keeps the weight, promote-full skips the steps, and undo runs a kept revision.
    """

    async def scenario(cluster: Cluster) -> None:
        deployed = await given(cluster, "pauses", replicas=1, rollout=STEPS)
        first = await deployed.revision("stable")
        async with Traffic(await deployed.host(), MODEL) as traffic:
            second = await _canary(deployed, 2)
            await deployed.patch({"spec": {"rollout": {"paused": True}}})
            await deployed.until_condition("Reconciling", "True", "Paused")
            await deployed.act(f"approve@{second}/1")
            await deployed.until_condition("Reconciling", "True", "Paused")
            assert (await deployed.until_weight("20%"))["step"] == 1
            await deployed.patch({"spec": {"rollout": {"paused": False}}})
            await deployed.until_stable(2)

            await deployed.act(f"undo@{first}")
            await deployed.until_weight("20%", 1)
            await deployed.act(f"promote-full@{first}")
            await deployed.until_outcome("FastPromoted")
            assert (await deployed.condition("Promoted"))["reason"] == "Undone"
            assert await deployed.revision("stable") == first
        _nothing_failed(traffic.seen)
        await deployed.delete()

    play(scenario)
