"""
What follows a list: when a version is fetched, tried again, or taken away.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from modeldeploy_runtime.fetching import command
from modeldeploy_runtime.fetching.command import Request
from modeldeploy_runtime.fetching.errors import Code, FetchError
from modeldeploy_runtime.fetching.report import Report
from modeldeploy_runtime.following import wanted
from modeldeploy_runtime.following.folder import Folder
from modeldeploy_runtime.following.wanted import ListError


@dataclass
class Storage:
    """
    Stands for the storage: what it has, and what it was asked for.
    """

    failures: dict[str, Code] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    meanwhile: Callable[[], None] = lambda: None

    def fetch(self, request: Request, _judge: object) -> Report:
        """
        Bring a version, or fail.
        """
        self.asked.append(request.version)
        self.meanwhile()
        if request.version in self.failures:
            raise FetchError(self.failures[request.version], "As the test says.")
        (Path(request.to) / request.version).mkdir(parents=True, exist_ok=True)
        return Report(Code.FETCHED, "Here it is.", "sha256:1")


@dataclass
class Bench:
    """
    A folder that follows a list, and a clock that the test turns.
    """

    folder: Folder
    storage: Storage
    list_file: Path
    now: float = 0.0

    def want(self, *versions: str) -> None:
        """
        Write the list.
        """
        entries = [{"version": version} for version in versions]
        self.list_file.write_text(json.dumps({"versions": entries}))

    def look(self, *versions: str, at: float = 0.0) -> list[str]:
        """
        Want versions, look, and tell what is there.
        """
        self.want(*versions)
        self.now = at
        self.folder.look()
        return self.folder.held()


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """
    An empty folder.
    """
    storage, list_file = Storage(), tmp_path / "versions.json"
    monkeypatch.setattr(command, "fetch", storage.fetch)
    request = Request("file:///models", "", str(tmp_path / "to"))
    made = Bench(Folder(list_file, request, lambda *_: "", lambda: made.now), storage, list_file)
    return made


def test_the_folder_follows_the_list(bench: Bench) -> None:
    """
    What is listed is fetched once; what is listed no longer goes.
    """
    assert bench.look("1") == ["1"]
    assert bench.look("1", "2") == ["1", "2"]
    assert bench.look("2") == ["2"]
    assert bench.storage.asked == ["1", "2"]
    assert set(bench.folder.told()["versions"]) == {"2"}


def test_what_may_pass_is_tried_again_ever_less_often(bench: Bench) -> None:
    """
    After 2 s, 4 s, 8 s, at most 60 s; what stays as it is is not tried again.
    """
    bench.storage.failures = {"1": Code.STORAGE_UNAVAILABLE, "2": Code.VERSION_NOT_FOUND}
    for at in range(30):
        assert bench.look("1", "2", at=float(at)) == []
    assert bench.storage.asked.count("1") == 4  # at 0, 2, 6 and 14 s
    assert bench.storage.asked.count("2") == 1
    bench.storage.failures = {}
    assert bench.look("1", "2", at=30.0) == ["1"]


def test_a_version_that_was_off_the_list_is_tried_anew(bench: Bench) -> None:
    """
    So a retry is not judged by what came of the first try.
    """
    bench.storage.failures = {"2": Code.VERSION_NOT_FOUND}
    bench.look("1", "2")
    bench.look("1")
    assert "2" not in bench.folder.told()["versions"]
    bench.storage.failures = {}
    assert bench.look("1", "2") == ["1", "2"]


def test_a_version_that_nobody_wants_any_more_is_not_put_in_place(bench: Bench) -> None:
    """
    The list may have changed while it was fetched.
    """
    bench.storage.meanwhile = lambda: bench.want("1")
    assert bench.look("2") == []


def test_a_list_that_cannot_be_read_changes_nothing(bench: Bench) -> None:
    """
    The folder stays as it is, and the problem is told until it is gone.
    """
    bench.look("1")
    bench.list_file.write_text("no list")
    bench.folder.look()
    assert bench.folder.held() == ["1"]
    assert "cannot be read" in bench.folder.told()["problem"]
    bench.look("1")
    assert bench.folder.told()["problem"] == ""


def test_leftovers_of_a_killed_process_are_cleared(bench: Bench) -> None:
    """
    A half fetched version is no version, and takes no room for ever.
    """
    (bench.folder.target / ".incoming" / "3").mkdir(parents=True)
    bench.folder.clear()
    assert list(bench.folder.target.iterdir()) == []


@pytest.mark.parametrize(
    "text",
    ["", "[]", '{"versions": [{}]}', '{"versions": [{"version": "../x"}]}', '{"versions": 3}'],
)
def test_a_list_is_read_whole_or_not_at_all(text: str) -> None:
    """
    Nothing that is no list, and no version that is no folder, gets through.
    """
    with pytest.raises(ListError):
        wanted.read(text)


def test_what_is_compared_with_stands_beside_the_list() -> None:
    """
    A list leads nowhere else.
    """
    with pytest.raises(ListError):
        wanted.read('{"versions": [{"version": "1", "against": "/etc/passwd"}]}')
