"""
Canaries that others judge on a cluster: Prometheus, a web page, a Job, recorded requests.
"""

import asyncio
import base64
import json
import logging
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from testkit.cluster import MODEL, NAMESPACE, Cluster, Deployed, given, kubectl, play, until
from testkit.traffic import Traffic

log = logging.getLogger(__name__)

pytestmark = [pytest.mark.cluster, pytest.mark.long, pytest.mark.timeout(900)]

HERE, ROOT = Path(__file__).parent, Path(__file__).parents[3]
PAGES, PROMETHEUS = f"http://pages.{NAMESPACE}:8080", f"http://prometheus.{NAMESPACE}:9090"
RESTRICTED = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
POD = {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}}
LONG = 240
"""Seconds that a rollout may take on a machine that does other things, too."""
LIMIT = 0.02
"""Seconds, between the means of a good version, 0.001, and of the slow one, 0.04 at least."""
PYTHON = "/opt/venv/bin/python"
SLOWNESS = (
    'sum(rate(modeldeploy_request_duration_seconds_sum{revision="{{canary}}"}[10s])) / '
    'sum(rate(modeldeploy_request_duration_seconds_count{revision="{{canary}}"}[10s]))'
)
ACCEPTANCE = """
import json, os, sys, urllib.request
where = f"{os.environ['MODELDEPLOY_CANARY_REST']}/v1/models/{os.environ['MODELDEPLOY_MODEL']}"
with urllib.request.urlopen(f"{where}:predict", b'{"instances": [0.0]}') as answer:
    found = json.load(answer)["predictions"][0]
if found != 3.0:
    sys.exit(f"An input of 0 gave {found}, and 3.0 is right.")
"""


def _program(*args: str, stdin: str | None = None) -> str:
    done = subprocess.run(args, input=stdin, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, f"{' '.join(args[:4])}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout


async def _python_image(cluster: Cluster) -> str:
    """
    Find an image with Python that the cluster has: the operator's.
    """
    (pod,) = await cluster.operator_pods()
    return str(pod["spec"]["containers"][0]["image"])


async def _address(cluster: Cluster, service: str) -> str:
    path = f"/api/v1/namespaces/{NAMESPACE}/services/{service}"
    return str((await cluster.kube.get(path))["spec"]["clusterIP"])


async def _scale(name: str, replicas: int) -> None:
    """
    Scale one of the judges, and wait until its Service says the same.
    """
    await kubectl("scale", f"deployment/{name}", f"--replicas={replicas}")
    if replicas:
        await kubectl("rollout", "status", f"deployment/{name}", "--timeout=60s")
    else:
        await kubectl("wait", "--for=delete", "pod", f"--selector=app={name}", "--timeout=60s")


def _analysis(*checks: dict[str, Any], hold: str = "8s", **analysis: Any) -> dict[str, Any]:
    return {
        "steps": [{"weight": 30, "hold": hold}],
        "analysis": {"interval": "2s", "checks": list(checks), **analysis},
    }


def _verdict(status: dict[str, Any], check: str) -> dict[str, Any]:
    checks = (status.get("canary") or {}).get("checks", [])
    return next((found for found in checks if found["name"] == check), {})


async def _until_verdict(deployed: Deployed, check: str, verdict: str) -> dict[str, Any]:
    async def said() -> dict[str, Any]:
        found = _verdict(await deployed.status(), check)
        return found if found.get("verdict") == verdict else {}

    found: dict[str, Any] = await until(f"{check} {verdict}", said, LONG)
    return found


def _nothing_of(traffic: Traffic, version: int) -> bool:
    return not any(counts[str(version)] for counts in traffic.seen.versions.values())


# --- the judges ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def prometheus(installation: None) -> Iterator[None]:
    """
    Run a Prometheus that scrapes every model server of the namespace.
    """
    devcluster = str(Path(sys.executable).with_name("devcluster"))
    lines = _program(devcluster, "images", "prometheus").splitlines()
    image = next(line.split()[1] for line in lines if line.startswith("prometheus "))
    text = (ROOT / "examples/prometheus/prometheus.yaml").read_text()
    text = text.replace("PROMETHEUS_IMAGE", image)
    kube = ("kubectl", "--namespace", NAMESPACE)
    _program(*kube, "apply", "-f", "-", stdin=text)
    _program(*kube, "rollout", "status", "deployment/prometheus", "--timeout=120s")
    yield
    _program(*kube, "delete", "-f", "-", stdin=text)


def _pages_manifest(image: str) -> dict[str, Any]:
    container = {
        "name": "pages",
        "image": image,
        "command": [PYTHON, "/pages/pages.py", "8080"],
        "ports": [{"containerPort": 8080}],
        "readinessProbe": {"tcpSocket": {"port": 8080}, "periodSeconds": 1},
        "securityContext": RESTRICTED,
        "volumeMounts": [{"name": "pages", "mountPath": "/pages"}],
    }
    pod = {
        "securityContext": POD,
        "terminationGracePeriodSeconds": 0,
        "containers": [container],
        "volumes": [{"name": "pages", "configMap": {"name": "pages"}}],
    }
    labels = {"app": "pages"}
    return {
        "apiVersion": "v1",
        "kind": "List",
        "items": [
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": "pages"},
                "data": {"pages.py": (HERE / "pages.py").read_text()},
            },
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": "pages-token"},
                "stringData": {"token": "open-sesame"},
            },
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": "pages"},
                "spec": {"selector": labels, "ports": [{"port": 8080}]},
            },
            {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": {"name": "pages"},
                "spec": {
                    "selector": {"matchLabels": labels},
                    "template": {"metadata": {"labels": labels}, "spec": pod},
                },
            },
        ],
    }


