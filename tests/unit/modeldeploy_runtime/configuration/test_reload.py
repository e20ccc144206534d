"""
Changes of the configuration, against a stand-in for what finds and loads versions.
"""

import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from modeldeploy_runtime.configuration.changes import Change, Models
from modeldeploy_runtime.configuration.reload import ModelResult, Outcome, Reloader, Standing
from modeldeploy_runtime.configuration.watch import ConfigFileWatch
from modeldeploy_runtime.servables.errors import LoadError, PreconditionError
from modeldeploy_runtime.servables.states import State, VersionStatus
from modeldeploy_runtime.sources.models import ServedModel
from modeldeploy_runtime.sources.port import NOT_LOOKED

BROKEN = LoadError("It is broken.", permanent=True)


class _World:
    """
    Knows the versions of models, as a source and a manager do.
    """

    def __init__(self) -> None:
        self.known: dict[str, list[VersionStatus]] = {}
        self.problems: dict[str, str] = {}
        self.told: list[list[str]] = []

    def problem(self, name: str) -> str:
        return self.problems.get(name, "")

    def statuses(self, name: str) -> Sequence[VersionStatus]:
        return self.known.get(name, [])

    def follow(self, models: Models) -> None:
        self.told.append(sorted(models))


def _reloader(world: _World, *models: ServedModel) -> Reloader:
    reloader = Reloader(models, world.problem, world.statuses)
    reloader.follow(world.follow)
    return reloader


def _model(name: str, **labels: int) -> ServedModel:
    return ServedModel(name, f"/m/{name}", labels=labels)


def test_every_outcome() -> None:
    """
    Each model has its own result: nobody waits for ever, and no model for another one.
    """
    world = _World()
    world.known = {
        "good": [VersionStatus(2, State.AVAILABLE), VersionStatus(1, State.END)],
        "broken": [VersionStatus(1, State.END, BROKEN)],
        "slow": [VersionStatus(1, State.LOADING), VersionStatus(0, State.END, BROKEN)],
    }
    world.problems = {"missing": "There is no folder.", "unseen": NOT_LOOKED}
    names = ("good", "broken", "slow", "missing", "unseen", "kept")
    world.known["kept"] = [VersionStatus(1, State.AVAILABLE)]
    reloader = _reloader(world, _model("old"), _model("kept"))
    results = reloader.apply([_model(name) for name in names], time.monotonic())
    assert results == {
        name: ModelResult(change, Standing(*standing))
        for name, change, *standing in (
            ("good", Change.ADDED, Outcome.AVAILABLE),
            ("broken", Change.ADDED, Outcome.FAILED, "It is broken.", "1"),
            ("slow", Change.ADDED, Outcome.LOADING, "It is in state LOADING.", "1"),
            ("missing", Change.ADDED, Outcome.MISSING, "There is no folder."),
            ("unseen", Change.ADDED, Outcome.LOADING, NOT_LOOKED),
            ("kept", Change.UNCHANGED, Outcome.AVAILABLE),
            ("old", Change.REMOVED, Outcome.REMOVED),
        )
    }
    assert world.told == [sorted(names)]


def test_waiting() -> None:
    """
    A reload that may wait ends when the last new model has been settled.
    """
    world = _World()

    class Slow(Reloader):
        looks = 0

        def standing(self, name: str) -> Standing:
            self.looks += 1
            return Standing(Outcome.LOADING) if self.looks < 3 else super().standing(name)

    world.known["m"] = [VersionStatus(1, State.AVAILABLE)]
    reloader = Slow([], world.problem, world.statuses)
    results = reloader.apply([_model("m")], time.monotonic() + 60)
    assert results["m"].standing.outcome is Outcome.AVAILABLE


def test_all_or_nothing() -> None:
    """
    One fault in a configuration keeps all of it from being applied.
    """
    world = _World()
    reloader = _reloader(world, _model("a"))
    with pytest.raises(PreconditionError):
        reloader.apply([_model("a", stable=3), _model("b")], time.monotonic())
    assert list(reloader.models) == ["a"]
    assert world.told == []


CONFIG = (
    'model_config_list {{ config {{ name: "{}" base_path: "/m" model_platform: "tensorflow" }} }}'
)


def test_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """
    A file is applied when it has changed; a bad one is told of once, and the last one stays.
    """
    world = _World()
    reloader = _reloader(world, ServedModel("a", "/m"))
    path = tmp_path / "models.config"
    path.write_text(CONFIG.format("a"))
    watch = ConfigFileWatch(path, 1.0, reloader)

    def write(text: str) -> None:
        path.write_text(text)
        watch.look()
        watch.look()

    write(CONFIG.format("a"))
    assert world.told == []
    write(CONFIG.format("b"))
    assert world.told == [["b"]]
    write("What is this?")
    assert [record.message for record in caplog.records if "stays" in record.message] == [
        caplog.records[-1].message
    ]
    assert "line 1" in caplog.records[-1].message
    write("")
    write(CONFIG.format("b"))
    assert world.told == [["b"]]
    path.unlink()
    caplog.clear()
    watch.look()
    watch.look()
    assert len(caplog.records) == 1
    write(CONFIG.format("c"))
    assert world.told == [["b"], ["c"]]
