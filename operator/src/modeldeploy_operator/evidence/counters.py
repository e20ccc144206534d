"""
From what pods and routers have counted since they started to what happened since the last look.

A pure module. A counter belongs to an instance: a container that starts anew counts from 0, and is
another instance.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from modeldeploy_operator.analysis import judge
from modeldeploy_operator.analysis.checks import Check, Evidence
from modeldeploy_operator.analysis.kinds import Latency, Shadow, slower_than
from modeldeploy_operator.analysis.tally import Drift, Tally

REQUESTS = "modeldeploy_requests_total"
DURATIONS = "modeldeploy_request_duration_seconds"
STARTED = "process_start_time_seconds"
_PREFIXES = (REQUESTS, DURATIONS, STARTED)
PREDICTING = frozenset({"predict", "classify", "regress", "multi_inference", "session_run"})
"""What clients do with a model; health checks and questions after its state do not count."""
ASKED_AGAIN = "SHADOW"
"""The entrypoint of what another server asks for comparison: no client's request."""
COARSE = 1.1
"""A bucket whose bound is further above a limit than this cannot tell who is slow."""

# What a pod answered with, where the caller is said to be at fault: the canonical codes.
CLIENTS_FAULT = frozenset(
    {
        "INVALID_ARGUMENT",
        "NOT_FOUND",
        "ALREADY_EXISTS",
        "PERMISSION_DENIED",
        "FAILED_PRECONDITION",
        "ABORTED",
        "OUT_OF_RANGE",
        "UNAUTHENTICATED",
    }
)

SERVERS_FAULT = frozenset(
    {
        "UNKNOWN",
        "DEADLINE_EXCEEDED",
        "INTERNAL",
        "UNAVAILABLE",
        "DATA_LOSS",
        "RESOURCE_EXHAUSTED",
        "UNIMPLEMENTED",
    }
)
LARGEST = "largest"
"""The one counter that is no count but the largest of something."""

UNSEEN_FAULTS = frozenset({("REST", "RESOURCE_EXHAUSTED")})
"""The server's faults that a router cannot tell from the client's: 429 is no 5xx."""

Counters = Mapping[str, float]
"""What one instance has counted: `attempts` and `faults` at a router; at a pod the `faults` that
routers do not see, `refused`, `answered`, and `slow:SECONDS` for each limit; of a canary that a pod
asks the same, what `evidence.shadows` lists."""


@dataclass(frozen=True, slots=True)
class Instance:
    """
    One life of a container that counts for a revision.
    """

    pod: str
    started: str
    revision: str


@dataclass(frozen=True, slots=True)
class Look:
    """
    Everything that was counted at one moment, and what could not be read.

    Attributes:
        counts: Instance to its counters.
        vague: What a kind of check needs to the reason for which pods cannot tell it.
        silent: Whether some pod did not tell what it counted.

    """

    counts: Mapping[Instance, Counters] = field(default_factory=dict)
    vague: Mapping[str, str] = field(default_factory=dict)
    silent: bool = False


@dataclass(slots=True)
class _Reading:
    """
    What is taken from a pod's metrics.
    """

    started: str = ""
    requests: int = 0
    unseen: int = 0
    faults: int = 0
    refused: int = 0
    answered: int = 0
    buckets: dict[float, int] = field(default_factory=dict)

    def add(self, name: str, labels: Mapping[str, str], value: float) -> None:
        if name == STARTED:
            self.started = str(value)
        elif labels.get("api") not in PREDICTING or labels.get("entrypoint") == ASKED_AGAIN:
            return
        elif name == REQUESTS:
            self._count(labels.get("entrypoint", ""), labels["code"], int(value))
        elif name == f"{DURATIONS}_count":
            self.answered += int(value)
        elif name == f"{DURATIONS}_bucket":
            bound = float(labels["le"])
            self.buckets[bound] = self.buckets.get(bound, 0) + int(value)

    def _count(self, entrypoint: str, code: str, requests: int) -> None:
        self.requests += requests
        if code in CLIENTS_FAULT:
            self.refused += requests
        elif code in SERVERS_FAULT:
            self.faults += requests
        if (entrypoint, code) in UNSEEN_FAULTS:
            self.unseen += requests


def limits_of(checks: Iterable[Check]) -> tuple[float, ...]:
    """
    Collect the durations, in seconds, from which requests count as slow.
    """
    return tuple(sorted({c.what.limit for c in checks if isinstance(c.what, Latency)}))


def of_router(pod: str, status: Mapping[str, Any] | None) -> dict[Instance, Counters]:
    """
    Read what a router has counted; nothing of one that did not answer in our form.
    """
    try:
        started = str((status or {})["haproxy"]["started"])
        return {
            Instance(pod, started, slot["revision"]): {
                "attempts": int(slot["requests"]),
                "faults": int(slot["failures"]),
            }
            for slot in (status or {})["slots"].values()
        }
    except (KeyError, TypeError, ValueError, AttributeError):
        return {}


