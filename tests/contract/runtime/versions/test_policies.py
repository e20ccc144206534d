"""
How versions follow each other: transition policies, retries, unloads and drains, line by line.
"""

import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import text_format
from tensorflow_serving.apis import (
    get_model_status_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
)

from testkit.model_servers import ModelServer, running

pytestmark = pytest.mark.long

HALF = "half_plus_two"
PARKED = "Insufficient resources"


def _place(source: Path, target: Path) -> None:
    """
    Put a complete version into place at once.
    """
    hidden = target.with_name(f".{target.name}")
    shutil.copytree(source, hidden)
    (hidden / "_SUCCESS").touch()
    hidden.rename(target)


class _Served:
    """
    A server, the folder of its models, and its configuration.
    """

    def __init__(self, server: ModelServer, folder: Path, models: Path) -> None:
        self.server = server
        self.folder = folder
        self.models = models

    def place(self, name: str, version: int, source: str = f"{HALF}/2") -> None:
        """
        Copy one of the models to where a version of another is looked for.
        """
        (self.folder / name).mkdir(exist_ok=True)
        _place(self.models / source, self.folder / name / f"{version}")

    def reload(self, **policies: str) -> None:
        """
        Serve these models alone, each with its policy as text.
        """
        entries = "\n".join(
            f'config {{ name: "{name}" base_path: "{self.folder}/{name}" '
            f'model_platform: "tensorflow" {policy} }}'
            for name, policy in policies.items()
        )
        request = model_management_pb2.ReloadConfigRequest()
        text_format.Parse(f"model_config_list {{ {entries} }}", request.config)
        with grpc.insecure_channel(self.server.target) as channel:
            stub = model_service_pb2_grpc.ModelServiceStub(channel)
            stub.HandleReloadConfigRequest(request, timeout=60)

    def told(self, name: str) -> list[str]:
        """
        List what the log says of a model's versions, in order.
        """
        marks = {
            "Loading {{name: {} version: {}}}.": "load {}",
            "{{name: {} version: {}}} is available": "available {}",
            "Unloading {{name: {} version: {}}}.": "unload {}",
            "{{name: {} version: {}}} is unloaded.": "gone {}",
        }
        return [
            told.format(version)
            for line in self.server.log.splitlines()
            for version in range(1, 5)
            for mark, told in marks.items()
            if mark.format(name, version) in line
        ]

    def first(self, name: str) -> Any:
        """
        Ask for the model's answer to 1.
        """
        answer = self.server.predict(name, {"instances": [1.0]})
        return answer.json["predictions"][0] if answer.status == 200 else answer.error


def _specific(*versions: int) -> str:
    listed = ", ".join(f"{version}" for version in versions)
    return f"model_version_policy {{ specific {{ versions: [{listed}] }} }}"


ALL = "model_version_policy { all {} }"


