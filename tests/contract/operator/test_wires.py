"""
The wires between the programs: what one writes is what the other reads.
"""

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import reduce
from pathlib import Path
from typing import Any

import pytest

from modeldeploy_operator.cluster.certificates import Authority
from modeldeploy_operator.evidence import pods
from modeldeploy_operator.evidence.counters import Instance, of_pod, of_router
from modeldeploy_operator.evidence.routers import router_of
from modeldeploy_operator.evidence.watchers import SILENT, findings_of
from modeldeploy_operator.manifests import encryption
from modeldeploy_operator.manifests.cache import clearing
from modeldeploy_operator.manifests.cache.folder import place_in
from modeldeploy_operator.manifests.entrance.routing import KEY, build_routing
from modeldeploy_operator.manifests.template import build_pod_template
from modeldeploy_operator.manifests.watcher import build_watcher
from modeldeploy_operator.resource.latest import findings as operators
from modeldeploy_operator.resource.latest import following
from modeldeploy_operator.resource.spec import ModelDeploymentSpec
from modeldeploy_operator.rollout.memory import Revision
from modeldeploy_operator.rollout.snapshot import Failure, Router, Routing
from modeldeploy_operator.rollout.strategy.pools import SLOTS
from modeldeploy_router.core import routing as router_routing
from modeldeploy_router.core import servers
from modeldeploy_router.core.breaker import Breaker
from modeldeploy_router.core.report import Report, status_document
from modeldeploy_router.core.seen import Server
from modeldeploy_router.core.servers import PROTOCOLS, server_name
from modeldeploy_runtime import flags
from modeldeploy_runtime import settings as runtime_settings
from modeldeploy_runtime.fetching import command
from modeldeploy_runtime.fetching import report as fetching
from modeldeploy_runtime.fetching.errors import PERMANENT, Code
from modeldeploy_runtime.fetching.shared import discard
from modeldeploy_runtime.inspection import gate
from modeldeploy_runtime.servables import ids
from modeldeploy_runtime.telemetry.calls import Call
from modeldeploy_runtime.telemetry.metrics import Metrics as RuntimeMetrics
from modeldeploy_runtime.transports.tls import Certificates
from modeldeploy_runtime.watching import command as watching
from modeldeploy_runtime.watching.findings import NAMES, Findings
from testkit.objects import IMAGES, OWNER, a_container, a_pod, a_spec

ARCHITECTURE = (Path(__file__).parent.parent.parent.parent / "ARCHITECTURE.md").read_text(
    encoding="utf-8"
)
TENTH = Routing({"a": "0a1b2c3d4e", "b": "5f6a7b8c9d"}, "0a1b2c3d4e", "5f6a7b8c9d", 1_000)
VERSIONS = {"0a1b2c3d4e": "1", "5f6a7b8c9d": "2"}


def _published(routing: Routing) -> router_routing.Routing:
    """
    Write a configuration as the operator does, and read it as a router does.
    """
    config_map = build_routing(OWNER, "mnist", routing, 7, VERSIONS)
    return router_routing.parse_routing(config_map["data"][KEY])


def test_a_router_reads_what_the_operator_writes() -> None:
    """
    Generation, model, slots, roles and weight arrive as they were meant.
    """
    read = _published(TENTH)
    assert (read.generation, read.model, read.weight) == (7, "mnist", 1_000)
    assert (read.stable, read.canary) == ("a", "b")
    pool = router_routing.Pool("5f6a7b8c9d", "mnist-5f6a7b8c9d", "2")
    assert read.slots["b"] == pool
    assert read.check_path("b") == "/v1/models/mnist/versions/2"


def test_a_router_reads_whose_servers_encrypt() -> None:
    """
    It is said slot by slot, as pods of a time before do not.
    """
    config_map = build_routing(OWNER, "mnist", TENTH, 7, VERSIONS)
    led = encryption.lead(config_map, {"5f6a7b8c9d"})
    read = router_routing.parse_routing(led["data"][KEY])
    assert {slot: pool.is_secure for slot, pool in read.slots.items()} == {"a": False, "b": True}


def test_servers_and_routers_mean_the_same_ports() -> None:
    """
    A router goes where a server listens, plainly and encrypted.
    """
    template = build_pod_template(OWNER, a_spec(), Revision("0a1b2c3d4e", "1"), IMAGES)
    settings = runtime_settings.parse(template["spec"]["containers"][0]["args"], {})
    assert {"rest": settings.rest_api_port, "grpc": settings.port} == servers.UPSTREAM_PORTS
    secure = {"rest": settings.rest_api_ssl_port, "grpc": settings.ssl_port}
    assert secure == servers.SECURE_PORTS


