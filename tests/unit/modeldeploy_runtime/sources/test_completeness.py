"""
When a version's files are all there.
"""

import json

import pytest

from modeldeploy_runtime.sources import completeness

GRAPH = {"saved_model.pb": 10}
INDEX = "variables/variables.index"
FIRST = "variables/variables.data-00000-of-00002"
SECOND = "variables/variables.data-00001-of-00002"
OTHER = "variables/variables.data-00000-of-00001"


@pytest.mark.parametrize(
    ("names", "lack"),
    [
        ([], "It holds no saved_model.pb."),
        ([INDEX, FIRST, SECOND], "It holds no saved_model.pb."),
        (["saved_model.pb"], None),
        (["saved_model.pbtxt"], None),
        (["_SUCCESS"], None),
        (["saved_model.pb", INDEX], "The shards of its variables are missing."),
        (["saved_model.pb", FIRST, SECOND], f"{INDEX} is missing, although shards are there."),
        (["saved_model.pb", INDEX, FIRST], f"{SECOND} is missing."),
        (["saved_model.pb", INDEX, SECOND], f"{FIRST} is missing."),
        (
            ["saved_model.pb", INDEX, FIRST, OTHER],
            "The shards of its variables are of different sets.",
        ),
        (["saved_model.pb", INDEX, FIRST, SECOND, "assets/vocabulary.txt"], None),
    ],
)
def test_files(names: list[str], lack: str | None) -> None:
    """
    A SavedModel is complete with its graph and every shard of its variables, or with a marker.
    """
    assert completeness.what_is_missing(dict.fromkeys(names, 1)) == lack


@pytest.mark.parametrize(
    ("sizes", "lack"),
    [
        ({"a": 1, "b/c": 2}, None),
        ({"a": 1}, "b/c is missing, which modeldeploy-manifest.json lists."),
        ({"a": 3, "b/c": 2}, "a has 3 bytes, and modeldeploy-manifest.json says 1."),
    ],
)
def test_manifest(sizes: dict[str, int], lack: str | None) -> None:
    """
    A manifest says which files there must be, and how large they are.
    """
    manifest = json.dumps({"files": {"a": {"size": 1}, "b/c": {"size": 2}}}).encode()
    assert completeness.what_is_missing(sizes, manifest) == lack


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b'{"files": 1}', b'{"files": {"a": 1}}'])
def test_unreadable_manifest(text: bytes) -> None:
    """
    A manifest that cannot be read makes a version incomplete.
    """
    lack = completeness.what_is_missing(GRAPH, text)
    assert lack is not None
    assert lack.startswith("modeldeploy-manifest.json cannot be read: ")


@pytest.mark.parametrize(
    ("names", "foreign"),
    [
        ([], None),
        (["saved_model.pb", "model.onnx"], None),
        (
            ["variables/variables.index", "assets/vocab.txt", "assets.extra/a", "fingerprint.pb"],
            None,
        ),
        ([".saved_model.pb.x1", "saved_model.pb.part", "README.md", "_SUCCESS"], None),
        (["variables/variables.index", "model.onnx"], "model.onnx"),
        (["weights/0.bin", "_SUCCESS"], "weights/0.bin"),
    ],
)
def test_what_is_of_another_platform(names: list[str], foreign: str | None) -> None:
    """
    Files that no SavedModel has tell another kind of model, unless its graph is there as well.
    """
    assert completeness.what_is_foreign(names) == foreign
