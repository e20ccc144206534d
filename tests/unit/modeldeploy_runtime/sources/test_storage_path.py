"""
Looking for versions below base paths.
"""

import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from modeldeploy_runtime.servables.data import ServableData
from modeldeploy_runtime.sources.models import ServedModel
from modeldeploy_runtime.sources.places import Listing, LocalPlace, Place
from modeldeploy_runtime.sources.port import SourceOptions, StoredVersion
from modeldeploy_runtime.sources.storage_path import StoragePathSource
from modeldeploy_runtime.sources.version_policy import All, Latest, VersionPolicy
from modeldeploy_runtime.sources.watch import Watch


class _Sink:
    """
    Remembers what was wanted, in the order in which it was said.
    """

    def __init__(self) -> None:
        self.told: list[tuple[str, list[int]]] = []
        self.came = threading.Event()

    def __call__(self, model: ServedModel, versions: Sequence[ServableData[StoredVersion]]) -> None:
        self.told.append((model.name, sorted(data.id.version for data in versions)))
        self.came.set()


def _write(base: Path, version: str, *, marker: bool = False) -> None:
    (base / version).mkdir(parents=True)
    (base / version / "saved_model.pb").write_bytes(b"graph")
    if marker:
        (base / version / "_SUCCESS").touch()


def _source(base: Path, policy: VersionPolicy, sink: _Sink) -> StoragePathSource:
    source = StoragePathSource(sink, _local, SourceOptions())
    source.set_models([ServedModel("m", str(base), policy)])
    return source


def _local(model: ServedModel) -> Place:
    return LocalPlace(Path(model.base_path), saved_model=True)


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


def test_models_come_and_go(tmp_path: Path) -> None:
    """
    A changed set of models says what is new, unloads what is left out, and leaves the rest alone.
    """
    sink = _Sink()
    for base in "abc":
        _write(tmp_path / base, "1", marker=True)
        _write(tmp_path / base, "2", marker=True)
    models = {base: ServedModel(base, str(tmp_path / base)) for base in "abc"}
    source = StoragePathSource(sink, _local, SourceOptions())
    source.set_models([models["a"], models["b"]])
    source.poll()
    assert sink.told == [("a", [2]), ("b", [2])]
    changed = ServedModel("b", str(tmp_path / "b"), All())
    source.set_models([changed, models["c"]])
    assert sink.told[2:] == [("a", [])]
    source.poll()
    assert sink.told[3:] == [("b", [1, 2]), ("c", [2])]
    assert source.problem("a") == ""


def test_a_base_path_that_hangs(tmp_path: Path) -> None:
    """
    One base path that never answers holds up no other model.
    """
    sink = _Sink()
    hangs = threading.Event()

    class Hanging(LocalPlace):
        def folders(self) -> list[str]:
            hangs.wait(60)
            return []

    def place(model: ServedModel) -> Place:
        kind = Hanging if model.name == "hangs" else LocalPlace
        return kind(Path(model.base_path), saved_model=True)

    _write(tmp_path, "1", marker=True)
    source = StoragePathSource(sink, place, SourceOptions())
    source.set_models([ServedModel(name, str(tmp_path)) for name in ("hangs", "m")])
    source.start()
    assert sink.came.wait(10)
    assert sink.told == [("m", [1])]
    source.stop()
    hangs.set()


class _Remote(LocalPlace):
    """
    A place elsewhere that counts what is asked of it.
    """

    is_remote = True

    def __init__(self, base: Path) -> None:
        super().__init__(base, saved_model=True)
        self.asked: list[str] = []

    def folders(self) -> list[str]:
        self.asked.append("")
        return super().folders()

    def listing(self, version: str) -> Listing:
        self.asked.append(version)
        return super().listing(version)


def test_looking_elsewhere_is_bounded(tmp_path: Path) -> None:
    """
    While nothing changes elsewhere, or it cannot be read, the waits double up to the longest one.
    """
    for version in "123":
        _write(tmp_path / "m", version)
    place = _Remote(tmp_path / "m")
    watch = Watch(ServedModel("m", ""), place, SourceOptions(1.0, 10.0), None)
    assert watch.look() is None
    assert watch.wait() == 1.0
    assert watch.look() == ["3"]
    assert watch.wait() == 1.0
    # Only the version that counts was looked into, and only until it was settled.
    assert place.asked == ["", "3", "", "3"]
    waits = []
    for _ in range(5):
        assert watch.look() is None
        waits.append(watch.wait())
    assert waits == [2.0, 4.0, 8.0, 10.0, 10.0]
    assert place.asked[4:] == [""] * 5
    _write(tmp_path / "m", "4", marker=True)
    assert watch.look() == ["4"]
    assert watch.wait() == 1.0
    watch.failed("away")
    watch.failed("away")
    assert watch.wait() == 4.0


def test_a_poll_of_nothing(tmp_path: Path) -> None:
    """
    A poll of 0 seconds goes on until there is something to serve, and then ends.
    """
    watch = Watch(ServedModel("m", ""), _local(ServedModel("m", str(tmp_path))), _ONCE, None)
    assert watch.look() is None
    assert watch.wait() == 1.0
    _write(tmp_path, "1", marker=True)
    assert watch.look() == ["1"]
    assert watch.wait() is None


_ONCE = SourceOptions(0.0)


def test_any_name(tmp_path: Path) -> None:
    """
    Where any name is wanted, versions rank in natural order, and each has a number of its own.
    """
    sink = _Sink()
    for name in ("2024-11-05", "2024-9-30", "7"):
        _write(tmp_path, name, marker=True)
    source = StoragePathSource(sink, _local, SourceOptions(any_name=True))
    source.set_models([ServedModel("m", str(tmp_path), All())])
    source.poll()
    [(_, numbers)] = sink.told
    assert numbers[0] == 7
    assert all(number >= 2**62 for number in numbers[1:])
