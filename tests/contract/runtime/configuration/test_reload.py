"""
A configuration that changes while the server runs: by its file and by gRPC.
"""

import functools
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import text_format
from tensorflow_serving.apis import model_management_pb2, model_service_pb2_grpc

from testkit.model_servers import ModelServer, running

HALF = "half_plus_two"
SPECIFIC = "model_version_policy {{ specific {{ {} }} }}"
BOTH = SPECIFIC.format("versions: 1 versions: 2")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """
    The configuration file of the server; it is empty at first.
    """
    path = tmp_path_factory.mktemp("reload") / "models.config"
    path.touch()
    return path


@pytest.fixture(scope="module")
def reloaded(file: Path) -> Iterator[ModelServer]:
    """
    A server without models, which looks at its file each second.
    """
    flags = [f"--model_config_file={file}", "--model_config_file_poll_wait_seconds=1"]
    with running(file.parent, *flags) as server:
        server.wait(lambda: server.get("/readyz").status == 200, "the port")
        yield server


@pytest.fixture(scope="module")
def marked(models: Path, file: Path) -> Path:
    """
    Some models with markers, so that one look at each is enough.
    """
    for version in models.glob("*/*"):
        name = version.relative_to(models)
        shutil.copytree(version, file.parent / "models" / name)
        (file.parent / "models" / name / "_SUCCESS").touch()
    return file.parent / "models"


Reload = Callable[..., Any]


@pytest.fixture
def reload(reloaded: ModelServer) -> Iterator[Reload]:
    """
    Replace the server's configuration by gRPC, with entries for models as text.
    """
    with grpc.insecure_channel(reloaded.target) as channel:
        stub = model_service_pb2_grpc.ModelServiceStub(channel)

        def call(*entries: str, metrics: list[str] | None = None, timeout: float = 60) -> Any:
            text = "\n".join(f"config {{ {entry} }}" for entry in entries)
            request = model_management_pb2.ReloadConfigRequest(metric_names=metrics or [])
            text_format.Parse(f"model_config_list {{ {text} }}", request.config)
            return stub.HandleReloadConfigRequest(request, timeout=timeout)

        call()
        yield call


def _entry(models: Path, name: str, more: str = "", platform: str = "tensorflow") -> str:
    return f'name: "{name}" base_path: "{models}/{name}" model_platform: "{platform}" {more}'


def _metrics(server: ModelServer) -> str:
    return server.get("/monitoring/prometheus/metrics").body.decode()


def _label(name: str, version: int) -> str:
    return f'version_labels {{ key: "{name}" value: {version} }}'


def _refusal(call: Callable[[], Any]) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as caught:
        call()
    error: Any = caught.value
    return error.code(), error.details()


def _answer(server: ModelServer, path: str) -> tuple[int, Any]:
    answer = server.predict(path, {"instances": [1.0]})
    return answer.status, answer.json.get("error") or answer.json["predictions"]


def test_models_come_and_go(reload: Reload, reloaded: ModelServer, marked: Path) -> None:
    """
    A reload answers when its models can be used; what it leaves out is unloaded.
    """
    counter = ":tensorflow:cc:saved_model:load_attempt_count"
    answer = reload(_entry(marked, HALF), metrics=[counter, "/no/such"])
    assert answer.status.error_code == 0
    [increase] = answer.metric
    assert (increase.name, increase.int64_value_increase >= 1) == (counter, True)
    assert _answer(reloaded, HALF) == (200, [3.5])
    assert _answer(reloaded, "sums") == (404, "Servable not found for request: Latest(sums)")
    reload(_entry(marked, "slow"))
    assert reloaded.predict("slow", {"instances": [1]}).status == 200
    reloaded.wait_state(HALF, 2, "END")
    assert _answer(reloaded, HALF) == (404, f"Servable not found for request: Latest({HALF})")