@pytest.fixture(scope="module")
def pages(installation: None) -> Iterator[None]:
    """
    Run a web server whose pages the tests write.
    """

    async def run(cluster: Cluster) -> None:
        body = json.dumps(_pages_manifest(await _python_image(cluster)))
        await kubectl("apply", "-f", "-", stdin=body)
        await kubectl("rollout", "status", "deployment/pages", "--timeout=60s")

    async def end(_: Cluster) -> None:
        await kubectl("delete", "deployment/pages", "service/pages", "secret/pages-token")

    play(run)
    yield
    play(end)


async def _page(cluster: Cluster, method: str, name: str, body: Any = None) -> dict[str, Any]:
    """
    Write a page, or ask how often it was read.
    """
    url = f"http://{await _address(cluster, 'pages')}:8080/{name}"
    request = urllib.request.Request(url, json.dumps(body).encode(), method=method)

    def send() -> dict[str, Any] | None:
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                found: dict[str, Any] = json.load(answer)
                return {"answered": True, **found}
        except OSError:
            # The Service has not heard of its new pod yet.
            return None

    found: dict[str, Any] = await until("the page", lambda: asyncio.to_thread(send))
    return found


def _web(name: str) -> dict[str, Any]:
    path = "$.quality[0].complaints"
    web = {"url": f"{PAGES}/{name}", "jsonPath": path, "max": 1, "secretName": "pages-token"}
    return {"name": "complaints", "web": web}


# --- Prometheus ----------------------------------------------------------------------------------


def test_prometheus_tells_a_slow_canary_from_a_good_one(prometheus: None) -> None:
    """
    The same query promotes one version and takes back the next, whose requests take too long.
    """

    async def scenario(cluster: Cluster) -> None:
        check = {"server": PROMETHEUS, "query": SLOWNESS, "max": LIMIT}
        rollout = _analysis({"name": "mean", "prometheus": check})
        deployed = await given(cluster, "asks-prometheus", rollout=rollout)
        async with Traffic(await deployed.host(), MODEL) as traffic:
            await deployed.want_version(2)
            passed = await _until_verdict(deployed, "mean", "Passing")
            await deployed.until_stable(2, seconds=LONG)
            await deployed.want_version(6)
            await deployed.until_weight("30%", 6, LONG)
            began = time.monotonic()
            chapter = await deployed.until_outcome("Aborted", seconds=LONG)
            took = time.monotonic() - began
            await traffic.answered()
        assert traffic.seen.failures == []
        assert float(passed["value"]) <= LIMIT
        assert "2 of the 2 bad measurements in a row" in chapter["message"]
        assert (await deployed.condition("Stalled"))["reason"] == "CheckFailed"
        log.info(
            "a mean of %s s passed; gone %.1f s after 30%%: %s", *(passed["value"], took), chapter
        )
        await deployed.delete()

    play(scenario)


def test_a_prometheus_that_is_away_rolls_nothing_back(prometheus: None) -> None:
    """
    The canary keeps its share until Prometheus answers again, and is promoted then.
    """

    async def scenario(cluster: Cluster) -> None:
        check = {"server": PROMETHEUS, "query": SLOWNESS, "max": 0.05}
        rollout = _analysis({"name": "mean", "prometheus": check}, failureLimit=1)
        deployed = await given(cluster, "prometheus-away", rollout=rollout)
        await _scale("prometheus", 0)
        try:
            async with Traffic(await deployed.host(), MODEL) as traffic:
                await deployed.want_version(2)
                held = await deployed.until_condition(
                    "Reconciling", "True", "CheckUnmeasured", LONG
                )
                await traffic.answered(300)
                status = await deployed.status()
                assert status["canary"]["weight"]["effective"] == "30%"
                assert "Stalled" not in {c["type"] for c in status["conditions"]}
                await _scale("prometheus", 1)
                status = await deployed.until_stable(2, seconds=LONG)
            assert traffic.seen.failures == []
            assert PROMETHEUS in held["message"]
            assert status["history"][0]["outcome"] == "Promoted"
        finally:
            await _scale("prometheus", 1)
        await deployed.delete()

    play(scenario)


