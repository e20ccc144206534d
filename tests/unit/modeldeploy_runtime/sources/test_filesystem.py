"""
Looking for versions in folders.
"""

from collections.abc import Mapping
from pathlib import Path

import pytest

from modeldeploy_runtime.sources.filesystem import FilesystemSource
from modeldeploy_runtime.sources.models import ServedModel
from modeldeploy_runtime.sources.version_policy import All, Latest, VersionPolicy


class _Sink:
    """
    Remembers what was wanted, in the order in which it was said.
    """

    def __init__(self) -> None:
        self.told: list[tuple[str, list[int]]] = []

    def __call__(self, name: str, versions: Mapping[int, Path]) -> None:
        self.told.append((name, sorted(versions)))


def _write(base: Path, version: str, *, marker: bool = False) -> None:
    (base / version).mkdir(parents=True)
    (base / version / "saved_model.pb").write_bytes(b"graph")
    if marker:
        (base / version / "_SUCCESS").touch()


def _source(base: Path, policy: VersionPolicy, sink: _Sink) -> FilesystemSource:
    return FilesystemSource([ServedModel("m", base, policy)], sink, 1.0)


def test_two_looks(tmp_path: Path) -> None:
    """
    A version without a marker is taken when two looks at it see the same.
    """
    sink = _Sink()
    source = _source(tmp_path, Latest(), sink)
    _write(tmp_path, "1")
    assert not source.poll()
    (tmp_path / "1" / "saved_model.pb").write_bytes(b"graph, longer")
    assert not source.poll()
    assert sink.told == []
    assert source.poll()
    assert sink.told == [("m", [1])]
    assert source.problem("m") == ""


def test_one_look(tmp_path: Path) -> None:
    """
    A version with a marker is taken at once, and what does not change is said once.
    """
    sink = _Sink()
    source = _source(tmp_path, Latest(), sink)
    _write(tmp_path, "1", marker=True)
    assert source.poll()
    assert source.poll()
    assert sink.told == [("m", [1])]


def test_newest_complete_version(tmp_path: Path) -> None:
    """
    A newer version that is incomplete does not take the place of a complete one.
    """
    sink = _Sink()
    source = _source(tmp_path, Latest(), sink)
    _write(tmp_path, "1", marker=True)
    (tmp_path / "2").mkdir()
    for _ in range(3):
        source.poll()
    assert sink.told == [("m", [1])]
    assert source.problem("m") == "Version 2 is not complete: It holds no saved_model.pb."


def test_two_names_of_one_number(tmp_path: Path) -> None:
    """
    Of two folders with the same number one is served.
    """
    sink = _Sink()
    for name in ("1", "001", "two", ".3"):
        _write(tmp_path, name, marker=True)
    _source(tmp_path, All(), sink).poll()
    assert sink.told == [("m", [1])]


@pytest.mark.parametrize("empty", [True, False])
def test_nothing_is_given_up(tmp_path: Path, *, empty: bool) -> None:
    """
    An empty or missing base path says nothing about what is wanted.
    """
    base = tmp_path / "base"
    sink = _Sink()
    source = _source(base, All(), sink)
    _write(base, "1", marker=True)
    source.poll()
    base.rename(tmp_path / "away")
    if empty:
        base.mkdir()
    source.poll()
    assert sink.told == [("m", [1])]
    assert source.problem("m") != ""


def test_all_versions(tmp_path: Path) -> None:
    """
    The whole set is said each time; a version that is gone while others are there is left out.
    """
    sink = _Sink()
    source = _source(tmp_path, All(), sink)
    _write(tmp_path, "1", marker=True)
    source.poll()
    _write(tmp_path, "2", marker=True)
    source.poll()
    (tmp_path / "1").rename(tmp_path / "old")
    source.poll()
    assert [versions for _, versions in sink.told] == [[1], [1, 2], [2]]