def test_a_server_reads_the_certificate_that_it_gets(tmp_path: Path) -> None:
    """
    The Secret holds an SSLConfig, as TensorFlow Serving's flag takes it.
    """
    authority = Authority(b"key")
    pair = authority.issue(encryption.host(OWNER), datetime.now(UTC))
    secret = encryption.build_secret(OWNER, *pair, authority.certificate)
    file = tmp_path / "ssl.config"
    file.write_bytes(base64.b64decode(secret["data"][encryption.CONFIG]))
    assert Certificates(str(file)).for_rest().cert_store_stats()["x509"] == 0


def test_a_router_reads_a_configuration_without_a_canary() -> None:
    """
    Without a canary there is no weight, and a pool that drains keeps its slot.
    """
    read = _published(Routing({"a": "0a1b2c3d4e", "b": "5f6a7b8c9d"}, "5f6a7b8c9d"))
    assert (read.stable, read.canary, read.weight) == ("b", None, 0)
    assert set(read.slots) == {"a", "b"}


def test_every_slot_of_the_operator_is_one_of_the_router() -> None:
    """
    The operator gives out no slot that routers do not have.
    """
    assert set(SLOTS) <= set(router_routing.SLOTS)


def _status(up: Mapping[str, int], routing: router_routing.Routing | None) -> dict[str, Any]:
    """
    Render a router's status, with so many of two endpoints up in each slot.
    """
    ready = {slot: frozenset({"10.0.0.1", "10.0.0.2"}) for slot in up}
    servers = {
        f"{protocol}_{slot}": {
            server_name(address): Server(out=False, up=number < count, checked=True)
            for number, address in enumerate(sorted(ready[slot]))
        }
        for slot, count in up.items()
        for protocol in PROTOCOLS
    }
    return status_document(Report(routing, ready, servers, {}, "2026-01-01T00:00:00Z"))


def test_the_operator_reads_what_a_router_says() -> None:
    """
    The confirmed generation and the healthy endpoints of each revision arrive as they were meant.
    """
    status = _status({"a": 2, "b": 1}, _published(TENTH))
    assert router_of(status) == Router(7, {"0a1b2c3d4e": 2, "5f6a7b8c9d": 1})


def test_the_operator_reads_what_a_breaker_took_out() -> None:
    """
    The revision, and what the breaker saw.
    """
    breaker = Breaker("5f6a7b8c9d", tripped="20 of its last 20 requests failed")
    report = Report(_published(TENTH), {}, {}, {}, "2026-01-01T00:00:00Z", tripped=breaker)
    document = status_document(report)
    assert document["weight"] == 0
    read = router_of(document)
    assert (read.tripped, read.why) == (breaker.canary, breaker.tripped)


def test_the_operator_reads_what_a_router_has_counted() -> None:
    """
    Attempts and faults of each revision, for the analysis.
    """
    found = of_router("pod", _status({"a": 2, "b": 1}, _published(TENTH)))
    nothing = {"attempts": 0, "faults": 0}
    started = "2026-01-01T00:00:00Z"
    assert found == {
        Instance("pod", started, revision): nothing for revision in ("0a1b2c3d4e", "5f6a7b8c9d")
    }


def test_the_operator_reads_what_a_model_server_has_counted() -> None:
    """
    The runtime's own text, with its own names, labels and buckets.
    """
    metrics = RuntimeMetrics(lambda: ())
    before, _ = of_pod("pod", "r2", metrics.expose().decode(), [0.2])
    assert [sum(counts.values()) for counts in before.values()] == [0]
    answers = [("OK", 0.05), ("OK", 0.5), ("INVALID_ARGUMENT", 0.01), ("INTERNAL", 0.01)]
    answers.append(("RESOURCE_EXHAUSTED", 0.01))
    for api, entrypoint in (("predict", "REST"), ("predict", "GRPC"), ("status", "REST")):
        for code, seconds in answers:
            metrics.answered(Call(entrypoint, api, "mnist", "2", "serving_default"), code, seconds)
    found, coarse = of_pod("pod", "r2", metrics.expose().decode(), [0.2])
    (counts,) = found.values()
    assert counts == {"faults": 1, "refused": 2, "answered": 4, "slow:0.2": 2}
    assert coarse == {}


