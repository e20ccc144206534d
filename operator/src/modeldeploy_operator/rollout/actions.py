"""
Actions: what a person orders through the annotation `serving.modeldeploy.io/action`.

`VERB@REVISION[/STEP][#TOKEN]`, handled once and acknowledged. An order for another revision than
the one that it would reach now is refused, so that a late order can never hit the wrong rollout.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from modeldeploy_operator.rollout.decision import Note, Wanted
from modeldeploy_operator.rollout.memory import (
    Memory,
    Outcome,
    Rejected,
    Revision,
    Undo,
    Withdrawal,
    clip,
)
from modeldeploy_operator.rollout.snapshot import Snapshot

_ACTION = re.compile(
    r"^(?P<verb>[a-z-]+)@(?P<revision>[0-9a-z]{1,64})(?:/(?P<step>\d{1,4}))?(?:#(?P<token>.{1,64}))?$"
)


@dataclass(frozen=True, slots=True)
class Action:
    """
    A parsed action; `step` counts from 1 as in the status, and is None if it was not named.
    """

    verb: str
    revision: str
    step: int | None


def parse(text: str) -> Action | None:
    """
    Parse an action, or return None if it has not the form of one.
    """
    match = _ACTION.match(text)
    if match is None:
        return None
    step = match["step"]
    return Action(match["verb"], match["revision"], int(step) if step else None)


def obey(wanted: Wanted, memory: Memory, seen: Snapshot) -> tuple[Memory, tuple[Note, ...]]:
    """
    Carry the annotation's order into the memory, once; a refusal is remembered with its reason.
    """
    if not wanted.action or wanted.action == memory.handled_action:
        return memory, ()
    result = _carry_out(wanted, memory, seen)
    if isinstance(result, str):
        refused = replace(memory, handled_action=wanted.action, refusal=clip(result))
        return refused, (Note("ActionRefused", result, warning=True),)
    done = replace(result, handled_action=wanted.action, refusal="")
    return done, (Note("ActionAccepted", f"The action {wanted.action!r} was accepted."),)


def _carry_out(wanted: Wanted, memory: Memory, seen: Snapshot) -> Memory | str:
    action = parse(wanted.action)
    if action is None:
        return (
            f"The action {wanted.action[:100]!r} is not of the form VERB@REVISION[/STEP][#TOKEN]; "
            "take the revision from .status.canary.revision."
        )
    verb = _VERBS.get(action.verb)
    if verb is None:
        known = ", ".join(sorted(_VERBS))
        return f"There is no action {action.verb!r}; the actions are {known}."
    return verb(action, wanted, memory, seen)


def _canary_refusal(action: Action, memory: Memory) -> str | None:
    canary = memory.canary
    if canary is None or canary.withdrawal is not None:
        return f"The action {action.verb!r} was refused: no canary is under way."
    if canary.revision.revision != action.revision:
        return (
            f"The action {action.verb!r} was refused: it names revision {action.revision}, "
            f"and the canary is {canary.revision.revision}."
        )
    if action.step is not None and action.step != canary.step + 1:
        return (
            f"The action {action.verb!r} was refused: it names step {action.step}, "
            f"and the canary is at step {canary.step + 1}."
        )
    return None


def _approve(action: Action, wanted: Wanted, memory: Memory, _seen: Snapshot) -> Memory | str:
    refusal = _canary_refusal(action, memory)
    if refusal or memory.canary is None:
        return refusal or ""
    if not wanted.steps[min(memory.canary.step, len(wanted.steps) - 1)].approval:
        return f"The approval was refused: step {memory.canary.step + 1} asks for none."
    return replace(memory, canary=replace(memory.canary, approved=True))


def _promote(action: Action, _wanted: Wanted, memory: Memory, _seen: Snapshot) -> Memory | str:
    refusal = _canary_refusal(action, memory)
    if refusal or memory.canary is None:
        return refusal or ""
    return replace(memory, canary=replace(memory.canary, released=True))


def _promote_full(action: Action, _wanted: Wanted, memory: Memory, _seen: Snapshot) -> Memory | str:
    refusal = _canary_refusal(action, memory)
    if refusal or memory.canary is None:
        return refusal or ""
    return replace(memory, canary=replace(memory.canary, full=True))


def _abort(action: Action, _wanted: Wanted, memory: Memory, _seen: Snapshot) -> Memory | str:
    refusal = _canary_refusal(action, memory)
    if refusal or memory.canary is None:
        return refusal or ""
    return withdraw(memory, Outcome.ABORTED, "Aborted", "The rollout was aborted by hand.")


def _retry(action: Action, _wanted: Wanted, memory: Memory, _seen: Snapshot) -> Memory | str:
    if memory.rejected is None or memory.rejected.revision != action.revision:
        return f"The retry was refused: revision {action.revision} is not an aborted one."
    return replace(memory, rejected=None)


def _undo(action: Action, wanted: Wanted, memory: Memory, seen: Snapshot) -> Memory | str:
    if action.revision == wanted.revision.revision:
        return replace(memory, undo=None, rejected=None)
    version = seen.kept.get(action.revision)
    if version is None:
        return f"The undo was refused: revision {action.revision} is not among the kept ones."
    undo = Undo(to=Revision(action.revision, version), instead_of=wanted.revision.revision)
    return replace(memory, undo=undo, rejected=None)


_VERBS: dict[str, Callable[[Action, Wanted, Memory, Snapshot], Memory | str]] = {
    "approve": _approve,
    "promote": _promote,
    "promote-full": _promote_full,
    "abort": _abort,
    "retry": _retry,
    "undo": _undo,
}


def withdraw(memory: Memory, outcome: Outcome, reason: str, message: str) -> Memory:
    """
    Mark the canary for withdrawal; an aborted one is also rejected until somebody asks again.
    """
    canary, message = memory.canary, clip(message)
    if canary is None:
        return memory
    rejected = memory.rejected
    if outcome is Outcome.ABORTED:
        rejected = Rejected(canary.revision.revision, reason, message)
    marked = replace(canary, withdrawal=Withdrawal(outcome, reason, message))
    return replace(memory, canary=marked, rejected=rejected)
