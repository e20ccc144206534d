"""
What others say of a simulated canary: Jobs that end after a while, and pages that are asked.
"""

from dataclasses import dataclass, field
from datetime import datetime

from modeldeploy_operator.analysis import findings
from modeldeploy_operator.analysis.external import External, Measurement, Source
from modeldeploy_operator.rollout.decision import Decision, Wanted
from modeldeploy_operator.rollout.memory import Memory
from modeldeploy_operator.rollout.snapshot import Routing

GOOD, BAD, ERROR, FLAPS = "good", "bad", "error", "flaps"
JOB_TURNS = 2

ACCEPTANCE = External("acceptance", Source.JOB, "q1", min=1.0)
PAGE = External("page", Source.WEB, "q2", max=1.0)


@dataclass
class Others:
    """
    The Jobs that exist, by check and revision, with their age; and whether errors were mended.
    """

    jobs: dict[tuple[str, str], int] = field(default_factory=dict)
    mended: bool = False

    def live(self) -> None:
        """
        Let a second pass.
        """
        self.jobs = {key: age + 1 for key, age in self.jobs.items()}

    def apply(self, decision: Decision) -> int:
        """
        Make and remove Jobs; return how many were.
        """
        canary = decision.memory.canary
        revision = canary.revision.revision if canary else ""
        wanted = {(name, revision) for name in decision.jobs}
        changed = len(wanted ^ set(self.jobs))
        self.jobs = {key: self.jobs.get(key, 0) for key in sorted(wanted)}
        return changed

    def measured(
        self,
        wanted: Wanted,
        memory: Memory,
        routing: Routing | None,
        now: datetime,
        says: dict[str, str],
    ) -> dict[str, Measurement]:
        """
        Tell what an operator would see now; `says` maps a check to what it is about the canary.
        """
        canary = memory.canary
        if canary is None or canary.withdrawal:
            return {}
        revision = canary.revision.revision
        found = {}
        for check in wanted.criteria.external:
            age = self.jobs.get((check.name, revision))
            if age is not None:
                told = says.get(check.name, GOOD)
                pending = Measurement(check.asked, pending="The Job is under way.")
                found[check.name] = self._said(check, told, now) if age >= JOB_TURNS else pending
        if not canary.had_traffic or routing is None or not routing.share(revision):
            return found
        due = findings.is_due(wanted.criteria, canary.external, canary.step_started_at, now)
        answers = {c.name: self._said(c, says.get(c.name, GOOD), now) for c in due}
        return {**found, **answers}

    def _said(self, check: External, told: str, now: datetime) -> Measurement:
        if told == ERROR and not self.mended:
            return Measurement(check.asked, problem="nobody answers.")
        bad = told == BAD or (told == FLAPS and now.second % 2 == 0 and not self.mended)
        if check.before_traffic:
            return Measurement(check.asked, 0.0 if bad else 1.0, message="The accuracy is 0.5.")
        return Measurement(check.asked, 2.0 if bad else 0.5)
