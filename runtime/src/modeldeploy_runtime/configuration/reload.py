"""
Carries out a change of the configuration: all of it, or nothing.

A change is checked as a whole before anything happens.  It is carried out at once, and whoever
asked may wait for what comes of it: each model that is new or moved is loaded, has failed, or is
found to have no versions.  Nobody waits for ever, and no model for another one.
"""

import enum
import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from modeldeploy_runtime.configuration import changes
from modeldeploy_runtime.configuration.changes import Change, Models
from modeldeploy_runtime.servables.states import State, VersionStatus
from modeldeploy_runtime.sources.models import ServedModel
from modeldeploy_runtime.sources.port import NOT_LOOKED

# Between two looks at what has come of a change.
_LOOK_SECONDS = 0.02
_UNDER_WAY = frozenset({State.START, State.LOADING})

_log = logging.getLogger(__name__)

Follower = Callable[[Models], None]
"""Takes over a whole new configuration; the first may still refuse it by a ``ServingError``."""


class Outcome(enum.Enum):
    """What has come of one model."""

    AVAILABLE = "available"
    LOADING = "loading"
    FAILED = "failed"
    MISSING = "missing"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class Standing:
    """What has come of one model: if not well, why, and for which version as people know it."""

    outcome: Outcome
    message: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True)
class ModelResult:
    """What a change did to one model, and what came of it."""

    change: Change
    standing: Standing


class Reloader:
    """
    Holds the configuration; threads may call every method at any time.

    ``problem_of`` says what a source found wrong with a model, or nothing; ``statuses`` lists what
    is known of its versions.
    """

    def __init__(
        self,
        models: Iterable[ServedModel],
        problem_of: Callable[[str], str],
        statuses: Callable[[str], Sequence[VersionStatus]],
        *,
        any_label: bool = False,
    ) -> None:
        self._models: Models = {model.name: model for model in models}
        self._problem_of = problem_of
        self._statuses = statuses
        self._any_label = any_label
        self._followers: list[Follower] = []
        self._lock = threading.Lock()

    @property
    def models(self) -> Models:
        """The present configuration by name."""
        return self._models

    def follow(self, follower: Follower) -> None:
        """Hand each further configuration to somebody, after those who asked before."""
        self._followers.append(follower)

    def apply(self, wanted: Iterable[ServedModel], deadline: float) -> Mapping[str, ModelResult]:
        """
        Change to another configuration, and wait until the ``time.monotonic`` of the deadline.

        Raises:
            ServingError: It must not be changed to; nothing has changed.
        """
        new = {model.name: model for model in wanted}
        with self._lock:
            for fault in changes.faults(
                self._models, new, self._statuses, any_label=self._any_label
            ):
                raise fault
            changed = changes.between(self._models, new)
            for follower in self._followers:
                follower(new)
            self._models = new
        _log.info("The configuration has changed: %s.", _summary(changed))
        return self._wait(changed, deadline)

    def standing(self, name: str) -> Standing:
        """Say what has come of a configured model so far."""
        known = self._statuses(name)
        problem = self._problem_of(name)
        if problem == NOT_LOOKED:
            return Standing(Outcome.LOADING, problem)
        if any(status.state is State.AVAILABLE for status in known):
            return Standing(Outcome.AVAILABLE)
        for status in known:
            if status.state in _UNDER_WAY:
                return Standing(
                    Outcome.LOADING, f"It is in state {status.state.value}.", status.text
                )
        for status in known:
            if status.error:
                return Standing(Outcome.FAILED, f"{status.error}", status.text)
        if problem:
            return Standing(Outcome.MISSING, problem)
        return Standing(Outcome.LOADING, "Its versions are looked at a second time.")

    def _wait(self, changed: Mapping[str, Change], deadline: float) -> dict[str, ModelResult]:
        results: dict[str, ModelResult] = {}
        waiting = list(changed)
        while True:
            for name in waiting:
                results[name] = self._result(name, changed[name])
            waiting = [name for name in waiting if _is_open(results[name])]
            if not waiting or time.monotonic() >= deadline:
                return results
            time.sleep(_LOOK_SECONDS)

    def _result(self, name: str, change: Change) -> ModelResult:
        # A later change may have removed what this one brought.
        if change is Change.REMOVED or name not in self._models:
            return ModelResult(change, Standing(Outcome.REMOVED))
        return ModelResult(change, self.standing(name))


def _is_open(result: ModelResult) -> bool:
    return result.standing.outcome is Outcome.LOADING and result.change.is_new


def _summary(changed: Mapping[str, Change]) -> str:
    told = [f"{name} {change.value}" for name, change in sorted(changed.items())]
    return ", ".join(told) or "there are no models"
