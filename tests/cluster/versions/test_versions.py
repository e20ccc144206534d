"""
Several versions of one deployment at once: who answers a request that names one, and who the rest.
"""

import math
from collections import Counter
from typing import Any

import grpc
import pytest

from modeldeploy_runtime.protos import messages
from testkit.asking import Asker, message_of
from testkit.cluster import MODEL, Cluster, Deployed, given, play, until
from testkit.load import PREDICT
from testkit.traffic import Grpc, Rest, Traffic, send_many

pytestmark = [pytest.mark.cluster, pytest.mark.long, pytest.mark.timeout(540)]

HALF = {"steps": [{"weight": 50, "approval": True}], "progressDeadline": "120s"}
MODEL_SPEC = {"name": MODEL, "uri": f"s3://models/{MODEL}", "secretName": "s3-models"}
EXPERIMENT = {"version": 2, "labels": ["experiment"], "weight": 20}
SIZES = (100, 15_000, 20_000, 600_000, 19_000_000)
USERS = [f"user-{number}" for number in range(150)]


async def _assert_pinned(asker: Asker, version: str, label: str = "") -> None:
    """
    Check each way in which a request can name a version and its label.
    """
    for _ in range(3):
        assert await asker.rest(f"/versions/{version}") == version
        assert await asker.rest(x_model_version=version) == version
        assert await asker.grpc(version=int(version)) == version
        assert await asker.grpc(metadata={"x_model_version": version}) == version
        if label:
            assert await asker.rest(f"/labels/{label}") == version
            assert await asker.rest(x_model_label=label) == version
            assert await asker.grpc(label=label) == version
            assert await asker.grpc(metadata={"x_model_label": label}) == version


async def _assert_unknown(asker: Asker, version: str) -> None:
    assert await asker.rest(f"/versions/{version}") == "404"
    assert await asker.grpc(version=int(version)) == "NOT_FOUND"


async def _assert_compressed(host: str) -> None:
    """
    A compressed message goes by its metadata; without any, nobody else answers for its version.
    """
    channel = grpc.aio.insecure_channel(f"{host}:8500", compression=grpc.Compression.Gzip)
    call = channel.unary_unary(PREDICT)
    refused = Counter[str]()
    for version in (1, 2, 3) * 7:
        body, pin = message_of(20_000, version=version), [("x-model-version", str(version))]
        for metadata in (pin, None):
            try:
                answer = await call(body, metadata=metadata, timeout=30)
            except grpc.aio.AioRpcError as error:
                refused[f"{error.code().name} {bool(metadata)} {error.details()}"] += 1
                continue
            assert messages.PredictResponse.FromString(answer).model_spec.version.value == version
    assert refused
    assert all(what.startswith("NOT_FOUND False") for what in refused), refused
    assert all("x-model-version" in what for what in refused), refused
    await channel.close()


async def _shares(host: str, count: int = 2000) -> dict[str, float]:
    """
    Return which share of unpinned requests each version answered, half of them over gRPC.
    """
    seen = await send_many([*(Rest(host, MODEL) for _ in range(3)), Grpc(host, MODEL)], count)
    assert seen.failures == []
    answered = seen.versions["rest"] + seen.versions["grpc"]
    return {version: n / count for version, n in answered.items()}


def _is_near(share: float, wanted: float, count: int = 2000) -> bool:
    return abs(share - wanted) <= 4 * math.sqrt(wanted * (1 - wanted) / count)


async def _available(deployed: Deployed, version: str) -> None:
    async def stands() -> bool:
        found = (await deployed.status()).get("versions", [])
        return {"version": version, "state": "AVAILABLE"}.items() <= _of(found, version).items()

    await until(f"version {version} is available", stands, 120)


def _of(versions: list[dict[str, Any]], version: str) -> dict[str, Any]:
    return next((one for one in versions if one["version"] == version), {})