def test_a_router_without_a_configuration_has_confirmed_nothing() -> None:
    """
    A router that has just started has generation 0 and no pools.
    """
    assert router_of(_status({}, None)) == Router(0, {})


@pytest.mark.parametrize("code", [code for code in Code if code is not Code.FETCHED])
def test_the_operator_reads_why_a_fetch_failed(code: Code) -> None:
    """
    Each code, its sentence and whether it stays arrive through the termination message.
    """
    told = fetching.Report(code, "what happened")
    ended = {"exitCode": told.exit_status, "message": told.to_json()}
    failure = pods.failure_of(a_pod(first=(a_container("fetch", terminated=ended),)))
    assert failure is not None
    assert (failure.code, failure.message) == (code.value, "what happened")
    assert failure.permanent == (code in PERMANENT)


def test_the_operator_reads_what_was_fetched() -> None:
    """
    The digest of a finished fetch arrives.
    """
    told = fetching.Report(Code.FETCHED, "done", digest="sha256:1", files=3, bytes=12)
    assert told.exit_status == 0
    ended = {"exitCode": 0, "message": told.to_json()}
    assert pods.digest_of([a_pod(first=(a_container("fetch", terminated=ended),))]) == "sha256:1"


def test_the_operator_reads_what_a_fetch_warns_of() -> None:
    """
    The warning of a finished fetch arrives; without one there is none.
    """
    told = fetching.Report(Code.FETCHED, "done", warning="It does not fit.")
    ended = {"exitCode": 0, "message": told.to_json()}
    warning = pods.warning_of([a_pod(first=(a_container("fetch", terminated=ended),))])
    assert warning == Failure("SignatureIncompatible", "It does not fit.")
    ended = {"exitCode": 0, "message": fetching.Report(Code.FETCHED, "done").to_json()}
    assert pods.warning_of([a_pod(first=(a_container("fetch", terminated=ended),))]) is None


@pytest.mark.parametrize("code", list(Code))
def test_the_codes_are_those_of_the_architecture(code: Code) -> None:
    """
    Each code stands in ARCHITECTURE.md's table, in the row of its permanence.
    """
    table = ARCHITECTURE.split("### Fetching")[1].split("### Serving")[0]
    rows = [line for line in table.splitlines() if line.startswith("|")]
    [row] = [row for row in rows if f"`{code.value}`" in row]
    permanence = "yes" if code in PERMANENT else "" if code is Code.FETCHED else "no"
    assert row.split("|")[2].strip() == permanence


def test_a_message_of_any_length_fits() -> None:
    """
    Kubernetes keeps 4,096 bytes, and what is kept is still one JSON object.
    """
    told = fetching.Report(Code.ACCESS_DENIED, "€" * 10_000).to_json()
    ended = {"exitCode": 1, "message": told}
    failure = pods.failure_of(a_pod(first=(a_container("fetch", terminated=ended),)))
    assert len(told.encode()) <= 4_096
    assert failure is not None
    assert failure.code == "AccessDenied"


def test_the_server_takes_the_flags_that_it_gets() -> None:
    """
    Every flag of the server's container is one that the runtime knows.

    The image's environment, which stands in for flags that are not given, changes none of them.
    """
    template = build_pod_template(OWNER, a_spec(), Revision("0a1b2c3d4e", "1"), IMAGES)
    image = {"MODEL_NAME": "model", "MODEL_BASE_PATH": "/models"}
    settings = runtime_settings.parse(template["spec"]["containers"][0]["args"], image)
    assert (settings.model_name, settings.port, settings.rest_api_port) == ("mnist", 8500, 8501)
    assert settings.model_base_path == "/models/mnist"
    assert not settings.enable_reload_config_request


CACHED = {"platform": "tensorflow", "cache": {"claimName": "shelf"}}


def _fetcher(tmp_path: Path, **more: Any) -> list[str]:
    """
    Take the fetch container's arguments as the operator writes them, on folders of the test's own.
    """
    model = {"uri": "pvc://claim", "version": 1, **more}
    spec = ModelDeploymentSpec.model_validate({"model": model})
    template = build_pod_template(OWNER, spec, Revision("0a1b2c3d4e", "1"), IMAGES)
    version = tmp_path / "claim" / "1"
    version.mkdir(parents=True)
    (version / "saved_model.pb").write_bytes(b"\x12\x00")
    (version / "_SUCCESS").touch()
    first, *arguments = template["spec"]["initContainers"][0]["args"]
    assert first == "fetch"
    return [*_moved(arguments, tmp_path), f"--pvc_root={tmp_path}"]


