"""
From what stable's pods have compared to evidence about the canary.
"""

import pytest

from modeldeploy_operator.analysis.checks import Check, Evidence
from modeldeploy_operator.analysis.kinds import Shadow
from modeldeploy_operator.analysis.tally import Drift, Tally
from modeldeploy_operator.evidence import counters, shadows
from modeldeploy_operator.evidence.counters import Instance, Look

METRICS = """
# TYPE modeldeploy_shadow_started_seconds gauge
modeldeploy_shadow_started_seconds{target="r2-1a2b"} 1700.5
# TYPE modeldeploy_shadow_compared_total counter
modeldeploy_shadow_compared_total{target="r2-1a2b"} 100
# TYPE modeldeploy_shadow_mismatched_total counter
modeldeploy_shadow_mismatched_total{reason="different",target="r2-1a2b"} 7
modeldeploy_shadow_mismatched_total{reason="refused",target="r2-1a2b"} 2
# TYPE modeldeploy_shadow_skipped_total counter
modeldeploy_shadow_skipped_total{reason="queue_full",target="r2-1a2b"} 1
modeldeploy_shadow_skipped_total{reason="pinned",target="r2-1a2b"} 3
# TYPE modeldeploy_shadow_values_total counter
modeldeploy_shadow_values_total{target="r2-1a2b"} 1000
modeldeploy_shadow_difference_total{target="r2-1a2b"} 2.5
modeldeploy_shadow_largest_difference{target="r2-1a2b"} 0.5
modeldeploy_shadow_rows_total{target="r2-1a2b"} 100
modeldeploy_shadow_flips_total{target="r2-1a2b"} 4
# TYPE modeldeploy_shadow_duration_seconds histogram
modeldeploy_shadow_duration_seconds_bucket{side="here",target="r2-1a2b",le="+Inf"} 100
modeldeploy_shadow_duration_seconds_sum{side="here",target="r2-1a2b"} 1.5
modeldeploy_shadow_duration_seconds_sum{side="target",target="r2-1a2b"} 3.0
process_start_time_seconds 1.7e9
"""
CHECK = Check("drift", Shadow(10, 0.001, 0.01))


def test_a_pod_tells_what_it_compared_with_its_target() -> None:
    """
    All reasons together; another start or another target is another instance.
    """
    counted = {
        "mirrored": 100,
        "drifted": 9,
        "skipped": 4,
        "values": 1000,
        "total": 2.5,
        "largest": 0.5,
        "rows": 100,
        "flips": 4,
        "here": 1.5,
        "there": 3.0,
    }
    found = shadows.of_pod("pod", METRICS)
    assert found == {Instance("pod", "1700000000.0/1700.5", "r2-1a2b"): counted}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "process_start_time_seconds 1",
        "modeldeploy_shadow_{",
        METRICS.replace('side="here",', ""),
    ],
)
def test_a_pod_without_a_target_tells_nothing(text: str) -> None:
    """
    Nor does one whose metrics are not ours.
    """
    assert shadows.of_pod("pod", text) == {}


def _counts(name: str, mirrored: float, drifted: float, largest: float) -> dict[str, float]:
    counts = dict.fromkeys(shadows.NAMES, 0.0)
    return {**counts, "mirrored": mirrored, "drifted": drifted, "largest": largest}


def test_only_comparisons_with_this_canary_count() -> None:
    """
    Those with a former canary, or for another wish, have another name.
    """
    name = counters.target_name("r2", CHECK)
    mine, former = Instance("pod", "1/1", name), Instance("pod", "1/0", "r1-old")
    before = Look({mine: _counts(name, 10, 1, 0.5), former: _counts("", 9, 9, 9.0)})
    now = Look(
        {
            mine: _counts(name, 30, 2, 0.25),
            former: _counts("", 99, 99, 9.0),
            Instance("new", "2/2", name): _counts(name, 5, 5, 2.0),
        }
    )
    evidence = counters.evidence_of(before, now, [CHECK], "r1", "r2")
    assert evidence.canary == Tally(mirrored=25, drifted=6, drift=Drift(largest=2.0))
    assert counters.evidence_of(None, now, [CHECK], "r1", "r2") == Evidence()


def test_what_keeps_pods_from_comparing_is_the_checks_problem() -> None:
    """
    And nobody else's.
    """
    now = Look(vague={"shadow": "no control port"})
    problems = counters.evidence_of(None, now, [CHECK], "r1", "r2").problems
    assert problems == {"drift": "no control port"}
