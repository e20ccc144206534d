"""
What only shows at run time: the reason says it, an event tells it, and stable traffic goes on.
"""

import json
import re
from typing import Any

import pytest

from testkit.cluster import MODEL, Cluster, Deployed, apply, given, kubectl, manifest, play
from testkit.traffic import Traffic

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(420)]

QUICK = {"steps": [{"weight": 50}], "progressDeadline": "20s"}


async def _stalls(deployed: Deployed, reason: str, words: str) -> None:
    """
    Wait until the canary is aborted for this reason, with the underlying error in the message.
    """
    stalled = await deployed.until_condition("Stalled", "True", reason)
    assert words in stalled["message"], stalled
    ready = await deployed.condition("Ready")
    assert ready["status"] == "True", ready
    assert (await deployed.until_outcome("Aborted"))["outcome"] == "Aborted"
    await _is_told(deployed, reason)


async def _is_told(deployed: Deployed, reason: str) -> None:
    told = await kubectl("get", "events", f"--field-selector=reason={reason}", "--output=json")
    names = {item["involvedObject"]["name"] for item in json.loads(told)["items"]}
    assert deployed.name in names, (reason, names)


@pytest.mark.requirement("row-14")
def test_a_version_that_cannot_be_served_leaves_stable_traffic_alone() -> None:
    """
    No such version, an incomplete one, a broken one, no such bucket: each by its name.
    """

    async def scenario(cluster: Cluster) -> None:
        deployed = await given(cluster, "bad-input", rollout=QUICK)
        async with Traffic(await deployed.host(), MODEL) as traffic:
            await deployed.want_version(77)
            await _stalls(deployed, "VersionNotFound", "77")
            await deployed.want_version(7)
            await _stalls(deployed, "ModelUnusable", "cannot be loaded: ")
            await deployed.want_version(8)
            await _stalls(deployed, "ModelUnusable", "saved_model.pb")
            await deployed.want_version(9)
            stalled = await deployed.until_condition("Stalled", "True", "ProgressDeadlineExceeded")
            assert "variables" in stalled["message"], stalled
            await deployed.patch(
                {"spec": {"model": {"version": 1, "uri": "s3://no-such-bucket/m"}}}
            )
            await _stalls(deployed, "StorageNotFound", "no-such-bucket")
        assert traffic.seen.failures == []
        assert set(traffic.seen.versions["rest"]) == {"1"}
        await deployed.delete()

    play(scenario)


@pytest.mark.long
@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param({"server": {"image": "registry.local:5000/none:1"}}, "none:1", id="image"),
        pytest.param({"resources": {"limits": {"memory": "150Mi"}}}, "memory", id="memory"),
        pytest.param({"resources": {"requests": {"cpu": "500"}}}, "cpu", id="unschedulable"),
        pytest.param({"model": {"secretName": "no-such-secret"}}, "no-such-secret", id="secret"),
    ],
)
def test_a_canary_that_never_becomes_ready_is_aborted_at_its_deadline(
    change: dict[str, Any], words: str
) -> None:
    """
    The deadline's message holds the reason for which the pods are not ready; nothing fails.
    """

    async def scenario(cluster: Cluster) -> None:
        deployed = await given(cluster, "never-ready", rollout=QUICK)
        async with Traffic(await deployed.host(), MODEL) as traffic:
            await deployed.patch({"spec": change})
            await _stalls(deployed, "ProgressDeadlineExceeded", words)
        assert traffic.seen.failures == []
        await deployed.delete()

    play(scenario)


def test_a_name_that_is_taken_is_never_applied_over() -> None:
    """
    An object that is not ours stays as it is, and the condition names it.
    """

    async def scenario(cluster: Cluster) -> None:
        await kubectl("create", "configmap", "taken-routing", "--from-literal=mine=1")
        deployed = await apply(cluster, manifest("taken"))
        stalled = await deployed.until_condition("Stalled", "True", "NameTaken")
        assert "taken-routing" in stalled["message"]
        data = await kubectl("get", "configmap", "taken-routing", "--output=jsonpath={.data}")
        assert json.loads(data) == {"mine": "1"}
        await kubectl("delete", "configmap", "taken-routing")
        await deployed.until_stable(1)
        await deployed.delete()

    play(scenario)


def test_an_object_that_the_api_server_refuses_is_told() -> None:
    """
    What only the API server can judge stalls with its words, and goes on once it is mended.
    """

    async def scenario(cluster: Cluster) -> None:
        more = {"requests": {"cpu": "10m", "memory": "2Gi"}, "limits": {"memory": "1Gi"}}
        deployed = await apply(cluster, manifest("refusal", resources=more))
        stalled = await deployed.until_condition("Stalled", "True", "ApplyRefused")
        assert "must be less than or equal to memory limit" in stalled["message"], stalled
        await _is_told(deployed, "ApplyRefused")
        await deployed.patch({"spec": {"resources": {"limits": {"memory": "3Gi"}}}})
        await deployed.patch({"spec": {"resources": {"requests": {"memory": "64Mi"}}}})
        await deployed.until_stable(1)
        assert not await deployed.condition("Stalled")
        await deployed.delete()

    play(scenario)