def test_an_unload_waits_for_requests(reload: Reload, reloaded: ModelServer, marked: Path) -> None:
    """
    A version that still answers a request is not unloaded under it.
    """

    def state() -> Any:
        [found] = reloaded.get("/v1/models/slow/versions/1").json["model_version_status"]
        return found["state"]

    def is_met_by(count: int) -> bool:
        """Tell whether a request that counts so far was still there when the unload began."""
        reload(_entry(marked, "slow"))
        asked = pool.submit(reloaded.predict, "slow", {"instances": [count]})
        reloaded.wait(lambda: asked.done() or running in _metrics(reloaded), "a run")
        reload()
        reloaded.wait(lambda: state() in {"UNLOADING", "END"}, "the unload")
        was_met: bool = state() == "UNLOADING"
        assert asked.result().status == 200
        reloaded.wait_state("slow", 1, "END")
        return was_met

    running = 'modeldeploy_requests_in_flight{entrypoint="REST"} 2'
    with ThreadPoolExecutor(1) as pool:
        # A busy machine may take longer to begin the unload than to count to the first of them.
        assert any(is_met_by(count) for count in (1_000_000, 5_000_000, 20_000_000))


def test_what_is_not_touched_stays(reload: Reload, reloaded: ModelServer, marked: Path) -> None:
    """
    A model that both configurations name is not loaded again.
    """
    reload(_entry(marked, HALF))
    before = reloaded.log.count(f"{{name: {HALF} version: 2}} is available")
    reload(_entry(marked, HALF), _entry(marked, "slow"))
    assert reloaded.log.count(f"{{name: {HALF} version: 2}} is available") == before


@pytest.mark.parametrize(
    ("entry", "code", "sentence"),
    [
        (
            'name: "b" base_path: "b" model_platform: "tensorflow"',
            grpc.StatusCode.INVALID_ARGUMENT,
            "Expected model b to have an absolute path or URI; got base_path()=b",
        ),
        (
            'name: "b" base_path: "/b"',
            grpc.StatusCode.INVALID_ARGUMENT,
            "Illegal setting neither ModelServerConfig::model_type (deprecated) nor",
        ),
        (
            'name: "b" base_path: "/b" model_platform: "tensorflow" model_type: TENSORFLOW',
            grpc.StatusCode.INVALID_ARGUMENT,
            "Illegal setting both ModelServerConfig::model_type (deprecated) and",
        ),
        (
            'name: "b" base_path: "/b" model_platform: "b"',
            grpc.StatusCode.INVALID_ARGUMENT,
            "Model b requests unsupported platform b",
        ),
        (
            f'name: "{HALF}" base_path: "/b" model_platform: "tensorflow"',
            grpc.StatusCode.INVALID_ARGUMENT,
            f"Illegal to list model {HALF} multiple times in config list",
        ),
        (
            (
                'name: "b" base_path: "/b" model_platform: "tensorflow" '
                "model_version_policy { specific { versions: 1 } } "
                'version_labels { key: "c" value: 2 }'
            ),
            grpc.StatusCode.FAILED_PRECONDITION,
            (
                "Request to assign label to version 2 of model b, which is not currently available "
                "for inference"
            ),
        ),
    ],
)
def test_refused_as_a_whole(
    reload: Reload,
    reloaded: ModelServer,
    marked: Path,
    entry: str,
    code: grpc.StatusCode,
    sentence: str,
) -> None:
    """
    A configuration with a fault is refused in TensorFlow Serving's words, and changes nothing.
    """
    reload(_entry(marked, "slow"))
    refused = _refusal(lambda: reload(_entry(marked, HALF), entry))
    assert refused[0] is code
    assert sentence in refused[1]
    assert reloaded.predict("slow", {"instances": [1]}).status == 200
    assert _answer(reloaded, HALF)[0] == 404


def test_only_lists_are_taken(reload: Reload, reloaded: ModelServer, marked: Path) -> None:
    """
    A request without a list of models is refused, and so is a configuration of another kind.
    """
    reload(_entry(marked, "slow"))
    with grpc.insecure_channel(reloaded.target) as channel:
        stub = model_service_pb2_grpc.ModelServiceStub(channel)
        custom = model_management_pb2.ReloadConfigRequest()
        custom.config.custom_model_config.SetInParent()
        for request in (model_management_pb2.ReloadConfigRequest(), custom):
            refused = _refusal(
                functools.partial(stub.HandleReloadConfigRequest, request, timeout=30)
            )
            assert refused == (
                grpc.StatusCode.INVALID_ARGUMENT,
                (
                    "ServerModelConfig type not supported by HandleReloadConfigRequest. "
                    "Only ModelConfigList is currently supported"
                ),
            )
    assert reloaded.predict("slow", {"instances": [1]}).status == 200