def test_several_versions_answer_for_good() -> None:
    """
    Under load: pins of every kind and size, lasting shares, a kept predecessor; nothing fails.
    """

    async def scenario(cluster: Cluster) -> None:
        deployed = await given(cluster, "several", rollout=HALF)
        host = await deployed.host()
        asker = Asker(host)
        async with Traffic(host, MODEL, pause=0.1) as traffic:
            model = {**MODEL_SPEC, "version": 1, "keepVersions": 1, "alsoServe": [EXPERIMENT]}
            await deployed.patch({"spec": {"model": model}})
            await _available(deployed, "2")
            await _assert_share_comes(host)
            await _assert_unknown(asker, "3")
            assert await asker.rest("/labels/canary") == "404"
            await deployed.want_version(3)
            await deployed.until_weight("50%")
            for version, label in (("1", "stable"), ("2", "experiment"), ("3", "canary")):
                await _assert_pinned(asker, version, label)
                for size in SIZES:
                    assert await asker.grpc(size, version=int(version)) == version
            await _assert_compressed(host)
            shares = await _shares(host)
            for version, wanted in (("1", 0.4), ("2", 0.2), ("3", 0.4)):
                assert _is_near(shares[version], wanted), shares
            await deployed.act(f"promote@{await deployed.revision('canary')}")
            await deployed.until_stable(3)
            for version, label in (("1", ""), ("2", "experiment"), ("3", "stable")):
                await _assert_pinned(asker, version, label)
            shares = await _shares(host)
            assert set(shares) == {"2", "3"}
            assert _is_near(shares["2"], 0.2), shares
            await deployed.patch({"spec": {"model": {"keepVersions": 0, "alsoServe": []}}})
            await _assert_gone(asker, "1", "2")
        assert traffic.seen.failures == []
        await asker.close()
        await deployed.delete()

    play(scenario)


async def _assert_share_comes(host: str) -> None:
    async def comes() -> bool:
        return _is_near((await _shares(host)).get("2", 0.0), 0.2)

    await until("version 2 has its lasting share", comes, 60)


async def _assert_gone(asker: Asker, *versions: str) -> None:
    async def gone() -> bool:
        return all([await asker.rest(f"/versions/{v}") == "404" for v in versions])

    await until(f"{versions} are gone", gone, 90)


async def _canary_of(asker: Asker) -> set[str]:
    """
    Return which users the canary answers; REST and gRPC must agree.
    """
    found = set()
    for user in USERS:
        version = await asker.rest(x_user_id=user)
        assert await asker.grpc(metadata={"x_user_id": user}) == version
        if version == "2":
            found.add(user)
    return found


def test_groups_are_answered_by_rule_and_users_stay() -> None:
    """
    A rule leads its group to the canary once it has a share; users move one way as weights grow.
    """

    async def scenario(cluster: Cluster) -> None:
        traffic_spec = {
            "router": {"resources": {"requests": {"cpu": "10m", "memory": "64Mi"}}},
            "match": [{"name": "beta", "headers": {"x-cohort": "beta"}, "to": "Canary"}],
            "sticky": {"header": "x-user-id"},
        }
        steps = [{"weight": weight, "approval": True} for weight in (0, 20, 50, 80)]
        rollout = {"steps": steps, "progressDeadline": "120s"}
        deployed = await given(cluster, "groups", rollout=rollout, traffic=traffic_spec)
        host = await deployed.host()
        asker = Asker(host)
        async with Traffic(host, MODEL, pause=0.1) as traffic:
            assert await asker.rest(x_cohort="beta") == "1"
            await deployed.want_version(2)
            await deployed.until_condition("Reconciling", "True", "AwaitingApproval")
            assert await asker.rest(x_cohort="beta") == "1"
            before: set[str] = set()
            for step, weight in enumerate((20, 50, 80), 1):
                await deployed.act(f"approve@{await deployed.revision('canary')}/{step}")
                await deployed.until_weight(f"{weight}%")
                for _ in range(20):
                    assert await asker.rest(x_cohort="beta") == "2"
                    assert await asker.grpc(metadata={"x_cohort": "beta"}) == "2"
                users = await _canary_of(asker)
                assert before < users
                assert abs(len(users) / len(USERS) - weight / 100) <= 0.17
                before = users
        assert traffic.seen.failures == []
        await asker.close()
        await deployed.delete()

    play(scenario)
