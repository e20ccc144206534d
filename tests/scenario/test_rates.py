"""
How often the checks are wrong, and how soon they are right: measured, as the docs promise it.

Every simulated rollout is looked at sixty times, as often as an interval of 30 s does in half an
hour, by two checks of two tests each.
"""

import os
from dataclasses import dataclass

import numpy as np
import pytest

from modeldeploy_operator.analysis import judge
from modeldeploy_operator.analysis.checks import Check, Evidence
from modeldeploy_operator.analysis.judge import UNSEEN
from modeldeploy_operator.analysis.kinds import ErrorRate, Latency
from modeldeploy_operator.analysis.tally import Tally
from testkit.objects import NOW

RUNS = max(100, int(os.environ.get("MODELDEPLOY_ROLLOUTS", "2000")) // 10)
LOOKS = 60
CHECKS = (
    Check("errors", ErrorRate(max=0.01, max_increase=0.005)),
    Check("slow", Latency(0.2, share=0.01, max_increase=0.005)),
)


@dataclass(frozen=True)
class Version:
    """
    How often a version's requests fail and are slow.
    """

    failing: float
    slow: float

    def serve(self, chance: np.random.Generator, mean: float) -> Tally:
        """
        Serve about so many requests.
        """
        total = int(chance.poisson(mean))
        bad, slow = (int(chance.binomial(total, rate)) for rate in (self.failing, self.slow))
        return Tally(total, bad, 0, total, {0.2: slow})


def _requests_until_failure(
    seed: int, stable: Version, canary: Version, share: float
) -> int | None:
    """
    Run one rollout; return the canary's requests until a check failed, None if none did.
    """
    chance = np.random.default_rng(seed)
    analysis, sent = UNSEEN, 0
    for number in range(LOOKS):
        # Traffic comes and goes, and both versions' error rates with it.
        mean = 1_000 * (1 + np.sin(number / 5)) + 20
        evidence = Evidence(
            stable.serve(chance, mean * (1 - share)), canary.serve(chance, mean * share)
        )
        analysis = judge.look(CHECKS, analysis, evidence, 0, NOW)
        sent += evidence.canary.attempts
        if any(record.failure for record in analysis.records):
            return sent
    return None


@pytest.mark.parametrize("share", [0.02, 0.5])
def test_equal_versions_are_hardly_ever_told_apart(share: float) -> None:
    """
    At the very limit at most 1 % of the rollouts may be ended, in the long run.

    The bound below is what 1 % exceeds by chance once in a thousand test runs.
    """
    version = Version(0.01, 0.01)
    alarms = sum(
        _requests_until_failure(seed, version, version, share) is not None for seed in range(RUNS)
    )
    assert alarms <= 0.01 * RUNS + 3.1 * (0.01 * RUNS) ** 0.5, f"{alarms} of {RUNS}"


@pytest.mark.parametrize("share", [0.02, 0.2])
def test_five_percent_errors_instead_of_one_are_found_in_time(share: float) -> None:
    """
    Within 2,000 canary requests in 95 % of the rollouts.
    """
    stable, canary = Version(0.01, 0.001), Version(0.05, 0.001)
    found = [_requests_until_failure(seed, stable, canary, share) for seed in range(RUNS)]
    in_time = sum(1 for sent in found if sent is not None and sent <= 2_000)
    assert in_time >= 0.95 * RUNS, f"{in_time} of {RUNS}: {sorted(s or 10**9 for s in found)[-5:]}"