def test_nobody_waits_for_what_is_not_there(
    reload: Reload, reloaded: ModelServer, marked: Path
) -> None:
    """
    A reload says which model is missing or broken, and serves the others.
    """
    entries = [_entry(marked, name) for name in (HALF, "broken", "nowhere")]
    code, message = _refusal(lambda: reload(*entries))
    assert code is grpc.StatusCode.UNKNOWN
    assert message.startswith(
        "2 servable(s) did not become available: {{name: broken version: 1} due to error: "
    )
    assert "}, {{name: nowhere} due to error: " in message
    assert message.endswith("}, }. The configuration is applied.")
    assert _answer(reloaded, HALF) == (200, [3.5])
    assert reloaded.get("/readyz").status == 200


def test_a_label_of_what_is_not_there(reload: Reload, reloaded: ModelServer, marked: Path) -> None:
    """
    While nothing has been found of a model, who asks for its label is told to come again.
    """
    code, _ = _refusal(lambda: reload(_entry(marked, "nowhere", _label("stable", 1))))
    assert code is grpc.StatusCode.UNKNOWN
    sentence = "Model labels does not init yet.stable"
    assert _answer(reloaded, "nowhere/labels/stable") == (503, sentence)
    assert _answer(reloaded, "nowhere/labels/other") == (
        400,
        "Unrecognized servable version label: other",
    )


def test_labels(reload: Reload, reloaded: ModelServer, marked: Path) -> None:
    """
    One reload brings versions and their labels; another moves a label.
    """
    both = f"{HALF}/labels/stable", f"{HALF}/labels/canary"
    first = f"{BOTH} {_label('stable', 1)} {_label('canary', 2)}"
    reload(_entry(marked, HALF, first))
    reloaded.wait_state(HALF, 1, "AVAILABLE")
    reloaded.wait_state(HALF, 2, "AVAILABLE")
    assert [_answer(reloaded, path) for path in both] == [(200, [2.5]), (200, [3.5])]
    reload(_entry(marked, HALF, f"{BOTH} {_label('stable', 2)}"))
    assert [_answer(reloaded, path) for path in both] == [
        (200, [3.5]),
        (400, "Unrecognized servable version label: canary"),
    ]
    expected = "Request to assign label to version 7 of model half_plus_two, which is not "
    refused = _refusal(lambda: reload(_entry(marked, HALF, f"{BOTH} {_label('stable', 7)}")))
    assert refused == (
        grpc.StatusCode.FAILED_PRECONDITION,
        f"{expected}currently available for inference",
    )
    assert _answer(reloaded, both[0]) == (200, [3.5])


def test_a_label_waits_for_its_version(reload: Reload, reloaded: ModelServer, marked: Path) -> None:
    """
    A label moves to a version that the same reload brings, and fails no request on its way.
    """
    one = SPECIFIC.format("versions: 1")
    two = SPECIFIC.format("versions: 2")
    reload(_entry(marked, HALF, f"{one} {_label('stable', 1)}"))
    assert _answer(reloaded, f"{HALF}/labels/stable") == (200, [2.5])
    reload(_entry(marked, HALF, f"{two} {_label('stable', 2)}"))
    answers = []

    def moved() -> bool:
        answers.append(_answer(reloaded, f"{HALF}/labels/stable"))
        return bool(answers[-1] != (200, [2.5]))

    reloaded.wait(moved, "the label's move")
    assert answers[-1] == (200, [3.5])


def test_the_file(reload: Reload, reloaded: ModelServer, marked: Path, file: Path) -> None:
    """
    A changed file is applied, a bad one is told of once, and an unchanged one changes nothing.
    """
    file.write_text(f"model_config_list {{ config {{ {_entry(marked, HALF)} }} }}")
    reloaded.wait_state(HALF, 2, "AVAILABLE")
    file.write_text("model_config_list {\n  config {\n    nonsense: 1\n  }\n}")
    told = "Error parsing text-format tensorflow.serving.ModelServerConfig: line 3"
    reloaded.wait(lambda: told in reloaded.log, "the error")
    assert _answer(reloaded, HALF) == (200, [3.5])
    reload(_entry(marked, "slow"))
    file.write_text(f"model_config_list {{ config {{ {_entry(marked, 'shapes')} }} }}")
    reloaded.wait_state("shapes", 1, "AVAILABLE")
    assert reloaded.log.count(told) == 1
