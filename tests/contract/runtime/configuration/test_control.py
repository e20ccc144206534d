"""
The control port: who may use it, what it tells, and what it changes.
"""

import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from testkit.model_servers import Answer, ModelServer, free_port, running

HALF = "half_plus_two"
ENTRY = (
    'config {{ name: "{name}" base_path: "{folder}/{name}" model_platform: "tensorflow" {more} }}'
)


class _Control:
    """
    A client of the control port.
    """

    def __init__(self, server: ModelServer, port: int, folder: Path) -> None:
        self.server = server
        self.port = port
        self.folder = folder

    def request(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        """
        Send one request.
        """
        rest, self.server.rest_port = self.server.rest_port, self.port
        try:
            return self.server.request(method, path, body, **headers)
        finally:
            self.server.rest_port = rest

    def entry(self, name: str, more: str = "") -> str:
        """
        Describe one model.
        """
        return ENTRY.format(name=name, folder=self.folder, more=more)

    def apply(self, *entries: str, query: str = "") -> Answer:
        """
        Replace the configuration.
        """
        text = f"model_config_list {{ {' '.join(entries)} }}"
        return self.request("POST", f"/v1/config{query}", text.encode())


@pytest.fixture(scope="module")
def control(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Control]:
    """
    A server with one model and a control port, and TensorFlow's session flags.
    """
    folder = tmp_path_factory.mktemp("control")
    for name in (HALF, "slow", "broken"):
        shutil.copytree(models / name, folder / name)
        for version in (folder / name).iterdir():
            (version / "_SUCCESS").touch()
    session = folder / "session.config"
    session.write_text("intra_op_parallelism_threads: 1 allow_soft_placement: true")
    port = free_port()
    flags = [
        f"--model_name={HALF}",
        f"--model_base_path={folder}/{HALF}",
        f"--control_port={port}",
        f"--tensorflow_session_config_file={session}",
        "--mixed_precision=bfloat16",
        "--xla_cpu_compilation_enabled",
        "--allow_version_labels_for_unavailable_models",
    ]
    with running(folder, *flags) as server:
        server.wait_ready()
        yield _Control(server, port, folder)


def test_it_tells_what_is_served(control: _Control) -> None:
    """
    GET answers with the configuration and with the state of each model.
    """
    label = 'version_labels { key: "stable" value: 2 }'
    assert control.apply(control.entry(HALF, label)).status == 200
    answer = control.request("GET", "/v1/config")
    assert answer.status == 200
    [configured] = answer.json["config"]["model_config_list"]["config"]
    assert configured["name"] == HALF
    assert configured["version_labels"] == {"stable": "2"}
    told = answer.json["models"][HALF]
    assert (told["outcome"], told["labels"]) == ("available", {"stable": "2"})
    assert {"version": "2", "state": "AVAILABLE", "error": ""} in told["versions"]
    again = answer.json["config"]
    assert control.request("POST", "/v1/config", str(again).replace("'", '"').encode()).json == {
        "models": {HALF: {"change": "unchanged", "outcome": "available", "message": ""}}
    }


def test_it_replaces_what_is_served(control: _Control) -> None:
    """
    POST answers with what came of each model, and waits for none that is not there.
    """
    names = (HALF, "slow", "broken", "nowhere")
    answer = control.apply(*(control.entry(name) for name in names))
    assert answer.status == 200
    found: Any = answer.json["models"]
    assert {name: found[name]["outcome"] for name in names} == {
        HALF: "available",
        "slow": "available",
        "broken": "failed",
        "nowhere": "missing",
    }
    assert found["broken"]["version"] == "1"
    assert control.server.predict("slow", {"instances": [1]}).status == 200
    removed = control.apply(control.entry(HALF)).json["models"]
    assert removed["slow"] == {"change": "removed", "outcome": "removed", "message": ""}
    assert control.server.predict("slow", {"instances": [1]}).status == 404


@pytest.mark.parametrize(
    ("request_", "headers", "refusal"),
    [
        (("POST", "/v1/config", b"nonsense"), {}, (400, "ModelServerConfig: line 1")),
        (("POST", "/v1/config", b'{"a": 1}'), {}, (400, "The body is no ModelServerConfig: ")),
        (("POST", "/v1/config", b""), {}, (400, "The body holds no model_config_list")),
        (
            ("POST", "/v1/config?wait=soon", b""),
            {},
            (400, "wait must be seconds"),
        ),
        (("POST", "/v1/config", b""), {"Origin": "http://a.example"}, (403, "pages in a browser")),
        (("PUT", "/v1/config", b""), {}, (405, "PUT is not possible at /v1/config.")),
        (("GET", "/v1/models", None), {}, (404, "There is nothing at /v1/models; try /v1/config,")),
    ],
)
def test_refusals(
    control: _Control,
    request_: tuple[str, str, bytes | None],
    headers: dict[str, str],
    refusal: tuple[int, str],
) -> None:
    """
    What is wrong is told in a sentence, and changes nothing.
    """
    before = control.request("GET", "/v1/config").json["config"]
    method, path, body = request_
    answer = control.request(method, path, body, **headers)
    assert answer.status == refusal[0]
    assert refusal[1] in answer.error
    assert control.request("GET", "/v1/config").json["config"] == before


def test_it_listens_on_the_loopback_alone(control: _Control) -> None:
    """
    Nobody on another machine reaches the port.
    """
    with pytest.raises(OSError):  # noqa: PT011, SIM117 - whichever of its kinds
        with socket.create_connection(("::1", control.port), timeout=5):
            pass


def test_the_session_flags(control: _Control) -> None:
    """
    Models answer rightly with a session's own configuration, and none of its flags is ignored.
    """
    assert control.apply(control.entry(HALF)).status == 200
    answer = control.server.predict(HALF, {"instances": [1.0, 2.0]})
    assert answer.json == {"predictions": [3.5, 4.0]}
    assert "has no effect" not in control.server.log


def test_labels_of_versions_that_are_not_there(control: _Control) -> None:
    """
    With the flag a new label may name a version that nobody has, and one that moves may not.
    """

    def apply(version: int) -> Answer:
        label = f'version_labels {{ key: "next" value: {version} }}'
        return control.apply(control.entry(HALF, label))

    assert control.apply(control.entry(HALF)).status == 200
    assert apply(8).status == 200
    missed = control.server.predict(f"{HALF}/labels/next", {"instances": [1.0]})
    assert (missed.status, missed.error) == (
        404,
        f"Servable not found for request: Specific({HALF}, 8)",
    )
    refused = apply(9)
    assert "Request to assign label to version 9 of model half_plus_two" in refused.error
    assert refused.status == 400
    assert apply(2).status == 200
    answer = control.server.predict(f"{HALF}/labels/next", {"instances": [1.0]})
    assert answer.json == {"predictions": [3.5]}
