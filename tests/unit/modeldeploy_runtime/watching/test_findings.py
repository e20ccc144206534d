"""
A version is found once it is complete, and nothing is forgotten because a storage is away.
"""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from modeldeploy_runtime.fetching.errors import Code, FetchError
from modeldeploy_runtime.sources.places import Listing, LocalPlace
from modeldeploy_runtime.watching.findings import KEPT, NAMES, Finder, Findings

SETTLES = "Its files must stay the same for 10 s."


class _World:
    """
    A base path on the disk, a clock that stands still, and a finder.
    """

    def __init__(self, folder: Path, names: str = "numbers") -> None:
        self.folder = folder / "base"
        self.folder.mkdir()
        self.now = 100.0
        place = LocalPlace(self.folder, saved_model=True)
        self.finder = Finder(place, 10.0, lambda: self.now, NAMES[names])

    def write(self, version: str, *names: str, text: str = "x") -> None:
        for name in names or ("saved_model.pb",):
            path = self.folder / version / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def look(self, later: float = 0.0) -> Findings:
        self.now += later
        return self.finder.look()


@pytest.fixture
def world(tmp_path: Path) -> _World:
    """
    An empty base path.
    """
    return _World(tmp_path)


def test_an_empty_base_path_holds_nothing(world: _World) -> None:
    """
    That is no problem of the storage: it was looked at.
    """
    assert world.look() == Findings(looked=True, incomplete={})


def test_a_version_must_settle(world: _World) -> None:
    """
    Files that stayed the same for the period are complete; the next look comes when that is over.
    """
    world.write("1")
    assert world.look().incomplete == {"1": SETTLES}
    assert world.finder.wait(60) == 10
    assert world.look(4).incomplete == {"1": SETTLES}
    assert world.finder.wait(60) == 6
    assert world.finder.wait(2) == 2
    assert world.look(6).complete == ("1",)
    assert world.finder.wait(60) == 60


def test_a_change_begins_the_period_anew(world: _World) -> None:
    """
    Whoever writes slowly is not met half-way.
    """
    world.write("1")
    world.look()
    world.write("1", text="more")
    assert world.look(9).incomplete == {"1": SETTLES}
    assert world.look(9).incomplete == {"1": SETTLES}
    assert world.look(1).complete == ("1",)


def test_a_version_that_lacks_files_is_told(world: _World) -> None:
    """
    However long it stays so.
    """
    world.write("1", "saved_model.pb", "variables/variables.index")
    for _ in range(2):
        found = world.look(100)
        assert found.incomplete == {"1": "The shards of its variables are missing."}
    assert world.finder.wait(60) == 60


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("_SUCCESS", ""),
        ("modeldeploy-manifest.json", json.dumps({"files": {"saved_model.pb": {"size": 1}}})),
    ],
)
def test_a_version_that_says_so_is_complete_at_once(world: _World, name: str, text: str) -> None:
    """
    A marker or a manifest needs no second look.
    """
    world.write("1")
    world.write("1", name, text=text)
    assert world.look().complete == ("1",)


def test_a_manifest_whose_files_are_not_there_is_not_complete(world: _World) -> None:
    """
    A manifest is believed only as far as the files bear it out.
    """
    text = json.dumps({"files": {"saved_model.pb": {"size": 7}}})
    world.write("1", "saved_model.pb")
    world.write("1", "modeldeploy-manifest.json", text=text)
    assert "has 1 bytes" in (world.look().incomplete or {})["1"]


def test_the_newest_are_told_first_and_only_a_few(world: _World) -> None:
    """
    Versions rank by number; of two names for one number the first counts; others are no versions.
    """
    for version in ("3", "10", "010", "9", "notes", "1", "2", "4", "5"):
        world.write(version, "saved_model.pb", "_SUCCESS")
    assert world.look().complete == ("010", "9", "5", "4", "3")
    assert len(world.look().complete) == KEPT


