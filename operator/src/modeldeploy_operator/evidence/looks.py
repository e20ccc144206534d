"""
The last look at what each ModelDeployment's pods and routers have counted, in memory alone.

What happened while the operator was away is not evidence: the first look after a start only
remembers where the counters stand.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from modeldeploy_operator.analysis import judge
from modeldeploy_operator.analysis.checks import Check, Evidence
from modeldeploy_operator.evidence import counters
from modeldeploy_operator.evidence.counters import Look
from modeldeploy_operator.rollout.decision import Wanted
from modeldeploy_operator.rollout.memory import Memory

NOTHING: Mapping[str, str] = {}


class Looks:
    """
    Turns each look into what happened since the one before.
    """

    def __init__(self) -> None:
        self._last: dict[tuple[str, str], Look] = {}
        self._routed: dict[tuple[str, str], tuple[datetime, Look]] = {}

    def evidence(
        self,
        key: tuple[str, str],
        look: Look | None,
        wanted: Wanted,
        memory: Memory,
        unknown: Mapping[str, str] = NOTHING,
    ) -> Evidence | None:
        """
        Compare a look with the last one that was kept; None if none was taken.

        `unknown` maps what checks need to the reason for which it cannot be told.
        """
        if look is None or memory.stable is None or memory.canary is None:
            return None
        stable, canary = memory.stable.revision, memory.canary.revision.revision
        before = self._last.get(key)
        look = replace(look, vague={**look.vague, **unknown})
        return counters.evidence_of(before, look, wanted.criteria.checks, stable, canary)

    def shares(
        self, key: tuple[str, str], routed: Look, wanted: Wanted, memory: Memory, now: datetime
    ) -> Mapping[str, float]:
        """
        Tell which share of the requests each version got, once an interval; else nothing.

        Args:
            key: Namespace and name.
            routed: What the routers have counted.
            wanted: What the user asks for.
            memory: Which versions stand against each other.
            now: The time of the pass.

        """
        if memory.stable is None or memory.canary is None:
            self._routed.pop(key, None)
            return {}
        since, before = self._routed.get(key, (now, None))
        if before and (now - since).total_seconds() < wanted.criteria.interval:
            return {}
        self._routed[key] = (now, routed)
        stable, canary = memory.stable.revision, memory.canary.revision.revision
        return counters.shares(before, routed, stable, canary) if before else {}

    def keep(self, key: tuple[str, str], look: Look | None) -> None:
        """
        Remember a look whose evidence has been judged and saved.
        """
        if look is not None:
            self._last[key] = look

    def forget(self, key: tuple[str, str]) -> None:
        """
        Forget an object that is gone.
        """
        self._last.pop(key, None)
        self._routed.pop(key, None)


def due(wanted: Wanted, memory: Memory, now: datetime) -> Sequence[Check]:
    """
    Return the checks to take a look for; none while there is no canary or it is too early.
    """
    canary = memory.canary
    if (
        canary is None
        or canary.withdrawal
        or not judge.is_due(wanted.criteria, canary.analysis, now)
    ):
        return ()
    return wanted.criteria.checks