def of_pod(
    pod: str, revision: str, text: str, limits: Iterable[float], *, routed: bool = True
) -> tuple[dict[Instance, Counters], dict[str, str]]:
    """
    Read what a model server has counted.

    Args:
        pod: The pod's name.
        revision: Its revision.
        text: Its metrics as Prometheus reads them.
        limits: The durations to count by, in seconds.
        routed: Whether routers count its requests and most of its faults; else it must itself.

    Returns:
        Its counters, none where it has not our metrics; and for each of the counts of slow
        requests that its buckets cannot tell, why not.

    """
    reading = _Reading()
    ours = "\n".join(line for line in text.splitlines() if line.startswith(_PREFIXES)) + "\n"
    try:
        for family in text_string_to_metric_families(ours):
            for sample in family.samples:
                reading.add(sample.name, sample.labels, sample.value)
    except (ValueError, KeyError):
        return {}, {}
    if not reading.started or DURATIONS not in text:
        return {}, {}
    counts = {
        "faults": reading.unseen if routed else reading.faults,
        "refused": reading.refused,
        "answered": reading.answered,
    }
    if not routed:
        counts["attempts"] = reading.requests
    vague: dict[str, str] = {}
    for limit in limits if reading.buckets else ():
        bound = min(bound for bound in [*reading.buckets, float("inf")] if bound >= limit)
        if bound > limit * COARSE:
            vague[slower_than(limit)] = f"the nearest bucket above {limit:g} s ends at {bound:g} s"
        counts[slower_than(limit)] = reading.answered - reading.buckets.get(bound, 0)
    return {Instance(pod, reading.started, revision): counts}, vague


def evidence_of(
    before: Look | None, now: Look, checks: Sequence[Check], stable: str, canary: str
) -> Evidence:
    """
    Compute what both revisions did between two looks, and what cannot be measured.
    """
    unknown = dict(now.vague)
    measured = any("answered" in c for i, c in now.counts.items() if i.revision == canary)
    if now.silent and not measured:
        why = f"no pod of the canary has the metric {DURATIONS}"
        unknown = {slower_than(limit): why for limit in limits_of(checks)} | unknown
    problems = {c.name: unknown[c.what.needs] for c in checks if c.what.needs in unknown}
    tally = since(before, now, canary, whole=True)
    for check in checks:
        if isinstance(check.what, Shadow):
            asked = since(before, now, target_name(canary, check), whole=True)
            tally = replace(
                tally, mirrored=asked.mirrored, drifted=asked.drifted, drift=asked.drift
            )
    return Evidence(since(before, now, stable, whole=False), tally, problems)


def target_name(canary: str, check: Check) -> str:
    """
    Name whom stable's pods ask for a check: another canary or another wish is another name.
    """
    return f"{canary}-{judge.fingerprint(check)}"


def shares(before: Look, now: Look, stable: str, canary: str) -> dict[str, float]:
    """
    Compute the shares of the requests that routers sent to each version between two looks.

    Returns:
        Revision to its share from 0 to 1; empty where nobody sent anything.

    """
    sent = {name: since(before, now, name, whole=False).attempts for name in (stable, canary)}
    total = sum(sent.values())
    return {name: count / total for name, count in sent.items()} if total else {}


def since(before: Look | None, now: Look, revision: str, *, whole: bool) -> Tally:
    """
    Compute what a revision did between two looks.

    Args:
        before: The look before; None if there was none.
        now: The present look.
        revision: The revision.
        whole: Whether an instance that is seen for the first time counts as a whole. It does for a
            canary, whose whole life is evidence; what a stable pod did long ago is none.

    """
    total: dict[str, float] = {}
    for instance, counts in now.counts.items():
        if instance.revision != revision:
            continue
        old = before.counts.get(instance) if before else None
        if old is None and (before is None or not whole):
            continue
        for name, value in counts.items():
            if name == LARGEST:
                total[name] = max(total.get(name, 0), value)
            else:
                total[name] = total.get(name, 0) + max(0, value - (old or {}).get(name, 0))
    slow = {
        float(name.removeprefix("slow:")): int(value)
        for name, value in total.items()
        if name.startswith("slow:")
    }
    return Tally(
        **{name: int(total.get(name, 0)) for name in ("attempts", "faults", "refused", "answered")},
        slow=slow,
        mirrored=int(total.get("mirrored", 0)),
        drifted=int(total.get("drifted", 0)),
        drift=_drift(total) if "mirrored" in total else None,
    )


def _drift(total: Mapping[str, float]) -> Drift:
    return Drift(
        values=int(total["values"]),
        total=total["total"],
        largest=total[LARGEST],
        rows=int(total["rows"]),
        flips=int(total["flips"]),
        here=total["here"],
        there=total["there"],
        skipped=int(total["skipped"]),
    )
