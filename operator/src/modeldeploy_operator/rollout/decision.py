"""
What goes into a decision and what comes out of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from modeldeploy_operator.analysis.checks import UNJUDGED, Criteria
from modeldeploy_operator.rollout.memory import Memory, Revision, Standing
from modeldeploy_operator.rollout.snapshot import NO_RULES, Routing, Rules
from modeldeploy_operator.rollout.states import State
from modeldeploy_operator.rollout.strategy.schedules import Schedule
from modeldeploy_operator.rollout.strategy.steps import Step

POLL_ROUTERS = timedelta(seconds=0.25)
"""How soon to look again while routers confirm a change."""
POLL_PODS = timedelta(seconds=1)
"""How soon to look again while pods or routers become ready."""
POLL_HELD = timedelta(seconds=5)
"""How soon to look again, at the latest, while a weight is held."""
POLL_UNWELL = timedelta(seconds=15)
"""How soon to look again, at the latest, while pods are missing and nothing can be done."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """
    What the user asks for, as far as a rollout is concerned.

    Attributes:
        revision: The revision of the spec.
        replicas: The pods that carry all the traffic.
        steps: The steps, the final one included.
        progress_deadline: Seconds that a canary may wait for its pods and models in one step.
        paused: Whether the rollout is to stand still.
        action: The action annotation as it stands; empty if there is none.
        criteria: By what the canary is judged.
        surge: How many pods there may be beyond `replicas` during a rollout; None where stable
            keeps all of its own.
        preview: Whether a candidate has an address of its own.
        also: The versions that are served beside it for good.
        keep: How many promoted predecessors stay served.
        rules: What the routers do with requests by their headers.
        otherwise: The schedule for a change of pods, where a change of the version alone needs no
            other pods; None where every revision has pods of its own.
        mould: A fingerprint of all that the revision's pods are made of but the version.

    """

    revision: Revision
    replicas: int
    steps: tuple[Step, ...]
    progress_deadline: float = 600.0
    paused: bool = False
    action: str = ""
    criteria: Criteria = UNJUDGED
    surge: int | None = None
    preview: bool = False
    also: tuple[Standing, ...] = ()
    keep: int = 0
    rules: Rules = NO_RULES
    otherwise: Schedule | None = None
    mould: str = ""


@dataclass(frozen=True, slots=True)
class Note:
    """
    Something that happened in this pass, told once as an event.

    Attributes:
        reason: CamelCase, an event's reason.
        message: One sentence.
        warning: Whether it is bad news.

    """

    reason: str
    message: str
    warning: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """
    What is to be true next, as a whole: what is left out goes.

    Attributes:
        memory: What the next pass must know.
        state: Where the rollout stands.
        reason: The gate that decides, in CamelCase.
        message: What it waits for or has done, in one sentence.
        pools: Revision to replicas; a pool that is not named is deleted.
        routing: The routing configuration to publish.
        stalled: Whether nothing will change without a person.
        look_again_at: When to look again even if nothing is heard; None for never.
        notes: What to tell as events.
        preview: The revision that the preview address leads to; None where there is none.
        jobs: The external checks whose Jobs are to be there; one that is not named is deleted.
        shared: Pool to the pods that it lives in, for those that have none of their own.

    """

    memory: Memory
    state: State
    reason: str
    message: str
    pools: Mapping[str, int] = field(default_factory=dict)
    routing: Routing | None = None
    stalled: bool = False
    look_again_at: datetime | None = None
    notes: tuple[Note, ...] = ()
    preview: str | None = None
    jobs: tuple[str, ...] = ()
    shared: Mapping[str, str] = field(default_factory=dict)
