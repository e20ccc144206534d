"""
A claim that the pods share: what differs in them, and the Jobs that remove what is kept no longer.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from modeldeploy_operator.evidence import clearing as evidence
from modeldeploy_operator.manifests import shared
from modeldeploy_operator.manifests.cache import clearing
from modeldeploy_operator.manifests.cache.clearing import Clearing
from modeldeploy_operator.manifests.cache.folder import Place, place_in
from modeldeploy_operator.manifests.plan import Ground, Kept, build_plan
from modeldeploy_operator.manifests.template import build_pod_template
from modeldeploy_operator.resource.spec import ModelDeploymentSpec
from modeldeploy_operator.rollout.decision import Decision
from modeldeploy_operator.rollout.memory import Memory, Revision
from modeldeploy_operator.rollout.states import State
from testkit.objects import IMAGES, OWNER, a_spec

TESTDATA = Path(__file__).parent.parent / "testdata"
REVISION = Revision("0a1b2c3d4e", "1")
STEADY = Decision(memory=Memory(), state=State.STEADY, reason="Stable", message="")


def _spec(uri: str = "s3://models/mnist", **more: Any) -> ModelDeploymentSpec:
    model = {"uri": uri, "version": 1, "cache": {"claimName": "shelf"}, **more}
    return ModelDeploymentSpec.model_validate({"model": model})


def _template(spec: ModelDeploymentSpec) -> dict[str, Any]:
    return build_pod_template(OWNER, spec, REVISION, IMAGES)


def _many(count: int, spec: ModelDeploymentSpec) -> dict[str, Kept]:
    data = {"template": _template(spec)}
    return {f"r{n:02}": Kept(n, str(n), data) for n in range(1, count + 1)}


def _written(seen: Clearing, spec: ModelDeploymentSpec, **decided: Any) -> dict[str, list[str]]:
    ground = Ground(OWNER, a_spec(), IMAGES, _many(12, spec), {"r01": "sha256:1"}, clearing=seen)
    found: dict[str, list[str]] = {}
    for manifest in build_plan(replace(STEADY, **decided), ground):
        found.setdefault(manifest["kind"], []).append(manifest["metadata"]["name"])
    return found


def test_the_pod_and_the_job_of_a_cache(request: pytest.FixtureRequest) -> None:
    """
    Both on one page; `--update-golden`.
    """
    template = _template(_spec(platform="tensorflow"))
    place = place_in(template)
    assert place == Place("shelf", "modeldeploy-cache/mnist/0a1b2c3d4e")
    job = clearing.build_job(OWNER, IMAGES, REVISION.revision, place)
    text = yaml.safe_dump_all((template, job), sort_keys=False, width=100)
    path = TESTDATA / "cache.yaml"
    if request.config.getoption("--update-golden"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


def test_the_server_sees_the_same_path() -> None:
    """
    With a cache and without one the server is told the same, and reads alone.
    """
    plain = _template(a_spec())["spec"]["containers"][0]
    cached = _template(_spec())["spec"]["containers"][0]
    assert plain["args"] == cached["args"]
    [mount] = [m for m in cached["volumeMounts"] if m["name"] == "models"]
    assert (mount["mountPath"], mount["readOnly"]) == ("/models/mnist", True)
    assert place_in(_template(a_spec())) is None


def test_a_claim_that_is_source_and_cache_is_one_volume() -> None:
    """
    The kubelet waits for ever for a claim that a pod names twice.
    """
    pod = _template(_spec("pvc://shelf/vision"))["spec"]
    claims = [v for v in pod["volumes"] if "persistentVolumeClaim" in v]
    assert claims == [{"name": "models", "persistentVolumeClaim": {"claimName": "shelf"}}]
    mount = {"name": "models", "mountPath": "/pvc/shelf", "readOnly": True}
    assert mount in pod["initContainers"][0]["volumeMounts"]
    two = _template(_spec("pvc://source/vision"))["spec"]
    assert len([v for v in two["volumes"] if "persistentVolumeClaim" in v]) == 2


def test_shared_pods_are_told_the_platform() -> None:
    """
    Their follower checks each version that it brings.
    """
    spec = ModelDeploymentSpec.model_validate(
        {"model": {"uri": "s3://m", "version": 1, "platform": "tensorflow"}}
    )
    within = shared.build_template(OWNER, spec, "p0a1b2c3d4", IMAGES)["spec"]
    assert "--platform=tensorflow" in within["containers"][1]["args"]


def test_what_is_pruned_leaves_the_cache() -> None:
    """
    A revision that is kept no longer keeps its record until its Job has ended, well or not.
    """
    first = _written(Clearing(), _spec())
    assert first["Job"] == ["mnist-r01-cache", "mnist-r02-cache"]
    assert {"mnist-r01-1", "mnist-r02-2"} < set(first["ControllerRevision"])
    assert "mnist-r01" in first["ConfigMap"]
    after = _written(Clearing(ended={"r01": "", "r02": "It failed."}), _spec())
    assert "Job" not in after
    assert set(after["ControllerRevision"]) == {f"mnist-r{n:02}-{n}" for n in range(3, 13)}


def test_nothing_goes_that_has_pods() -> None:
    """
    Pods that end still serve; a revision that is asked for again is no longer removed.
    """
    busy = _written(Clearing(busy=frozenset({"r01"})), _spec())
    assert busy["Job"] == ["mnist-r02-cache"]
    assert "mnist-r01-1" in busy["ControllerRevision"]
    again = _written(Clearing(), _spec(), pools={"r01": 1})
    assert again["Job"] == ["mnist-r02-cache", "mnist-r03-cache"]


def test_without_a_cache_nothing_is_removed() -> None:
    """
    The volumes of pods go with them.
    """
    assert "Job" not in _written(Clearing(), a_spec())


def _job(revision: str, **conditions: str) -> dict[str, Any]:
    job = clearing.build_job(OWNER, IMAGES, revision, Place("shelf", "a"))
    job["metadata"]["uid"] = f"uid-{revision}"
    found = [{"type": kind, "status": "True", "message": m} for kind, m in conditions.items()]
    return {**job, "status": {"conditions": found}}


def test_what_the_jobs_came_to() -> None:
    """
    A failure is told with the last words of its pod, or else the Job's; a check's Job is none.
    """
    ended = {"exitCode": 1, "message": "It cannot be locked."}
    pod = {
        "metadata": {"ownerReferences": [{"uid": "uid-r02"}]},
        "status": {"containerStatuses": [{"name": "discard", "state": {"terminated": ended}}]},
    }
    check = _job("r09", Complete="")
    check["metadata"]["labels"]["app.kubernetes.io/component"] = "check"
    jobs = [
        _job("r01", Complete=""),
        _job("r02", Failed="Backoff."),
        _job("r03", Failed="Too late."),
        _job("r04"),
        check,
        {"kind": "ConfigMap", "metadata": {"name": "x"}},
    ]
    seen = evidence.read(jobs, [pod], ["r05"])
    assert seen.busy == {"r05"}
    assert seen.ended == {"r01": "", "r02": "It cannot be locked.", "r03": "Too late."}
    second, third = seen.notes(OWNER)
    assert (second.reason, second.warning) == ("CacheKept", True)
    assert "modeldeploy-cache/mnist/r02" in second.message
    assert "Too late." in third.message
