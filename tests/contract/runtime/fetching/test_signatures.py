"""
``modeldeploy-server fetch`` judges what it fetched: its signatures, and whether clients notice it.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format
from tensorflow.core.protobuf import saved_model_pb2

from testkit.model_servers import ModelServer, run_command

HALF = "half_plus_two"


@dataclass(frozen=True, slots=True)
class Outcome:
    """
    What a fetch said.
    """

    status: int
    report: dict[str, Any]
    log: str


def _fetch(folder: Path, uri: str, version: str, *more: str) -> Outcome:
    result = run_command("fetch", f"--uri={uri}", f"--version={version}", f"--to={folder}", *more)
    return Outcome(result.returncode, json.loads(result.stdout), result.stderr)


def _served(server: ModelServer, folder: Path, name: str) -> str:
    """
    Save what the metadata route of a running server says of a model.
    """
    path = folder / "metadata.json"
    path.write_text(json.dumps(server.get(f"/v1/models/{name}/metadata").json))
    return f"--against={path}"


def test_a_version_with_the_interface_of_the_served_one_is_fetched(
    models: Path, server: ModelServer, tmp_path: Path
) -> None:
    """
    The same signatures fit, whoever exported them.
    """
    against = _served(server, tmp_path, HALF)
    outcome = _fetch(tmp_path / "to", f"file://{models}/{HALF}", "2", against)
    assert outcome.status == 0
    assert outcome.report["code"] == "Fetched"
    assert "warning" not in outcome.report


def test_a_version_that_clients_would_notice_is_refused(
    models: Path, server: ModelServer, tmp_path: Path
) -> None:
    """
    Strict ends for good, with each difference in the message.
    """
    against = _served(server, tmp_path, HALF)
    outcome = _fetch(tmp_path / "to", f"file://{models}/sums", "1", against)
    assert outcome.status == 2
    assert outcome.report["code"] == "SignatureIncompatible"
    assert outcome.report["permanent"]
    message = outcome.report["message"]
    assert message.startswith("It does not fit the clients of version 2: ")
    assert 'the input "x" is gone' in message
    assert 'the output "y" is gone' in message


def test_a_version_that_clients_would_notice_is_warned_of(
    models: Path, server: ModelServer, tmp_path: Path
) -> None:
    """
    Warn fetches it and says the same; Off does not look.
    """
    against = _served(server, tmp_path, HALF)
    uri = f"file://{models}/sums"
    outcome = _fetch(tmp_path / "to", uri, "1", against, "--compatibility=Warn")
    assert outcome.status == 0
    assert 'the input "x" is gone' in outcome.report["warning"]
    assert outcome.report["digest"].startswith("sha256:")
    assert outcome.report["warning"] in outcome.log
    outcome = _fetch(tmp_path / "off", uri, "1", against, "--compatibility=Off")
    assert outcome.status == 0
    assert "warning" not in outcome.report


def test_a_wider_version_is_fetched(models: Path, tmp_path: Path) -> None:
    """
    Inputs of more shapes and a further output beside several fit the clients of today.
    """
    described = _described(models / "sums" / "1")
    signature = described["metadata"]["signature_def"]["signature_def"]["serving_default"]
    signature["inputs"]["a"]["tensor_shape"]["dim"][0]["size"] = "8"
    other = dict(signature["outputs"]["sum"])
    signature["outputs"] = {"sum": other, "doubled": signature["outputs"]["doubled"]}
    path = tmp_path / "metadata.json"
    path.write_text(json.dumps(described))
    outcome = _fetch(tmp_path / "to", f"file://{models}/sums", "1", f"--against={path}")
    assert outcome.report["code"] == "Fetched"


def _described(folder: Path) -> dict[str, Any]:
    """
    Describe a SavedModel as TensorFlow Serving's own metadata route does, from its message.
    """
    saved = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    signatures = {
        name: json_format.MessageToDict(definition, preserving_proto_field_name=True)
        for name, definition in saved.meta_graphs[0].signature_def.items()
        if not name.startswith("__")
    }
    spec = {"name": "sums", "signature_name": "", "version": "1"}
    described = {"@type": "type.googleapis.com/…", "signature_def": signatures}
    return {"model_spec": spec, "metadata": {"signature_def": described}}


@pytest.mark.parametrize(
    ("names", "code"),
    [("serving_default", "Fetched"), ("serving_default,score,rank", "SignatureMissing")],
)
def test_required_signatures_must_be_there(
    models: Path, tmp_path: Path, names: str, code: str
) -> None:
    """
    A signature that is required and missing is named, and so are those that are there.
    """
    demand = f"--required_signatures={names}"
    outcome = _fetch(tmp_path, f"file://{models}/{HALF}", "00000001", demand)
    assert outcome.report["code"] == code
    if code != "Fetched":
        assert outcome.status == 2
        assert outcome.report["message"] == (
            'The version has no signature "score" and "rank"; it has "serving_default".'
        )


@pytest.mark.parametrize("contents", ["no JSON", '{"metadata": {}}'])
def test_what_cannot_be_compared_is_told(models: Path, tmp_path: Path, contents: str) -> None:
    """
    An interface that cannot be read keeps nobody from serving, and is a warning.
    """
    path = tmp_path / "metadata.json"
    path.write_text(contents)
    outcome = _fetch(tmp_path / "to", f"file://{models}/{HALF}", "00000001", f"--against={path}")
    assert outcome.status == 0
    assert "could not be compared" in outcome.report["warning"]


def test_nothing_is_compared_where_nothing_is_served(models: Path, tmp_path: Path) -> None:
    """
    The first version of a deployment has no file to be compared with.
    """
    against = f"--against={tmp_path}/metadata.json"
    outcome = _fetch(tmp_path / "to", f"file://{models}/{HALF}", "00000001", against)
    assert outcome.report["code"] == "Fetched"
    assert "warning" not in outcome.report
