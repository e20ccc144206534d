"""
From counters to what happened since the last look.
"""

import pytest

from modeldeploy_operator.analysis.checks import Check, Evidence
from modeldeploy_operator.analysis.kinds import ErrorRate, Latency
from modeldeploy_operator.analysis.tally import Tally
from modeldeploy_operator.evidence import counters
from modeldeploy_operator.evidence.counters import Instance, Look

METRICS = """
# TYPE modeldeploy_requests_total counter
modeldeploy_requests_total{api="predict",code="OK",model="m",version="2"} 90
modeldeploy_requests_total{api="predict",code="INVALID_ARGUMENT",model="m",version="2"} 7
modeldeploy_requests_total{api="predict",code="INTERNAL",entrypoint="SHADOW",version="2"} 900
modeldeploy_request_duration_seconds_count{api="predict",entrypoint="SHADOW"} 900
modeldeploy_requests_total{api="status",code="NOT_FOUND",model="m",version="2"} 50
modeldeploy_requests_total{api="classify",code="INTERNAL",model="m",version="2"} 3
# TYPE modeldeploy_request_duration_seconds histogram
modeldeploy_request_duration_seconds_bucket{api="predict",le="0.19"} 40
modeldeploy_request_duration_seconds_bucket{api="predict",le="0.205"} 80
modeldeploy_request_duration_seconds_bucket{api="predict",le="+Inf"} 90
modeldeploy_request_duration_seconds_count{api="predict"} 90
modeldeploy_request_duration_seconds_bucket{api="status",le="+Inf"} 1000
modeldeploy_request_duration_seconds_count{api="status"} 1000
process_start_time_seconds 1.7e9
some_other_metric{odd="\\"} 1
"""
POD = Instance("pod", "1700000000.0", "r2")
ROUTER = {
    "haproxy": {"started": "then"},
    "slots": {
        "a": {"revision": "r1", "requests": 900, "failures": 1},
        "b": {"revision": "r2", "requests": 100, "failures": 3},
    },
}
SLOW = Check("slow", Latency(0.2, share=0.01))
ERRORS = Check("errors", ErrorRate(max=0.01))


def test_a_pod_tells_refusals_and_who_was_slow() -> None:
    """
    Health checks and questions after the state do not count; the nearest bucket decides.
    """
    found, coarse = counters.of_pod("pod", "r2", METRICS, [0.2])
    assert found == {POD: {"faults": 0, "refused": 7, "answered": 90, "slow:0.2": 10}}
    assert coarse == {}


def test_a_bucket_that_is_too_wide_cannot_tell() -> None:
    """
    The reason names the bound.
    """
    _, coarse = counters.of_pod("pod", "r2", METRICS, [0.1, 5.0])
    assert coarse == {
        "slow:0.1": "the nearest bucket above 0.1 s ends at 0.19 s",
        "slow:5.0": "the nearest bucket above 5 s ends at inf s",
    }


def test_a_server_that_nobody_asked_yet_is_not_a_foreign_one() -> None:
    """
    It has the metric and no series of it.
    """
    text = f"# TYPE {counters.DURATIONS} histogram\nprocess_start_time_seconds 1\n"
    found, coarse = counters.of_pod("pod", "r2", text, [0.2])
    nothing = {"faults": 0, "refused": 0, "answered": 0}
    assert (found, coarse) == ({Instance("pod", "1", "r2"): nothing}, {})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<html>",
        "process_start_time_seconds 1",
        'modeldeploy_requests_total{api="predict"} 1',
        "modeldeploy_requests_total{",
    ],
)
def test_other_metrics_tell_nothing(text: str) -> None:
    """
    A foreign image counts nothing that is ours.
    """
    assert counters.of_pod("pod", "r2", text, [0.2]) == ({}, {})


def test_a_router_tells_attempts_and_faults() -> None:
    """
    By revision, whatever slot it is in.
    """
    assert counters.of_router("router", ROUTER) == {
        Instance("router", "then", "r1"): {"attempts": 900, "faults": 1},
        Instance("router", "then", "r2"): {"attempts": 100, "faults": 3},
    }


