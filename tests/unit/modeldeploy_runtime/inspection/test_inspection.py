"""
A SavedModel is described from its file alone, whatever else the file holds.
"""

import io
from pathlib import Path
from typing import Any

import pytest

from modeldeploy_runtime import flags
from modeldeploy_runtime.inspection import command, places, savedmodel, show
from modeldeploy_runtime.inspection.errors import InspectionError
from modeldeploy_runtime.protos import messages, wire

FLOAT, STRING, QINT8 = 1, 7, 11


def _graph(*tags: str, **signatures: Any) -> Any:
    graph = messages.MetaGraphDef(
        meta_info_def={"tags": tags, "tensorflow_version": "2.21.0"},
        graph_def={"node": [{"name": "n" * 1000, "op": "NoOp"}]},
    )
    for name, definition in signatures.items():
        graph.signature_def[name].CopyFrom(definition)
    return graph


def _signature() -> Any:
    definition = messages.SignatureDef(method_name="tensorflow/serving/predict")
    x = definition.inputs["x"]
    x.name, x.dtype = "x:0", FLOAT
    x.tensor_shape.dim.add(size=-1)
    x.tensor_shape.dim.add(size=3)
    y = definition.outputs["long_name"]
    y.name, y.dtype = "y:0", STRING
    y.tensor_shape.unknown_rank = True
    definition.defaults["x"].CopyFrom(
        messages.TensorProto(dtype=FLOAT, tensor_shape={"dim": [{"size": 1}]}, float_val=[1.5])
    )
    return definition


def _written(folder: Path, *graphs: Any, version: str = "1") -> Path:
    """
    Write a SavedModel: field 1 is the schema's version, and each field 2 a graph.
    """
    target = folder / version
    target.mkdir(parents=True)
    model = b"\x08\x01"
    for graph in graphs:
        content = graph.SerializeToString()
        size, rest = b"", len(content)
        while rest > 0x7F:
            size, rest = size + bytes([rest & 0x7F | 0x80]), rest >> 7
        model += b"\x12" + size + bytes([rest]) + content
    (target / "saved_model.pb").write_bytes(model)
    return target


def test_fields_are_found_and_not_read() -> None:
    """
    A walk gives each field's place, wherever the caller has read meanwhile.
    """
    file = io.BytesIO(b"\x08\x96\x01" + b"\x12\x03abc" + b"\x1d\x00\x00\x00\x00")
    found = []
    for field in wire.fields(file, 13):
        found.append((field.number, field.start, field.content, field.stop))
        file.seek(0)
    assert found == [(1, 0, 3, 3), (2, 3, 5, 8), (3, 8, 9, 13)]


def test_a_model_is_described(tmp_path: Path) -> None:
    """
    Each input and output has one line, in the words of saved_model_cli.
    """
    _written(tmp_path, _graph("serve", scored=_signature()))
    found = places.find(str(tmp_path))
    assert show.text(found, list(found.graphs)).splitlines() == [
        f"{tmp_path}/1",
        "",
        "tag-set: serve",
        "written by: TensorFlow 2.21.0",
        "",
        "signature_def['scored']",
        "  method name: tensorflow/serving/predict",
        "  inputs['x']           dtype: DT_FLOAT   shape: (-1, 3)       name: x:0  default: [1.5]",
        "  outputs['long_name']  dtype: DT_STRING  shape: unknown_rank  name: y:0",
    ]


def test_a_model_is_described_for_programs(tmp_path: Path) -> None:
    """
    The same as values: sizes in lists, and null where the rank is open.
    """
    _written(tmp_path, _graph("serve", "gpu", scored=_signature()))
    found = places.find(str(tmp_path / "1"))
    signature = {
        "method_name": "tensorflow/serving/predict",
        "inputs": {"x": {"dtype": "DT_FLOAT", "shape": [-1, 3], "name": "x:0"}},
        "outputs": {"long_name": {"dtype": "DT_STRING", "shape": None, "name": "y:0"}},
        "defaults": {"x": [1.5]},
    }
    graph = {
        "tags": ["gpu", "serve"],
        "tensorflow_version": "2.21.0",
        "signature_def": {"scored": signature},
    }
    expected = {"path": f"{tmp_path}/1", "meta_graphs": [graph]}
    assert show.document(found, list(found.graphs)) == expected


