"""
TLS on a cluster: from the client to the router, and again from the router to the pods.
"""

import json
import ssl
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from testkit.authority import Authority
from testkit.cluster import MODEL, Cluster, Deployed, given, kubectl, play, until
from testkit.load import RestClient
from testkit.traffic import Traffic

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600), pytest.mark.long]

NAME = "public"
SYNCED = 180
"""Seconds within which the kubelet and the routers have taken a changed Secret."""
PLAIN, SECURE = (8500, 8501), (8506, 8507)
ESTABLISHED = "01"
CONNECTIONS = "print(open('/proc/net/tcp').read() + open('/proc/net/tcp6').read())"


async def _secret(folder: Path) -> None:
    """
    Write the Secret as its users do.
    """
    made = await kubectl(
        *("create", "secret", "tls", NAME, f"--cert={folder}/tls.crt", f"--key={folder}/tls.key"),
        *("--dry-run=client", "--output=json"),
    )
    await kubectl("apply", "-f", "-", stdin=made)


async def _upstreams(deployed: Deployed) -> Counter[int]:
    """
    Count the connections that routers have to ports of pods.
    """
    found: Counter[int] = Counter()
    for pod in await deployed.cluster.pods(deployed.name, "router"):
        name = pod["metadata"]["name"]
        text = await kubectl("exec", name, "-c", "router", "--", "python3", "-c", CONNECTIONS)
        rows = [line.split() for line in text.splitlines()]
        remote = [row[2] for row in rows if len(row) > 3 and row[3] == ESTABLISHED]
        found.update(int(address.rpartition(":")[2], 16) for address in remote)
    return found


async def _shown(host: str, trusted: str) -> bool:
    """
    Tell whether a new client that trusts one authority alone is answered.
    """
    client = RestClient(host, trusted=ssl.create_default_context(cadata=trusted))
    try:
        status, _, _ = await client.send("GET", f"/v1/models/{MODEL}")
    except ssl.SSLCertVerificationError:
        return False
    finally:
        client.close()
    return status == 200


async def _pods(deployed: Deployed, component: str) -> set[str]:
    pods = await deployed.cluster.pods(deployed.name, component)
    return {pod["metadata"]["uid"] for pod in pods}


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


async def _encrypted(host: str, trusted: str) -> bool:
    """
    Tell whether a new client comes in encrypted; a router of before speaks plainly.
    """
    try:
        return await _shown(host, trusted)
    except (OSError, EOFError):
        return False


async def _turn_on(deployed: Deployed, users: Authority, folder: Path) -> None:
    """
    Set the field before its Secret is there, then make the Secret; no pod of the model notices.
    """
    host, servers = await deployed.host(), await _pods(deployed, "server")
    await deployed.patch({"spec": {"traffic": {"tls": {"secretName": NAME}}}})
    failing = await deployed.until_condition("RouterFailing", "True", "ContainerFailed")
    assert "spec.traffic.tls.secretName" in failing["message"]
    assert (await deployed.condition("Ready"))["status"] == "True"
    await _secret(users.secret(folder, "first"))

    async def all_encrypted() -> bool:
        trusted = users.certificate.read_text()
        answers = [await _encrypted(host, trusted) for _ in range(10)]
        return all(answers) and not await deployed.condition("RouterFailing")

    await until("every router is encrypted", all_encrypted, SYNCED, poll=1)
    assert (await deployed.status())["url"].startswith("https://")
    assert await _pods(deployed, "server") == servers


async def _renew(deployed: Deployed, other: Authority, folder: Path) -> None:
    """
    Give the routers another certificate; they take it without a restart.
    """
    host, routers = await deployed.host(), await _pods(deployed, "router")
    await _secret(other.secret(folder, "second"))

    async def renewed() -> bool:
        new = other.certificate.read_text()
        return all([await _shown(host, new) for _ in range(10)])

    await until("new clients are shown the new certificate", renewed, SYNCED, poll=1)
    assert await _pods(deployed, "router") == routers


def test_both_ways_are_encrypted_in_a_canary_and_a_renewal(tmp_path: Path) -> None:
    """
    No pod of the model is restarted for it, and no encrypted request fails afterwards.
    """
    users, other = Authority(_made(tmp_path / "users")), Authority(_made(tmp_path / "others"))

    async def scenario(cluster: Cluster) -> None:
        await kubectl("delete", "secret", NAME, "--ignore-not-found")
        steps: dict[str, Any] = {"steps": [{"weight": 50, "approval": True}]}
        deployed = await given(cluster, "sealed", rollout=steps)
        await _turn_on(deployed, users, tmp_path / "first")
        trusted = users.certificate.read_text()
        async with Traffic(await deployed.host(), MODEL, trusted=trusted) as traffic:
            await traffic.answered()
            await deployed.want_version(2)
            canary = await deployed.until_weight("50%")
            await traffic.answered()
            upstreams = await _upstreams(deployed)
            assert sum(upstreams[port] for port in SECURE) > 0, upstreams
            assert sum(upstreams[port] for port in PLAIN) == 0, upstreams
            await deployed.act(f"approve@{canary['revision']}/1")
            await deployed.until_stable(2)
            await traffic.answered()
            await _renew(deployed, other, tmp_path / "second")
            await traffic.answered()
        assert traffic.seen.failures == []
        assert set(traffic.seen.last) == {"1", "2"}
        await deployed.delete()
        await kubectl("delete", "secret", NAME)

    play(scenario)


def test_the_certificate_of_pods_is_found_in_no_other_place() -> None:
    """
    Each object has a Secret of its own that goes with it; the routers get no key of it.
    """

    async def scenario(cluster: Cluster) -> None:
        deployed = await given(cluster, "apart")
        secret = json.loads(await kubectl("get", "secret", "apart-encryption", "-o", "json"))
        assert set(secret["data"]) == {"ssl.config", "ca.crt"}
        assert secret["metadata"]["ownerReferences"][0]["name"] == "apart"
        await deployed.delete()

        async def gone() -> bool:
            left = ("get", "secret", "apart-encryption", "--ignore-not-found", "-o", "name")
            return not await kubectl(*left)

        await until("the Secret goes with its object", gone)

    play(scenario)
