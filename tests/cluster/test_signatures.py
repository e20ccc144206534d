"""
The interface that clients know is kept: before any traffic, and by comparison with what is served.
"""

import json
from typing import Any

import pytest

from testkit.cluster import MODEL, Cluster, Deployed, apply, given, kubectl, manifest, play
from testkit.traffic import Traffic

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(420)]

QUICK = {"steps": [{"weight": 50, "hold": "1s"}], "progressDeadline": "60s"}
GONE = 'In the signature "serving_default" the output "y" is gone.'


async def _events(deployed: Deployed, reason: str) -> list[dict[str, Any]]:
    told = await kubectl("get", "events", f"--field-selector=reason={reason}", "--output=json")
    items: list[dict[str, Any]] = json.loads(told)["items"]
    return [item for item in items if item["involvedObject"]["name"] == deployed.name]


@pytest.mark.requirement("row-18")
def test_a_version_that_clients_would_notice_never_gets_traffic() -> None:
    """
    It is refused under load by name, stable is untouched, and one that takes more goes through.
    """

    async def scenario(cluster: Cluster) -> None:
        deployed = await given(cluster, "signed", rollout=QUICK)
        async with Traffic(await deployed.host(), MODEL) as traffic:
            await deployed.want_version(10)
            stalled = await deployed.until_condition("Stalled", "True", "SignatureIncompatible")
            assert stalled["message"].startswith("It does not fit the clients of version 1: ")
            assert GONE in stalled["message"]
            assert (await deployed.condition("Ready"))["status"] == "True"
            aborted = await deployed.until_outcome("Aborted")
            assert aborted["version"] == "10"
            assert await _events(deployed, "SignatureIncompatible")
            assert set(traffic.seen.versions["rest"]) == {"1"}
            await deployed.want_version(11)
            await deployed.until_stable(11)
            assert not await deployed.condition("SignatureWarning")
            await traffic.answered()
            assert traffic.seen.versions["rest"]["11"] > 0
            assert traffic.seen.versions["grpc"]["11"] > 0
        assert traffic.seen.failures == []
        await deployed.delete()

    play(scenario)


@pytest.mark.long
def test_a_warning_lets_a_version_through() -> None:
    """
    With Warn the version is promoted, and a condition and an event name the difference.
    """

    async def scenario(cluster: Cluster) -> None:
        deployed = await given(cluster, "warned", rollout=QUICK)
        await deployed.patch({"spec": {"model": {"signatures": {"compatibility": "Warn"}}}})
        await deployed.want_version(10)
        await deployed.until_stable(10)
        warning = await deployed.until_condition(
            "SignatureWarning", "True", "SignatureIncompatible"
        )
        assert GONE in warning["message"]
        assert await _events(deployed, "SignatureIncompatible")
        await deployed.delete()

    play(scenario)


@pytest.mark.long
def test_a_required_signature_holds_for_the_first_version() -> None:
    """
    A first version without it never serves, and the message names what it has.
    """

    async def scenario(cluster: Cluster) -> None:
        body = manifest("required")
        body["spec"]["model"]["signatures"] = {"required": ["further"]}
        deployed = await apply(cluster, body)
        stalled = await deployed.until_condition("Stalled", "True", "SignatureMissing")
        assert '"further"; it has "serving_default"' in stalled["message"]
        await deployed.want_version(11)
        await deployed.until_stable(11)
        await deployed.delete()

    play(scenario)