def test_only_a_few_incomplete_versions_are_told(world: _World) -> None:
    """
    A folder full of broken uploads does not make the answer grow.
    """
    for version in range(20):
        world.write(str(version), "notes")
    assert list(world.look().incomplete or {}) == ["19", "18", "17", "16", "15"]


def test_names_of_any_kind_are_versions_where_that_is_wanted(tmp_path: Path) -> None:
    """
    With any names, runs of digits count as numbers.
    """
    world = _World(tmp_path, "any")
    for version in ("v9", "v10"):
        world.write(version, "saved_model.pb", "_SUCCESS")
    assert world.look().complete == ("v10", "v9")


def test_dates_and_times_are_versions_where_order_is_wanted(tmp_path: Path) -> None:
    """
    A folder that somebody put aside is none.
    """
    world = _World(tmp_path, "ordered")
    for version in ("7", "2024-11-05T10-00Z", "2024-11-05T9-00Z", "7-backup", "9" * 20, "new"):
        world.write(version, "saved_model.pb", "_SUCCESS")
    assert world.look().complete == ("2024-11-05T10-00Z", "2024-11-05T9-00Z", "7")


def test_a_storage_that_is_away_takes_nothing_away(world: _World) -> None:
    """
    What was found stays found, the failure is told, and a later look mends it.
    """
    world.write("1", "saved_model.pb", "_SUCCESS")
    world.look()
    moved = world.folder.with_name("moved")
    world.folder.rename(moved)
    found = world.look()
    assert found.complete == ("1",)
    assert (found.code, found.looked) == ("VersionNotFound", True)
    assert json.loads(found.to_json())["problem"]["code"] == "VersionNotFound"
    moved.rename(world.folder)
    assert world.look() == Findings(looked=True, complete=("1",), incomplete={})


def test_a_version_that_is_deleted_is_no_longer_told(world: _World) -> None:
    """
    One that comes back under the same name must settle again.
    """
    world.write("1", "saved_model.pb", "_SUCCESS")
    world.look()
    shutil.rmtree(world.folder / "1")
    assert world.look().complete == ()
    world.write("1")
    assert world.look().incomplete == {"1": SETTLES}


class _Remote(LocalPlace):
    """
    A folder that fails as a storage elsewhere does.
    """

    def __init__(self, folder: Path, failures: Mapping[str, Code]) -> None:
        super().__init__(folder, saved_model=True)
        self._failures = failures

    def folders(self) -> list[str]:
        if code := self._failures.get("folders"):
            raise FetchError(code, "It cannot be listed.")
        return super().folders()

    def listing(self, version: str) -> Listing:
        if code := self._failures.get(version):
            raise FetchError(code, "It cannot be listed.")
        return super().listing(version)


@pytest.mark.parametrize(
    ("failures", "expected"),
    [
        ({"folders": Code.VERSION_NOT_FOUND}, Findings(looked=True, incomplete={})),
        (
            {"folders": Code.STORAGE_UNAVAILABLE},
            Findings(code="StorageUnavailable", message="It cannot be listed."),
        ),
        (
            {"2": Code.VERSION_NOT_FOUND},
            Findings(looked=True, complete=("1",), incomplete={"2": "It cannot be listed."}),
        ),
        (
            {"2": Code.ACCESS_DENIED},
            Findings(code="AccessDenied", message="It cannot be listed."),
        ),
    ],
)
def test_failures_of_a_storage(
    world: _World, failures: Mapping[str, Code], expected: Findings
) -> None:
    """
    A base path or a version that is not there is no failure; anything else ends the look.
    """
    for version in ("1", "2"):
        world.write(version, "saved_model.pb", "_SUCCESS")
    place = _Remote(world.folder, failures)
    finder = Finder(place, 10.0, lambda: 0.0, NAMES["numbers"])
    assert finder.look() == expected


def test_times_alone_do_not_make_a_version(world: _World) -> None:
    """
    A file that is touched counts as changed, whatever its size.
    """
    world.write("1")
    world.look()
    os.utime(world.folder / "1" / "saved_model.pb", ns=(1, 1))
    assert world.look(10).complete == ()
