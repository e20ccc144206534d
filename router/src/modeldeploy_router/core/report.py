"""
What the router tells about itself on port 8502: the status, and metrics for Prometheus.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from modeldeploy_router.core.breaker import UNTRIPPED, Breaker, guarded
from modeldeploy_router.core.counters import Count, Key, over_protocols
from modeldeploy_router.core.routing import Routing
from modeldeploy_router.core.seen import Server
from modeldeploy_router.core.servers import PROTOCOLS, server_name


@dataclass(frozen=True, slots=True)
class Report:
    """
    Everything that a report is made of; `routing` is what HAProxy has confirmed.
    """

    routing: Routing | None
    ready: Mapping[str, frozenset[str]]
    servers: Mapping[str, Mapping[str, Server]]
    totals: Mapping[Key, Count]
    started: str
    applied: float = 0.0
    responses: Mapping[tuple[str, str], int] = field(default_factory=dict)
    tripped: Breaker = UNTRIPPED


def status_document(report: Report) -> dict[str, Any]:
    """
    Compute the body of `GET /status`, as ARCHITECTURE.md describes it.
    """
    routing = report.routing
    haproxy = {"started": report.started}
    if routing is None:
        return {
            "generation": 0, "model": "", "weight": 0, "roles": {}, "slots": {}, "haproxy": haproxy
        }  # fmt: skip
    roles = {"stable": routing.stable, "canary": routing.canary}
    return {
        "generation": routing.generation,
        "model": routing.model,
        "weight": guarded(routing, report.tripped).weight,
        "roles": {role: slot for role, slot in roles.items() if slot},
        "slots": {slot: _slot(report, slot, pool.revision) for slot, pool in routing.slots.items()},
        "haproxy": haproxy,
        **_tripped(report.tripped),
    }


def _tripped(breaker: Breaker) -> dict[str, Any]:
    if not breaker.tripped:
        return {}
    return {"tripped": {"revision": breaker.canary, "message": breaker.tripped}}


def _slot(report: Report, slot: str, revision: str) -> dict[str, Any]:
    total = over_protocols(report.totals, revision)
    return {
        "revision": revision,
        "up": up_endpoints(report.ready.get(slot, frozenset()), slot, report.servers),
        "endpoints": len(report.ready.get(slot, ())),
        "requests": total.requests,
        "failures": total.failures,
    }


def up_endpoints(
    addresses: Iterable[str], slot: str, servers: Mapping[str, Mapping[str, Server]]
) -> int:
    """
    Count the endpoints of a slot whose servers are up for every protocol.
    """

    def is_up(backend: str, address: str) -> bool:
        present = servers.get(backend, {})
        found = (present.get(server_name(address, is_secure=secure)) for secure in (False, True))
        return any(server is not None and server.up for server in found)

    return sum(
        all(is_up(f"{protocol}_{slot}", address) for protocol in PROTOCOLS) for address in addresses
    )


def metrics_text(report: Report) -> str:
    """
    Render the metrics in Prometheus' text format.
    """
    routing = report.routing
    lines: list[str] = []
    prefix = "modeldeploy_router"

    def family(name: str, kind: str, text: str, samples: Mapping[str, float]) -> None:
        lines.append(f"# HELP {prefix}_{name} {text}")
        lines.append(f"# TYPE {prefix}_{name} {kind}")
        lines.extend(f"{prefix}_{name}{labels} {value:.15g}" for labels, value in samples.items())

    attempts = {_labels(revision=r, protocol=p): count for (r, p), count in report.totals.items()}
    family("attempts_total", "counter", "Requests sent to servers of a revision.",
           {labels: count.requests for labels, count in attempts.items()})  # fmt: skip
    family("failures_total", "counter", "Attempts that failed on the way or with a server error.",
           {labels: count.failures for labels, count in attempts.items()})  # fmt: skip
    family("responses_total", "counter", "Responses to clients by HTTP status class.",
           {_labels(protocol=p, code=c): n for (p, c), n in report.responses.items()})  # fmt: skip
    family("slot_info", "gauge", "Which revision a slot holds, and in which role.",
           dict.fromkeys(_slot_labels(routing), 1))  # fmt: skip
    slots = status_document(report)["slots"]
    for name, text in _GAUGES.items():
        family(f"endpoints_{name}", "gauge", text, {
            _labels(slot=slot, revision=entry["revision"]): entry[_GAUGE_KEYS[name]]
            for slot, entry in slots.items()
        })  # fmt: skip
    family("generation", "gauge", "The generation that HAProxy has confirmed.",
           {"": routing.generation if routing else 0})  # fmt: skip
    family("weight", "gauge", "The canary's share in ten-thousandths.",
           {"": routing.weight if routing else 0})  # fmt: skip
    family("applied_timestamp_seconds", "gauge", "When the generation was confirmed.",
           {"": report.applied})  # fmt: skip
    return "\n".join(lines) + "\n"


_GAUGES = {
    "ready": "Endpoints that the cluster calls ready.",
    "up": "Endpoints whose health check passes.",
}
_GAUGE_KEYS = {"ready": "endpoints", "up": "up"}


def _slot_labels(routing: Routing | None) -> list[str]:
    if routing is None:
        return []
    roles = {routing.canary: "canary", routing.stable: "stable"}
    return [
        _labels(slot=slot, revision=pool.revision, version=pool.version, role=roles.get(slot, ""))
        for slot, pool in sorted(routing.slots.items())
    ]


def _labels(**labels: str) -> str:
    return "{" + ",".join(f'{name}="{value}"' for name, value in labels.items()) + "}"


def responses_in(rows: Iterable[Mapping[str, str]]) -> dict[tuple[str, str], int]:
    """
    Count the responses to clients, by (protocol, status class), in the rows of `show stat`.
    """
    frontends = [r for r in rows if r["svname"] == "FRONTEND" and r["pxname"] in PROTOCOLS]
    return {
        (row["pxname"], code): int(row.get(f"hrsp_{code}") or 0)
        for row in frontends
        for code in ("2xx", "3xx", "4xx", "5xx")
    }