_CHECKED = {"analysis": {"checks": [{"name": "errors", "errorRate": {"max": 1}}]}}
_BEHIND = {"provider": "Gateway", "gateway": {"parentRefs": [{"name": "public"}]}}
_IN_PLACE = {"strategy": "InPlace"}
_REPLAYED = {
    "analysis": {"checks": [{"name": "old", "replay": {"uri": "s3://logs/x", "maxMismatch": 1}}]}
}

WRONG: list[tuple[dict[str, Any], str]] = [
    ({"model": {"uri": "ftp://models/x"}}, "spec.model.uri"),
    ({"model": {"version": "the newest"}}, "spec.model.version"),
    ({"model": {"version": "1" * 19}}, "at most 18 digits"),
    ({"model": {"version": "canary"}}, "cannot be versions"),
    ({"model": {"alsoServe": [{"version": "latest"}]}}, "served for good"),
    ({"model": {"version": "v1", "alsoServe": [{"version": 2, "labels": ["v1"]}]}}, "may not be"),
    ({"model": {"version": "v1"}, "server": {"image": "tf:1"}}, "by numbers alone"),
    ({"model": {"name": "other"}}, "spec.model.name is immutable"),
    ({"replicas": -1}, "spec.replicas"),
    ({"analysis": {}}, 'unknown field "spec.analysis"'),
    ({"rollout": {"steps": [{"weight": 101}]}}, "spec.rollout.steps[0].weight"),
    ({"rollout": {"steps": [{"weight": "0.001%"}]}}, "spec.rollout.steps[0].weight"),
    ({"rollout": {"steps": [{"weight": 5, "hold": "5 minutes"}]}}, "spec.rollout.steps[0].hold"),
    ({"rollout": {"strategy": "Blue"}}, "spec.rollout.strategy"),
    ({"rollout": {"strategy": "Rolling", "steps": [{"weight": 5}]}}, "steps are for"),
    ({"rollout": {"blueGreen": {"hold": "1m"}}}, "blueGreen is for"),
    ({"rollout": {"strategy": "Rolling", "capacity": "Scarce"}}, "capacity Scarce is for"),
    ({"rollout": {"maxSurge": 1}}, "maxSurge is for"),
    ({"rollout": {"strategy": "BlueGreen", "blueGreen": {"hold": "0s"}, **_CHECKED}}, "judge"),
    ({"rollout": {"strategy": "Rolling", **_CHECKED}}, "only job and replay can"),
    ({"server": {"args": ["--port=1"]}}, "set by the operator"),
    ({"resources": {"requests": {"cpu": "lots"}}}, "quantity"),
    ({"traffic": {"provider": "Gateway"}}, "needs traffic.gateway"),
    ({"traffic": {**_BEHIND, "sticky": {"header": "x-user"}}}, "are the routers' work"),
    ({"traffic": {**_BEHIND, "auth": {"tokensSecretName": "t"}}}, "are the routers' work"),
    ({"traffic": {**_BEHIND, "tls": {"secretName": "t"}}}, "traffic.tls ends at the routers"),
    (
        {"server": {"image": "tensorflow/serving"}, "traffic": {"tls": {"secretName": "t"}}},
        "traffic.tls needs our own image",
    ),
    ({"traffic": _BEHIND, "rollout": {"steps": [{"weight": "0.5%"}]}}, "by whole percents"),
    ({"traffic": _BEHIND, "model": {"keepVersions": 1}}, "reached by the routers' pins"),
    ({"traffic": _BEHIND, "rollout": _IN_PLACE}, "cannot tell two versions in one pod apart"),
    ({"server": {"image": "other:1"}, "rollout": _IN_PLACE}, "needs the operator's own runtime"),
    ({"model": {"keepVersions": 1}, "rollout": _IN_PLACE}, "and no others"),
    ({"model": {"cache": {"claimName": "c"}}, "rollout": _IN_PLACE}, "leave model.cache out"),
    ({"model": {"cache": {"claimName": "A"}}}, "spec.model.cache.claimName"),
    ({"model": {"platform": "onnx"}}, "spec.model.platform"),
    ({"rollout": {**_IN_PLACE, "steps": [{"weight": 5}], **_REPLAYED}}, "which InPlace has not"),
    ({"autoscaling": {"minReplicas": 3, "maxReplicas": 2}}, "may not be above"),
    ({"autoscaling": {"maxReplicas": 2}, "resources": {"requests": {}}}, "resources.requests.cpu"),
]


def test_a_wrong_spec_is_refused_with_a_sentence_that_names_the_field() -> None:
    """
    What can be judged from the object alone never gets past the API server.
    """

    async def scenario(cluster: Cluster) -> None:
        good = manifest("refused", replicas=0)
        deployed = await apply(cluster, good)
        for change, words in WRONG:
            body = json.loads(json.dumps(good))
            for part, value in change.items():
                inner = isinstance(value, dict) and isinstance(body["spec"].get(part), dict)
                body["spec"][part] = {**body["spec"][part], **value} if inner else value
            with pytest.raises(AssertionError, match=re.escape(words)):
                await kubectl("apply", "-f", "-", stdin=json.dumps(body))
        for name in ("9lives", "a" * 41, "dotted.name"):
            body = {**good, "metadata": {"name": name}}
            with pytest.raises(AssertionError, match="must start with a letter"):
                await kubectl("apply", "-f", "-", stdin=json.dumps(body))
        await deployed.delete()

    play(scenario)