@pytest.mark.parametrize("status", [None, {}, {"haproxy": {"started": "x"}}, {"haproxy": 1}])
def test_a_router_that_is_silent_tells_nothing(status: dict[str, object] | None) -> None:
    """
    No answer, or not in our form.
    """
    assert counters.of_router("router", status) == {}


def _counts(pod: str, started: str, revision: str, **counts: int) -> dict[Instance, dict[str, int]]:
    return {Instance(pod, started, revision): counts}


def test_only_what_happened_since_counts() -> None:
    """
    A new life of the canary counts as a whole, a stable pod seen for the first time not at all.
    """
    before = Look(
        {
            **_counts("r", "1", "stable", attempts=100, faults=10),
            **_counts("r", "1", "canary", attempts=10, faults=0),
        }
    )
    now = Look(
        {
            **_counts("r", "1", "stable", attempts=150, faults=11),
            **_counts("r", "1", "canary", attempts=15, faults=2),
            **_counts("s", "2", "stable", attempts=7, faults=7),
            **_counts("s", "2", "canary", attempts=8, faults=1),
        }
    )
    evidence = counters.evidence_of(before, now, [ERRORS], "stable", "canary")
    assert evidence == Evidence(Tally(50, 1), Tally(13, 3))


def test_the_first_look_only_remembers() -> None:
    """
    What happened before anybody looked is no evidence.
    """
    now = Look(_counts("r", "1", "canary", attempts=15, faults=15))
    assert counters.evidence_of(None, now, [ERRORS], "stable", "canary") == Evidence()


def test_durations_are_told_by_limit() -> None:
    """
    Each limit has its own count of slow requests.
    """
    before = Look({POD: {"refused": 1, "answered": 10, "slow:0.2": 1, "slow:1.0": 0}})
    now = Look({POD: {"refused": 2, "answered": 30, "slow:0.2": 5, "slow:1.0": 1}})
    evidence = counters.evidence_of(before, now, [SLOW], "r1", "r2")
    assert evidence.canary == Tally(0, 0, 1, 20, {0.2: 4, 1.0: 1})
    assert counters.limits_of([ERRORS, SLOW]) == (0.2,)


def test_what_pods_do_not_tell_is_a_problem_of_the_checks_that_need_it() -> None:
    """
    A latency needs our metrics and fine buckets; an error rate does with the routers.
    """
    silent = Look(_counts("r", "1", "r2", attempts=1, faults=0), silent=True)
    problems = counters.evidence_of(None, silent, [ERRORS, SLOW], "r1", "r2").problems
    missing = "no pod of the canary has the metric modeldeploy_request_duration_seconds"
    assert problems == {"slow": missing}
    coarse = Look({POD: {"answered": 1}}, {"slow:0.2": "too coarse"})
    assert counters.evidence_of(None, coarse, [SLOW], "r1", "r2").problems == {"slow": "too coarse"}
    assert counters.evidence_of(None, Look(), [SLOW], "r1", "r2").problems == {}


def test_without_routers_a_pod_counts_for_itself() -> None:
    """
    Its requests are the attempts; the server's faults are counted by their code, hang-ups are none.
    """
    lines = [
        "# TYPE modeldeploy_requests_total counter",
        *(
            f'modeldeploy_requests_total{{api="predict",code="{code}",entrypoint="GRPC"}} {count}'
            for code, count in (
                ("OK", 90),
                ("INTERNAL", 4),
                ("INVALID_ARGUMENT", 3),
                ("CANCELLED", 2),
            )
        ),
        "# TYPE modeldeploy_request_duration_seconds histogram",
        'modeldeploy_request_duration_seconds_count{api="predict"} 99',
        "# TYPE process_start_time_seconds gauge",
        "process_start_time_seconds 1.0",
    ]
    text = "\n".join(lines)
    [alone] = counters.of_pod("p", "r1", text, (), routed=False)[0].values()
    assert (alone["attempts"], alone["faults"], alone["refused"]) == (99, 4, 3)
    [behind] = counters.of_pod("p", "r1", text, ())[0].values()
    assert "attempts" not in behind
    assert behind["faults"] == 0