@pytest.fixture(
    scope="module",
    params=["availability_preserving", "resource_preserving"],
)
def served(
    models: Path, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[tuple[str, _Served]]:
    """
    A server for each policy, with one thread for loads and one for unloads.
    """
    folder = tmp_path_factory.mktemp("policies")
    (folder / "models.config").touch()
    flags = [
        f"--model_config_file={folder}/models.config",
        f"--version_transition_policy={request.param}",
        "--num_load_threads=1",
        "--num_unload_threads=1",
    ]
    with running(folder, *flags) as server:
        server.wait_ready()
        yield request.param, _Served(server, folder, models)


ORDERS = {
    "availability_preserving": ["load 2", "available 2", "unload 1", "gone 1"],
    "resource_preserving": ["unload 1", "gone 1", "load 2", "available 2"],
}


@pytest.mark.requirement("row-8")
def test_order_of_a_transition(served: tuple[str, _Served]) -> None:
    """
    The old version goes when the new one answers, or before the new one is loaded.
    """
    policy, case = served
    case.place("swap", 1, f"{HALF}/00000001")
    case.reload(swap="")
    assert case.first("swap") == 2.5
    case.place("swap", 2)
    case.server.wait_state("swap", 2, "AVAILABLE")
    case.server.wait_state("swap", 1, "END")
    case.server.wait(lambda: len(case.told("swap")) == 6, "all that is told")
    assert case.told("swap") == ["load 1", "available 1", *ORDERS[policy]]
    assert case.first("swap") == 3.5
    [_, old] = case.server.get("/v1/models/swap").json["model_version_status"]
    assert old == {
        "version": "1",
        "state": "END",
        "status": {"error_code": "OK", "error_message": ""},
    }


def test_versions_leave_from_the_oldest_and_come_from_the_newest(
    served: tuple[str, _Served],
) -> None:
    """
    Of several unwanted versions the oldest goes first, and of several new ones the newest comes.
    """
    _, case = served
    for version in (1, 2, 3):
        case.place("many", version)
    case.reload(many=ALL)
    for version in (1, 2, 3):
        case.server.wait_state("many", version, "AVAILABLE")
    case.reload(many=_specific(3))
    case.server.wait(lambda: "gone 2" in case.told("many"), "the second unload")
    told = case.told("many")
    assert [entry for entry in told if entry.startswith("load")] == ["load 3", "load 2", "load 1"]
    assert [entry for entry in told if entry.startswith("unload")] == ["unload 1", "unload 2"]
    assert case.first("many") == 3.5


def test_a_failed_load_is_tried_again_when_it_is_wanted_again(
    served: tuple[str, _Served],
) -> None:
    """
    A version that failed stays at its end, though its files are good now, until it is named anew.
    """
    _, case = served
    case.place("mended", 1)
    case.place("mended", 2, "broken/1")
    with pytest.raises(grpc.RpcError, match="version: 2}"):
        case.reload(mended=_specific(2))
    shutil.rmtree(case.folder / "mended" / "2")
    case.place("mended", 2)
    case.reload(mended=_specific(1))
    case.server.wait_state("mended", 1, "AVAILABLE")
    case.server.wait_state("mended", 2, "END")
    assert case.told("mended").count("load 2") == 1
    case.reload(mended=_specific(2))
    case.server.wait_state("mended", 2, "AVAILABLE")
    assert case.told("mended").count("load 2") == 2


def test_what_is_changed_in_place_is_not_noticed(served: tuple[str, _Served]) -> None:
    """
    Other files under the number of a version that serves change nothing, at later looks neither.
    """
    _, case = served
    case.place("changed", 1, f"{HALF}/00000001")
    case.reload(changed=ALL)
    case.server.wait_state("changed", 1, "AVAILABLE")
    (case.folder / "changed" / "1").rename(case.folder / "changed" / ".old")
    case.place("changed", 1)
    case.place("changed", 2)
    case.server.wait_state("changed", 2, "AVAILABLE")
    assert case.told("changed").count("load 1") == 1
    assert case.first("changed/versions/1") == 2.5


def _busy(server: ModelServer, name: str) -> tuple[threading.Thread, list[Any]]:
    """
    Begin a request that takes seconds, and wait until the model computes it.
    """
    answers: list[Any] = []
    body = {"instances": [1_500_000]}
    thread = threading.Thread(target=lambda: answers.append(server.predict(name, body)))
    thread.start()
    in_flight = 'modeldeploy_requests_in_flight{entrypoint="REST"} 2'
    server.wait(
        lambda: in_flight in server.get("/monitoring/prometheus/metrics").body.decode(), "a run"
    )
    return thread, answers


def test_drain(served: tuple[str, _Served]) -> None:
    """
    An unload lets nobody in, cuts nobody off, holds up no other model, and is waited for.
    """
    _, case = served
    server = case.server
    case.place("toil", 1, "slow/1")
    case.place("other", 1)
    case.reload(toil="", other="")
    thread, answers = _busy(server, "toil")
    case.reload()
    server.wait_state("toil", 1, "UNLOADING")
    server.wait_state("other", 1, "END")
    assert case.first("toil") == "Servable not found for request: Latest(toil)"
    with grpc.insecure_channel(server.target) as channel:
        request = get_model_status_pb2.GetModelStatusRequest()
        request.model_spec.name = "toil"
        stub = model_service_pb2_grpc.ModelServiceStub(channel)
        [status] = stub.GetModelStatus(request, timeout=30).model_version_status
    assert (status.state, answers) == (get_model_status_pb2.ModelVersionStatus.UNLOADING, [])
    # Wanted again while it goes: it waits until it is gone, and begins anew.
    case.reload(toil="")
    thread.join(60)
    assert [answer.status for answer in answers] == [200]
    server.wait_state("toil", 1, "AVAILABLE")
    told = ["load 1", "available 1", "unload 1", "gone 1", "load 1", "available 1"]
    server.wait(lambda: case.told("toil") == told, "all that is told")


@pytest.fixture
def starved(models: Path, tmp_path: Path) -> Callable[..., Any]:
    """
    Start a server that has no memory for its model, so that another try may always help.
    """
    base = [f"--model_name={HALF}", f"--model_base_path={models}/{HALF}"]
    return lambda *flags: running(tmp_path, *base, "--memory_limit_bytes=1048576", *flags)


@pytest.mark.parametrize(("flags", "tries"), [([], 6), (["--max_num_load_retries=2"], 3)])
def test_number_of_tries(starved: Callable[..., Any], flags: list[str], tries: int) -> None:
    """
    A load is tried once, and five times more or as often as the flag says; the last error stays.
    """
    with starved("--load_retry_interval_micros=-1", *flags) as server:
        server.wait_state(HALF, 2, "END")
        [status] = server.get(f"/v1/models/{HALF}").json["model_version_status"]
        assert status["status"]["error_code"] == "RESOURCE_EXHAUSTED"
        assert PARKED in status["status"]["error_message"]
        again = f"{{name: {HALF} version: 2}} will be tried again in 0 s: "
        assert server.log.count(again) == tries - 1
        assert server.get("/healthz").status == 200


def test_a_wait_for_a_retry_ends_when_nobody_wants_the_version(
    starved: Callable[..., Any], tmp_path: Path, models: Path
) -> None:
    """
    The wait is as long as the flag says and ends at once with the wish; nobody else waits for it.
    """
    flags = ("--max_num_load_retries=1", "--load_retry_interval_micros=100000000")
    with starved(*flags) as server:
        told = f"{{name: {HALF} version: 2}} will be tried again in 100 s: "
        server.wait(lambda: told in server.log, "the first failure")
        [status] = server.get(f"/v1/models/{HALF}").json["model_version_status"]
        assert status["state"] == "LOADING"
        assert PARKED in server.get("/readyz").json["reasons"][HALF]
        _Served(server, tmp_path, models).reload()
        server.wait_state(HALF, 2, "END")
        [status] = server.get(f"/v1/models/{HALF}").json["model_version_status"]
        assert status["status"] == {"error_code": "OK", "error_message": ""}
