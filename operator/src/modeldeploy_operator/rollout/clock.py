"""
The clocks of a rollout: the step's hold, the pause, and the progress deadline.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from modeldeploy_operator.rollout.decision import Wanted
from modeldeploy_operator.rollout.memory import Canary, Memory
from modeldeploy_operator.rollout.strategy.steps import Step


def pause(wanted: Wanted, memory: Memory, now: datetime) -> Memory:
    """
    Stop the step's clock for as long as the rollout is paused.
    """
    if wanted.paused:
        return memory if memory.paused_since else replace(memory, paused_since=now)
    if memory.paused_since is None:
        return memory
    canary = memory.canary
    if canary and canary.step_started_at:
        since = max(memory.paused_since, canary.step_started_at)
        shifted = canary.step_started_at + max(timedelta(0), now - since)
        canary = replace(canary, step_started_at=shifted)
    return replace(memory, canary=canary, paused_since=None)


def hold_ends_at(canary: Canary, step: Step) -> datetime | None:
    """
    Tell when a step's hold is over; None before its weight is effective.
    """
    started = canary.step_started_at
    return started + timedelta(seconds=step.hold) if started else None


def run(canary: Canary, now: datetime, *, ready: int, counts: bool) -> Canary:
    """
    Run the progress deadline's clock, which starts anew with each pod that becomes ready.
    """
    if ready > canary.most_ready:
        canary = replace(canary, most_ready=ready, waited=0.0, waiting_since=None)
    if counts and canary.waiting_since is None:
        return replace(canary, waiting_since=now)
    if not counts and canary.waiting_since is not None:
        return replace(canary, waited=waited(canary, now), waiting_since=None)
    return canary


def waited(canary: Canary, now: datetime) -> float:
    """
    Return the seconds for which a canary has waited since its last progress.
    """
    since = canary.waiting_since
    return canary.waited + (max(0.0, (now - since).total_seconds()) if since else 0.0)