# --- a web page ----------------------------------------------------------------------------------


def test_only_bad_answers_in_a_row_take_a_canary_back(pages: None) -> None:
    """
    Every second answer is bad, and the canary is promoted; two in a row end the next one.
    """

    async def scenario(cluster: Cluster) -> None:
        rollout = _analysis(_web("in-a-row"), failureLimit=2)
        rollout["steps"] = [{"weight": 30, "approval": True}]
        deployed = await given(cluster, "asks-a-page", rollout=rollout)
        await _page(cluster, "PUT", "in-a-row", [9, 0, 9, 0, 9, 0])
        async with Traffic(await deployed.host(), MODEL) as traffic:
            await deployed.want_version(2)

            async def asked() -> bool:
                return bool((await _page(cluster, "POST", "in-a-row"))["asked"] >= 6)

            await until("the page is read six times", asked)
            await deployed.act(f"approve@{await deployed.revision('canary')}/1")
            await deployed.until_stable(2, seconds=LONG)
            await _page(cluster, "PUT", "in-a-row", [0, 9, 9, 0])
            await deployed.want_version(3)
            chapter = await deployed.until_outcome("Aborted", seconds=LONG)
            await traffic.answered()
        assert traffic.seen.failures == []
        assert chapter["version"] == "3"
        assert "The value is 9" in chapter["message"]
        assert "2 of the 2 bad measurements in a row" in chapter["message"]
        assert (await deployed.status())["stable"]["version"] == "2"
        await deployed.delete()

    play(scenario)


def test_a_page_that_is_away_rolls_nothing_back(pages: None) -> None:
    """
    Nor does one that may not be asked; a bad answer after the silence counts.
    """

    async def scenario(cluster: Cluster) -> None:
        rollout = _analysis(_web("away"), failureLimit=1, hold="4s")
        deployed = await given(cluster, "page-away", rollout=rollout)
        await _scale("pages", 0)
        try:
            async with Traffic(await deployed.host(), MODEL) as traffic:
                await deployed.want_version(2)
                held = await deployed.until_condition(
                    "Reconciling", "True", "CheckUnmeasured", LONG
                )
                assert f"{PAGES} could not be asked" in held["message"]
                forbidden = _web("away")
                forbidden["web"]["url"] = "http://s3:7070/"
                analysis = {"checks": [forbidden]}
                await deployed.patch({"spec": {"rollout": {"analysis": analysis}}})

                async def refused() -> bool:
                    found = _verdict(await deployed.status(), "complaints")
                    return "checks.allowedUrls" in found.get("message", "")

                await until("the page may not be asked", refused)
                status = await deployed.status()
                assert status["canary"]["weight"]["effective"] == "30%"
                await _scale("pages", 1)
                await _page(cluster, "PUT", "away", [9])
                analysis = {"checks": [_web("away")]}
                await deployed.patch({"spec": {"rollout": {"analysis": analysis}}})
                await deployed.until_outcome("Aborted", seconds=LONG)
            assert traffic.seen.failures == []
        finally:
            await _scale("pages", 1)
        await deployed.delete()

    play(scenario)


# --- a Job ---------------------------------------------------------------------------------------


def _job(image: str) -> dict[str, Any]:
    container = {
        "name": "test",
        "image": image,
        "command": [PYTHON, "-c", ACCEPTANCE],
        "securityContext": RESTRICTED,
    }
    spec = {"securityContext": POD, "containers": [container]}
    return {"name": "acceptance", "job": {"template": {"spec": spec}}}


