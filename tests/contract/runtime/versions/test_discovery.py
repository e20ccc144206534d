"""
Which folders are versions, and which of them are served: line by line, by one server.

It looks once, at the start and after each change of its configuration.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import text_format
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import model_management_pb2, model_service_pb2_grpc

from testkit.model_servers import ModelServer, running

PLATFORM = 'model_platform: "tensorflow"'
SPECIFIC = "model_version_policy {{ specific {{ {} }} }}"

# What a model's base path holds, how it is configured, and which versions are served.
CHOICES: dict[str, tuple[tuple[str, ...], str, list[int]]] = {
    "zeros": (("00000123",), PLATFORM, [123]),
    "names": (("1", "latest", "1.0", "-7", "+3", "4a", "5 "), f"{PLATFORM}, {{all}}", [1]),
    "too_large": (("1", "9223372036854775808"), f"{PLATFORM} {{all}}", [1]),
    "largest": (("1", "9223372036854775807"), PLATFORM, [9223372036854775807]),
    "twice": (("001", "1"), f"{PLATFORM} {{all}}", [1]),
    "unset": (("1", "2"), PLATFORM, [2]),
    "ordered": (("9", "10"), PLATFORM, [10]),
    "latest_0": (("1", "2"), f"{PLATFORM} model_version_policy {{ latest {{}} }}", [2]),
    "latest_2": (
        ("1", "2", "3"),
        f"{PLATFORM} model_version_policy: {{ latest: {{ num_versions: 2 }} }}",
        [3, 2],
    ),
    "all": (("1", "2", "3"), f"{PLATFORM} {{all}}", [3, 2, 1]),
    "specific": (("1", "2", "3"), f"{PLATFORM} {SPECIFIC.format('versions: [1, 3]')}", [3, 1]),
    "partly": (("1", "2"), f"{PLATFORM} {SPECIFIC.format('versions: 2 versions: 8')}", [2]),
    "deprecated": (("1",), "model_type: TENSORFLOW", [1]),
}
REASONS = {
    "missing": "Its base path cannot be read: ",
    "empty": (
        "No version was found below {folder}/empty; a version is a folder whose name is a number, "
        "such as 1."
    ),
    "unnumbered": "No version was found below {folder}/unnumbered; a version is a folder ",
    "absent": "None of the wanted versions is below {folder}/absent.",
}


def _entry(folder: Path, name: str, more: str) -> str:
    more = more.replace("{all}", "model_version_policy { all {} }")
    return f'config: {{ name: "{name}", base_path: "{folder}/{name}", {more} }}'


def _place(source: Path, target: Path) -> None:
    shutil.copytree(source, target)
    (target / "_SUCCESS").touch()


@pytest.fixture(scope="module")
def folder(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """
    The base paths, of which one is missing, one empty, one without numbers and one without 8.
    """
    folder = tmp_path_factory.mktemp("discovery")
    held = {name: held for name, (held, _, _) in CHOICES.items()}
    for name, versions in {**held, "unnumbered": ("latest",), "absent": ("1",)}.items():
        for version in versions:
            _place(models / "half_plus_two" / "2", folder / name / version)
    (folder / "empty").mkdir()
    _place(models / "shapes" / "1", folder / "inputless" / "1")
    graph = folder / "inputless" / "1" / "saved_model.pb"
    saved = saved_model_pb2.SavedModel.FromString(graph.read_bytes())
    signatures = saved.meta_graphs[0].signature_def
    signatures["serving_default"].CopyFrom(signatures["constant"])
    graph.write_bytes(saved.SerializeToString())
    (folder / "names" / "6").write_text("This is no folder.")
    return folder


@pytest.fixture(scope="module")
def looking(folder: Path) -> Iterator[ModelServer]:
    """
    The server; models that cannot be served come first.
    """
    bad = dict.fromkeys(REASONS, PLATFORM) | {
        "absent": f"{PLATFORM} {SPECIFIC.format('versions: 8')}"
    }
    rows = bad | {"inputless": PLATFORM} | {name: more for name, (_, more, _) in CHOICES.items()}
    config = folder / "models.config"
    entries = "\n".join(_entry(folder, name, more) for name, more in rows.items())
    config.write_text(f"model_config_list: {{ {entries} }}")
    flags = [f"--model_config_file={config}", "--file_system_poll_wait_seconds=0"]
    with running(folder, *flags) as server:
        yield server


@pytest.mark.parametrize(("name", "served"), [(n, row[2]) for n, row in CHOICES.items()])
def test_choice(looking: ModelServer, name: str, served: list[int]) -> None:
    """
    Folders with numbers are versions, and the policy chooses among them.
    """
    looking.wait_state(name, served[0], "AVAILABLE")

    def all_served() -> bool:
        found = looking.get(f"/v1/models/{name}").json["model_version_status"]
        return all(version["state"] == "AVAILABLE" for version in found)

    looking.wait(all_served, "all versions")
    found = looking.get(f"/v1/models/{name}").json["model_version_status"]
    assert [int(version["version"]) for version in found] == served
    answer = looking.predict(name, {"instances": [1.0]})
    assert (answer.json, answer.headers["x-model-version"]) == (
        {"predictions": [3.5]},
        f"{served[0]}",
    )


@pytest.mark.parametrize(("name", "reason"), REASONS.items())
def test_nothing_to_serve(looking: ModelServer, folder: Path, name: str, reason: str) -> None:
    """
    The reason is told, no version is known, and no other model is held up.
    """
    expected = reason.format(folder=folder)

    def told() -> str:
        found: str = looking.get("/readyz").json["reasons"][name]
        return found if found.startswith(expected) else ""

    looking.wait(told, f'the reason "{expected}"')
    answer = looking.get(f"/v1/models/{name}")
    assert (answer.status, answer.error) == (404, f"Could not find any versions of model {name}")
    missed = looking.predict(name, {"instances": [1.0]})
    assert (missed.status, missed.error) == (
        404,
        f"Servable not found for request: Latest({name})",
    )


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ({}, "DEFAULT"),
        ({"signature_name": ""}, "DEFAULT"),
        ({"signature_name": "serving_default"}, "serving_default"),
        ({"signature_name": "constant"}, "constant"),
    ],
)
def test_signatures_without_inputs(looking: ModelServer, asked: Any, name: str) -> None:
    """
    They cannot be called over REST; the usual one is called DEFAULT if nobody names it.
    """
    looking.wait_state("inputless", 1, "AVAILABLE")
    answer = looking.predict("inputless", {"instances": [], **asked})
    assert (answer.status, answer.error) == (
        400,
        f"Failed to get input map for signature: {name}",
    )


def _reload(server: ModelServer, *entries: str) -> Any:
    request = model_management_pb2.ReloadConfigRequest()
    text_format.Parse(f"model_config_list {{ {' '.join(entries)} }}", request.config)
    with grpc.insecure_channel(server.target) as channel:
        stub = model_service_pb2_grpc.ModelServiceStub(channel)
        return stub.HandleReloadConfigRequest(request, timeout=60)


LOGGING = "logging_config {{ {} }}"
COLLECTOR = 'log_collector_config {{ type: "{}" filename_prefix: "{}" }}'
TFRECORD = COLLECTOR.format("tfrecord", "/logs/a")


@pytest.mark.parametrize(
    ("logging", "sentence"),
    [
        ("custom_logging_config {}", "custom_logging_config is not offered."),
        ("", "log_collector_config.filename_prefix must say where the log goes."),
        (
            COLLECTOR.format("bigquery", "/logs/a"),
            'log_collector_config.type must be "tfrecord", not "bigquery".',
        ),
        (
            COLLECTOR.format("tfrecord", ""),
            "log_collector_config.filename_prefix must say where the log goes.",
        ),
        (
            f"{TFRECORD} sampling_config {{ sampling_rate: 1.5 }}",
            "sampling_rate must be between 0 and 1, not 1.5.",
        ),
        (
            f"{TFRECORD} sampling_config {{ attributes: 1 }}",
            (
                "of sampling_config only sampling_rate is offered, as requests have no origin, "
                "criticality or data centre here."
            ),
        ),
    ],
)
def test_logging_that_is_not_offered(
    looking: ModelServer, folder: Path, logging: str, sentence: str
) -> None:
    """
    A configuration that asks for another log is refused as a whole.
    """
    entry = _entry(folder, "unset", f"{PLATFORM} {LOGGING.format(logging)}")
    with pytest.raises(grpc.RpcError) as caught:
        _reload(looking, entry)
    error: Any = caught.value
    assert (error.code(), error.details()) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        f"logging_config of model unset: {sentence}",
    )
    looking.wait_state("zeros", 123, "AVAILABLE")


def test_one_look_is_enough_for_a_reload(looking: ModelServer, folder: Path, models: Path) -> None:
    """
    A model that is added is served though nobody looks again, and what is copied later is not.
    """
    _place(models / "half_plus_two" / "2", folder / "added" / "1")
    _place(models / "half_plus_two" / "2", folder / "unset" / "3")
    entries = [_entry(folder, name, PLATFORM) for name in ("unset", "added")]
    assert _reload(looking, *entries).status.error_code == 0
    answers = [looking.predict(name, {"instances": [1.0]}) for name in ("added", "unset")]
    assert [answer.headers["x-model-version"] for answer in answers] == ["1", "2"]
    assert looking.get("/v1/models/unset/versions/3").status == 404


def test_never_looked_for(models: Path, tmp_path: Path) -> None:
    """
    With a negative number nobody looks, and the reason says so.
    """
    flags = [f"--model_base_path={models}/half_plus_two", "--file_system_poll_wait_seconds=-1"]
    with running(tmp_path, *flags) as server:
        server.wait(lambda: server.get("/healthz").status == 200, "the port")
        assert server.get("/readyz").json["reasons"] == {
            "default": (
                "Its versions are never looked for: --file_system_poll_wait_seconds is negative."
            )
        }
