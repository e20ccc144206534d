"""
``modeldeploy-server inspect`` on models as TensorFlow writes them, beside a server of theirs.
"""

import json
from pathlib import Path

import pytest
from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf import saved_model_pb2

from modeldeploy_runtime.inspection import places
from modeldeploy_runtime.loaders import interfaces
from testkit.model_servers import ModelServer, run_command

SERVED = ("half_plus_two", "sums", "kinds", "shapes", "slow")


def test_a_model_is_shown(models: Path) -> None:
    """
    A model's base path shows the newest version's signatures, a line for each input and output.
    """
    result = run_command("inspect", f"{models}/half_plus_two", "--signature=serving_default")
    assert (result.returncode, result.stderr) == (0, "")
    path, empty, tags, writer, *rest = result.stdout.splitlines()
    assert (path, empty, tags) == (f"{models}/half_plus_two/2", "", "tag-set: serve")
    assert writer.startswith("written by: TensorFlow 2.")
    assert rest == [
        "",
        "signature_def['serving_default']",
        "  method name: tensorflow/serving/predict",
        "  inputs['x']   dtype: DT_FLOAT  shape: (-1)  name: serving_default_x:0",
        "  outputs['y']  dtype: DT_FLOAT  shape: (-1)  name: StatefulPartitionedCall:0",
    ]


def test_a_default_is_shown(models: Path) -> None:
    """
    An input that may be left out says what it is then.
    """
    result = run_command("inspect", f"{models}/sums/1", "--signature=scaled")
    assert "inputs['by']  dtype: DT_FLOAT  shape: ()    name: scaled_by:0" in result.stdout
    assert "default: 3.0" in result.stdout


@pytest.mark.parametrize("name", SERVED)
def test_what_is_shown_is_what_tensorflow_reads(models: Path, name: str) -> None:
    """
    Every signature, type, shape and name is the one that TensorFlow's own message class reads.
    """
    shown = json.loads(run_command("inspect", f"{models}/{name}", "--json").stdout)
    file = Path(shown["path"], "saved_model.pb")
    (graph,) = saved_model_pb2.SavedModel.FromString(file.read_bytes()).meta_graphs
    (found,) = shown["meta_graphs"]
    assert set(found["signature_def"]) == set(graph.signature_def)
    for signature, definition in graph.signature_def.items():
        described = found["signature_def"][signature]
        assert described["method_name"] == definition.method_name
        for side, infos in (("inputs", definition.inputs), ("outputs", definition.outputs)):
            assert described[side] == {
                alias: {
                    "dtype": types_pb2.DataType.Name(info.dtype),
                    "shape": None
                    if info.tensor_shape.unknown_rank
                    else [dim.size for dim in info.tensor_shape.dim],
                    "name": info.name,
                }
                for alias, info in infos.items()
            }


@pytest.mark.requirement("row-18")
@pytest.mark.parametrize("name", SERVED)
def test_files_and_the_metadata_route_agree(
    server: ModelServer, models: Path, tmp_path: Path, name: str
) -> None:
    """
    A version has the same interface whether its files tell of it or the server that serves it.
    """
    answer = server.get(f"/v1/models/{name}/metadata")
    (tmp_path / "served.json").write_bytes(answer.body)
    found = places.interface(f"{models}/{name}", "")[1]
    assert found
    assert found == interfaces.of_metadata(answer.json)
    assert found == places.interface(f"{tmp_path}/served.json", "")[1]


@pytest.mark.requirement("row-18")
def test_a_version_that_fits(server: ModelServer, models: Path, tmp_path: Path) -> None:
    """
    A new version fits the clients of the old one, be that a folder or what a server said.
    """
    old, new = f"{models}/half_plus_two/00000001", f"{models}/half_plus_two/2"
    served = tmp_path / "served.json"
    served.write_bytes(server.get("/v1/models/half_plus_two/metadata").body)
    for other in (old, str(served)):
        result = run_command("inspect", new, f"--against={other}")
        assert (result.returncode, result.stdout) == (0, f"{new} fits the clients of {other}.\n")


@pytest.mark.requirement("row-18")
def test_a_version_that_does_not_fit(models: Path) -> None:
    """
    What a client would notice is said in sentences, or in JSON for programs.
    """
    old, new = f"{models}/half_plus_two/2", f"{models}/slow/1"
    result = run_command("inspect", new, f"--against={old}")
    differences = [
        'In the signature "serving_default" the input "x" is gone.',
        'In the signature "serving_default" there is a new input "n", which must be sent always.',
        'In the signature "serving_default" the output "y" is gone.',
    ]
    assert result.returncode == 1
    assert result.stdout.splitlines() == [
        f"{new} does not fit the clients of {old}:",
        *(f"  {sentence}" for sentence in differences),
    ]
    result = run_command("inspect", new, f"--against={old}", "--json")
    assert result.returncode == 1
    assert json.loads(result.stdout) == {
        "path": new,
        "against": old,
        "compatible": False,
        "differences": differences,
    }


@pytest.mark.parametrize(
    ("arguments", "status", "sentence"),
    [
        (["{models}/nothing"], 2, "There is no folder at {models}/nothing."),
        (["{models}"], 2, "{models} holds neither saved_model.pb nor a version with one."),
        (
            ["{models}/broken"],
            2,
            "{models}/broken/1/saved_model.pb cannot be inspected: it is not a SavedModel.",
        ),
        (
            ["{models}/slow", "--signature=other"],
            2,
            (
                '{models}/slow/1 has no signature "other"; it has "__saved_model_init_op" and '
                '"serving_default".'
            ),
        ),
        (
            ["{models}/slow", "--tag_set=gpu"],
            2,
            '{models}/slow/1 has no graph with the tag-set "gpu"; it has "serve".',
        ),
        (
            ["{models}/slow", "--against={models}/broken/1/saved_model.pb"],
            2,
            (
                "{models}/broken/1/saved_model.pb is neither a folder nor an answer of "
                "GET /v1/models/NAME/metadata."
            ),
        ),
        (
            ["{models}/slow", "--against={models}/sums", "--signature=none"],
            2,
            '{models}/sums/1 has no signature "none"; it has "scaled" and "serving_default".',
        ),
        ([], 255, "PATH is needed."),
        (["{models}/slow", "{models}/sums"], 255, '"{models}/sums" is not a flag; flags look like'),
        (["{models}/slow", "--agianst=/m"], 255, "unknown argument: --agianst"),
    ],
)
def test_what_cannot_be_shown(
    models: Path, arguments: list[str], status: int, sentence: str
) -> None:
    """
    Whatever is wrong is said in one sentence, and the exit status tells what kind of wrong it is.
    """
    result = run_command("inspect", *(argument.format(models=models) for argument in arguments))
    assert result.returncode == status
    assert result.stderr.startswith(sentence.format(models=models))
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""