def test_a_job_keeps_a_wrong_model_from_all_traffic() -> None:
    """
    It asks the canary's own pods: one that answers right is promoted, another gets no request.
    """

    async def scenario(cluster: Cluster) -> None:
        rollout = _analysis(_job(await _python_image(cluster)), hold="2s")
        deployed = await given(cluster, "asks-a-job", rollout=rollout)
        async with Traffic(await deployed.host(), MODEL) as traffic:
            await deployed.want_version(2)
            await deployed.until_condition("Reconciling", "True", "AwaitingChecks", LONG)
            assert _nothing_of(traffic, 2)
            await deployed.until_stable(2, seconds=LONG)
            began = time.monotonic()
            await deployed.want_version(3)
            chapter = await deployed.until_outcome("Aborted", seconds=LONG)
            took = time.monotonic() - began
            await traffic.answered()
        assert traffic.seen.failures == []
        assert _nothing_of(traffic, 3)
        assert "An input of 0 gave 4.0, and 3.0 is right." in chapter["message"]
        log.info("a failing Job ended the rollout %.1f s after the version was wanted", took)

        async def gone() -> bool:
            return not await cluster.children("/apis/batch/v1", "jobs", deployed.name)

        await until("the Job is gone", gone)
        await deployed.delete()

    play(scenario)


def test_a_job_that_cannot_run_judges_nobody() -> None:
    """
    The canary waits without traffic; with an image that is there it is judged and promoted.
    """

    async def scenario(cluster: Cluster) -> None:
        image = await _python_image(cluster)
        rollout = _analysis(_job(f"{image}-not"), hold="2s")
        deployed = await given(cluster, "job-cannot-run", rollout=rollout)
        async with Traffic(await deployed.host(), MODEL) as traffic:
            await deployed.want_version(2)
            held = await deployed.until_condition("Reconciling", "True", "CheckUnmeasured", LONG)
            assert _nothing_of(traffic, 2)
            analysis = {"checks": [_job(image)]}
            await deployed.patch({"spec": {"rollout": {"analysis": analysis}}})
            status = await deployed.until_stable(2, seconds=LONG)
        assert traffic.seen.failures == []
        assert "does not run" in held["message"]
        assert [chapter["outcome"] for chapter in status["history"]] == ["Promoted", "Promoted"]
        await deployed.delete()

    play(scenario)


# --- recorded requests ---------------------------------------------------------------------------


async def _record(cluster: Cluster, deployed: Deployed, folder: Path) -> None:
    """
    Copy what the serving pod wrote of its requests into the store, below models/recorded.
    """
    (pod,) = await cluster.pods(deployed.name, "server")
    read = ("exec", pod["metadata"]["name"], "-c", "server", "--", "sh", "-c")

    async def written() -> str:
        return await kubectl(*read, "cat /tmp/log/of* 2>/dev/null | base64 || true")

    text = await until("a request log", written)
    (folder / "recorded").mkdir()
    (folder / "recorded" / "of-half.tfrecord").write_bytes(base64.b64decode(text))
    store = f"http://{await _address(cluster, 's3')}:7070"
    upload = [sys.executable, "examples/s3/upload.py", store, str(folder / "recorded"), "models"]
    await asyncio.to_thread(_program, *upload)


def _replay(folder: str) -> dict[str, Any]:
    uri = f"s3://models/{folder}"
    return {
        "name": "recorded",
        "replay": {"uri": uri, "maxMismatch": "1%", "secretName": "s3-models"},
    }


def test_recorded_requests_judge_a_canary_before_any_traffic(tmp_path: Path) -> None:
    """
    One that answers otherwise than version 1 did gets no request; one that does not is promoted.

    Without a log nothing is said.
    """

    async def scenario(cluster: Cluster) -> None:
        flags = ["prefix=/tmp/log/of", "rate=1", "file_age=1s"]
        server = {"args": [f"--request_logging_{flag}" for flag in flags]}
        deployed = await given(cluster, "replays", server=server)
        async with Traffic(await deployed.host(), MODEL) as traffic:
            await traffic.answered(100)
            await _record(cluster, deployed, tmp_path)
            rollout = _analysis(_replay("recorded"), hold="2s")
            await deployed.patch({"spec": {"rollout": rollout}})
            began = time.monotonic()
            await deployed.want_version(2)
            chapter = await deployed.until_outcome("Aborted", seconds=LONG)
            took = time.monotonic() - began
            log.info("stopped %.1f s after the version was wanted: %s", took, chapter["message"])
            assert "recorded requests were answered otherwise" in chapter["message"]
            await deployed.patch({"spec": {"rollout": _analysis(_replay("nowhere"), hold="2s")}})
            await deployed.want_version(12)
            await deployed.until_condition("Reconciling", "True", "CheckUnmeasured", LONG)
            assert _nothing_of(traffic, 12)
            await deployed.patch({"spec": {"rollout": rollout}})
            passed = await _until_verdict(deployed, "recorded", "Passing")
            await deployed.until_stable(12, seconds=LONG)
        assert traffic.seen.failures == []
        assert _nothing_of(traffic, 2)
        assert passed["value"] == "0.00%"
        log.info("%d recorded requests were answered the same", passed["samples"])
        assert passed["samples"] >= 20
        await deployed.delete()

    play(scenario)