def test_odd_models_are_described(tmp_path: Path) -> None:
    """
    Sparse inputs, types without a name, bytes as defaults, and names that would move a cursor.
    """
    definition = messages.SignatureDef(method_name="\x1b[2J")
    definition.inputs["s"].coo_sparse.values_tensor_name = "values:0"
    definition.inputs["q"].name, definition.inputs["q"].dtype = "q:0", 999
    for name, value in (("s", b"\xff"), ("q", b"text")):
        definition.defaults[name].CopyFrom(messages.TensorProto(dtype=STRING, string_val=[value]))
    _written(tmp_path, _graph("serve", **{"a\nb": definition}))
    found = places.find(str(tmp_path))
    assert show.text(found, list(found.graphs)).splitlines()[5:] == [
        "signature_def['a\\nb']",
        "  method name: '\\x1b[2J'",
        "  inputs['q']  dtype: type 999    shape: ()  name: q:0             default: \"text\"",
        (
            "  inputs['s']  dtype: DT_INVALID  shape: ()  encoding: coo_sparse  "
            'default: {"b64": "/w=="}'
        ),
    ]


@pytest.mark.parametrize(
    ("versions", "newest"), [(["9", "00010", "notes"], "00010"), (["v9", "v10"], "v10")]
)
def test_the_newest_version_is_taken(tmp_path: Path, versions: list[str], newest: str) -> None:
    """
    A base path stands for its newest version, by number where there are numbers.
    """
    for version in versions:
        _written(tmp_path, _graph("serve"), version=version)
    for name in (".11", "11", "z"):
        (tmp_path / name).mkdir()
    assert places.find(str(tmp_path)).folder == tmp_path / newest


@pytest.mark.parametrize(
    ("tags", "asked", "chosen"),
    [
        (["serve", "serve,gpu"], "", "serve"),
        (["serve", "serve,gpu"], "serve,gpu", "gpu,serve"),
        (["train"], "", "train"),
    ],
)
def test_a_graph_is_chosen(tmp_path: Path, tags: list[str], asked: str, chosen: str) -> None:
    """
    What is served is meant where no tags are named, or the only graph that is there.
    """
    _written(tmp_path, *(_graph(*tag_set.split(",")) for tag_set in tags))
    assert places.find(str(tmp_path)).only(asked).tag_set == chosen


@pytest.mark.parametrize(
    ("tags", "asked", "wanted", "there"),
    [
        (["train", "test"], "", "serve", '"train" and "test"'),
        (["train"], "a,b", "a,b", '"train"'),
    ],
)
def test_no_graph_is_chosen(
    tmp_path: Path, tags: list[str], asked: str, wanted: str, there: str
) -> None:
    """
    Where there is no such graph, the sentence says which there are.
    """
    _written(tmp_path, *(_graph(tag) for tag in tags))
    expected = f'{tmp_path}/1 has no graph with the tag-set "{wanted}"; it has {there}.'
    with pytest.raises(InspectionError) as caught:
        places.find(str(tmp_path)).only(asked)
    assert str(caught.value) == expected


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\x08\x01", "it holds no graph"),
        (b"\x12\x7fabc", "it ends in the middle"),
        (b"no model", "it is not a SavedModel"),
        (b"\x12\x02\x0a\x09", "a part of it is damaged"),
        (b"\x12\x04\x2a\x02\xff\xff", "a part of it is damaged"),
    ],
)
def test_damaged_files(tmp_path: Path, content: bytes, reason: str) -> None:
    """
    A file that is no whole SavedModel is refused in a sentence.
    """
    file = tmp_path / "saved_model.pb"
    file.write_bytes(content)
    with pytest.raises(InspectionError) as caught:
        savedmodel.read(file)
    assert str(caught.value) == f"{file} cannot be inspected: {reason}."


def test_a_path_stands_anywhere() -> None:
    """
    The path may stand before, between or behind the flags, and must be there.
    """
    wanted = command.Request("/m", signature="s", json=True)
    for line in ("/m --json --signature=s", "--signature s /m --json", "--json --signature s /m"):
        assert flags.parse(line.split(), command.Request, place="path") == wanted
    with pytest.raises(flags.FlagError, match="PATH is needed"):
        flags.parse(["--json"], command.Request, place="path")
    with pytest.raises(flags.FlagError, match='"/n" is not a flag'):
        flags.parse(["/m", "/n"], command.Request, place="path")