def _moved(arguments: list[str], tmp_path: Path) -> list[str]:
    places = {
        "/models/mnist": str(tmp_path / "to"),
        "=/cache": f"={tmp_path}",
        "/dev/termination-log": str(tmp_path / "log"),
    }
    return [reduce(lambda text, place: text.replace(*place), places.items(), a) for a in arguments]


def test_the_fetch_takes_the_arguments_that_it_gets(tmp_path: Path) -> None:
    """
    Every argument of the fetch container is one that the runtime knows, and it reports in the end.
    """
    assert command.run(_fetcher(tmp_path), gate.judge) == 0
    ended = {"exitCode": 0, "message": (tmp_path / "log").read_text(encoding="utf-8")}
    digest = pods.digest_of([a_pod(first=(a_container("fetch", terminated=ended),))])
    assert digest is not None
    assert digest.startswith("sha256:")


def test_what_was_fetched_into_a_cache_is_removed(tmp_path: Path) -> None:
    """
    The fetch and the Job take the arguments that they get, and mean the same folder.
    """
    assert command.run(_fetcher(tmp_path, **CACHED), gate.judge) == 0
    folder = tmp_path / "modeldeploy-cache" / "mnist" / "0a1b2c3d4e"
    assert (folder / "1" / "saved_model.pb").exists()
    spec = ModelDeploymentSpec.model_validate({"model": {"uri": "s3://m", "version": 1, **CACHED}})
    template = build_pod_template(OWNER, spec, Revision("0a1b2c3d4e", "1"), IMAGES)
    place = place_in(template)
    assert place
    job = clearing.build_job(OWNER, IMAGES, "0a1b2c3d4e", place)
    first, *arguments = job["spec"]["template"]["spec"]["containers"][0]["args"]
    assert first == "discard"
    assert discard.run(_moved(arguments, tmp_path)) == 0
    assert list(folder.parent.iterdir()) == []


def test_the_watcher_takes_the_arguments_that_it_gets() -> None:
    """
    Every argument of the watcher's container is one that the runtime knows.
    """
    spec = ModelDeploymentSpec.model_validate({"model": {"uri": "pvc://claim", "version": 1}})
    pod = build_watcher(OWNER, spec, IMAGES)["spec"]["template"]["spec"]
    first, *arguments = pod["containers"][0]["args"]
    assert first == "watch"
    request = flags.parse(arguments, watching.Request)
    times = [float(request.poll_interval), float(request.settle_period)]
    assert (times, request.port) == ([60.0, 10.0], 8504)
    assert request.version_names == "ordered"


@pytest.mark.parametrize("name", ["2024-11-05T10-00", "v1.2.3", "x"])
def test_routers_and_servers_give_a_name_the_same_number(name: str) -> None:
    """
    Messages that hold numbers alone reach a version of any name by the number of its name.
    """
    assert router_routing.derived_number(name) == str(ids.version_number(name))


def test_operator_and_watcher_rank_versions_alike() -> None:
    """
    Whoever of the two looks for the newest finds the same.
    """
    versions = ["3", "010", "2024-11-05T10-00", "2024-2-05", "20241105", "2024-11-05T10-00Z"]
    assert sorted(versions, key=following.rank) == sorted(versions, key=ids.rank)
    assert all(map(NAMES["ordered"], versions))


def test_the_operator_reads_what_a_watcher_found() -> None:
    """
    Versions, what others lack, and why a look failed arrive.
    """
    found = Findings(
        looked=True,
        complete=("2", "1"),
        incomplete={"3": "It lacks files."},
        code="StorageUnavailable",
        message="It is away.",
    )
    assert findings_of(json.loads(found.to_json())) == operators.Findings(
        looked=True,
        complete=("2", "1"),
        incomplete=(("3", "It lacks files."),),
        code="StorageUnavailable",
        message="It is away.",
    )
    assert findings_of(json.loads(Findings().to_json())) == SILENT


def test_the_fetch_checks_the_recorded_digest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Other contents under the name of a version that was fetched before are refused.
    """
    monkeypatch.setenv("MODELDEPLOY_DIGEST", f"sha256:{'0' * 64}")
    assert command.run(_fetcher(tmp_path), gate.judge) == 2
