"""
What cannot be seen again: the only thing that one pass leaves for the next.

It lives in the status, so that the operator may die at any moment and another go on.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from modeldeploy_operator.analysis import words
from modeldeploy_operator.analysis.findings import NOTHING_FOUND, Findings
from modeldeploy_operator.analysis.judge import UNSEEN, Analysis


class Outcome(StrEnum):
    """
    How a revision's rollout ended.
    """

    PROMOTED = "Promoted"
    FAST_PROMOTED = "FastPromoted"
    ABORTED = "Aborted"
    SUPERSEDED = "Superseded"
    ROLLED_BACK = "RolledBack"


@dataclass(frozen=True, slots=True)
class Revision:
    """
    A revision and the model version that it serves.

    Attributes:
        revision: The hash of what a user set.
        version: The model version.
        shared: The pods that it lives in, where those may hold another version, too; empty where
            it has pods of its own. It is where a revision is, and not which one.

    """

    revision: str
    version: str
    shared: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Standing:
    """
    A version that is served for good beside stable and canary.

    Attributes:
        revision: The revision and its version.
        replicas: Its pods.
        labels: The labels by which it can be asked for, besides its version.
        weight: Its lasting share of the unpinned requests, in ten-thousandths.

    """

    revision: Revision
    replicas: int
    labels: tuple[str, ...] = ()
    weight: int = 0


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """
    The decision to take a canary back, which stands until its pods are gone.

    Attributes:
        outcome: How the rollout will have ended.
        reason: Why, in CamelCase.
        message: Why, in one sentence.
        since: Since when a stable pool that had shrunk has made no progress; None before.
        most_ready: The most ready pods of it that were seen since.

    """

    outcome: Outcome
    reason: str
    message: str
    since: datetime | None = None
    most_ready: int = 0


@dataclass(frozen=True, slots=True)
class Canary:
    """
    Where a canary stands.

    Attributes:
        revision: What is being tried.
        step: Index of the present step.
        step_weight: The weight of that step, by which it is found again after an edit.
        steps_hash: Fingerprint of the steps that the index counts in.
        started_at: When the rollout began.
        step_started_at: When the step's weight was first effective; None before.
        approved: Whether somebody approved the present step.
        released: Whether somebody ended the present step's hold and approval.
        full: Whether somebody asked to skip the remaining steps.
        had_traffic: Whether a weight above 0 was ever effective.
        waiting_since: Since when the step has waited for pods or models; None if it does not.
        waited: Seconds for which it waited before that, since the last progress.
        most_ready: The most ready pods seen in this step.
        withdrawal: Set once the canary is to go.
        analysis: What its checks have counted.
        shrunk: Whether the stable pool gave pods up for it, and has not got them back.
        external: What its external checks have found.

    """

    revision: Revision
    step: int
    steps_hash: str
    started_at: datetime
    step_weight: int = 0
    step_started_at: datetime | None = None
    approved: bool = False
    released: bool = False
    full: bool = False
    had_traffic: bool = False
    waiting_since: datetime | None = None
    waited: float = 0.0
    most_ready: int = 0
    withdrawal: Withdrawal | None = None
    analysis: Analysis = UNSEEN
    shrunk: bool = False
    external: Findings = NOTHING_FOUND

    @property
    def failed(self) -> bool:
        """
        Whether one of its checks has failed, whatever that leads to.
        """
        counted = any(record.failure for record in self.analysis.records)
        return counted or self.external.failed


@dataclass(frozen=True, slots=True)
class Rejected:
    """
    A revision that was aborted, and is not tried again until somebody asks or wants another.
    """

    revision: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Undo:
    """
    An order to run a kept revision for as long as the wanted revision stays what it was.
    """

    to: Revision
    instead_of: str


@dataclass(frozen=True, slots=True)
class Chapter:
    """
    One entry of the history.
    """

    revision: str
    version: str
    outcome: Outcome
    started_at: datetime
    finished_at: datetime
    message: str


@dataclass(frozen=True, slots=True)
class Memory:
    """
    The whole memory of a rollout.

    Attributes:
        stable: The revision that was promoted last.
        canary: The revision that is being tried.
        rejected: The revision that was aborted last, while it is still wanted.
        undo: The undo in force.
        paused_since: Since when the rollout is paused.
        first_started_at: When the first revision began; None once there is a stable one.
        handled_action: The last action annotation that was handled, done or refused.
        refusal: Why the last action was refused; empty if it was done.
        predecessors: What was stable before and stays served, the newest first.
        history: At most ten chapters, the newest first.

    """

    stable: Revision | None = None
    canary: Canary | None = None
    rejected: Rejected | None = None
    undo: Undo | None = None
    paused_since: datetime | None = None
    first_started_at: datetime | None = None
    handled_action: str = ""
    refusal: str = ""
    predecessors: tuple[Revision, ...] = ()
    history: tuple[Chapter, ...] = ()


HISTORY_LIMIT = 10
MESSAGE_BYTES, CHAPTER_BYTES = 1_000, 300


def clip(message: str, limit: int = MESSAGE_BYTES) -> str:
    """
    Cut a message to so many bytes of UTF-8, so that a status stays small; a cut shows as `…`.
    """
    return words.clip(message, limit)
