"""
The loop: look at what is wanted and at what HAProxy has, decide, do, look again.
"""

import logging
import math
import threading
import time
from dataclasses import dataclass, field, replace

from modeldeploy_router.core.breaker import Breaker, guarded, watch
from modeldeploy_router.core.choice import map_entries
from modeldeploy_router.core.config import Content
from modeldeploy_router.core.counters import Count, Key, Ledger, count_slots
from modeldeploy_router.core.plan import Plan, decide, secure_slots
from modeldeploy_router.core.report import Report, responses_in
from modeldeploy_router.core.routing import Routing
from modeldeploy_router.core.seen import Seen, servers_in
from modeldeploy_router.core.servers import PROTOCOLS, Trust, server_name
from modeldeploy_router.shell.certificate import Certificate
from modeldeploy_router.shell.haproxy import HAProxy, HAProxyError
from modeldeploy_router.shell.knowledge import Knowledge, Known
from modeldeploy_router.shell.tokens import Tokens

log = logging.getLogger(__name__)

# Between two looks: while first checks are awaited, while servers finish their last requests, and
# at rest.
AWAITING_SECONDS = 0.05
LINGERING_SECONDS = 1.0
RESTING_SECONDS = 10.0
# Between two looks while a canary gets requests: it must be out a second after a burst of failures.
WATCHING_SECONDS = 0.2
# Endpoints that do not even refuse a check keep a new router from being ready for no longer than
# this.
FIRST_CHECKS_SECONDS = 10.0


@dataclass(slots=True)
class Loop:
    """
    Keeps HAProxy as it should be: `run` in one thread, `wake` and `report` from any.
    """

    haproxy: HAProxy
    tokens: Tokens | None = None
    certificate: Certificate | None = None
    trust: Trust | None = None
    is_ready: bool = False
    confirmed: Routing | None = None
    _known: Known = field(default_factory=Known)
    _shown: str = ""
    _renewed: float = -math.inf
    _breaker: Breaker = field(default_factory=Breaker)
    _applied: float = 0.0
    _checks_since: float | None = None
    _leaving: dict[tuple[str, str], float] = field(default_factory=dict)
    _ledger: Ledger = field(default_factory=Ledger)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _woken: threading.Event = field(default_factory=threading.Event)

    def wake(self) -> None:
        """
        Make the loop look now.
        """
        self._woken.set()

    def begin(self, known: Known) -> Content:
        """
        Return what a HAProxy is to start with that clients are waiting for; its counts begin at 0.
        """
        self._shown = self.certificate.text() if self.certificate else ""
        tokens = self.tokens.entries() if self.tokens else {}
        content = Content(tokens=tokens, certificate=self._shown)
        if known.routing is None:
            return content
        ledger = Ledger()
        ledger.change(known.routing, {})
        with self._lock:
            self._ledger, self._known = ledger, known
            self._leaving = {}
            # HAProxy's counts begin at 0, and with them the breaker's; what is out stays out.
            self._breaker = replace(self._breaker, samples=())
        return replace(
            content,
            entries=map_entries(guarded(known.routing, self._breaker)),
            servers={slot: addresses.used for slot, addresses in known.pools.items()},
            secure=secure_slots(known.routing, self.trust),
        )

    def run(self, knowledge: Knowledge, stopped: threading.Event) -> None:
        """
        Turn until `stopped` is set, or HAProxy closes its socket at the end of its grace.
        """
        while not stopped.is_set():
            self._woken.clear()
            try:
                self._renew()
                pause = self._turn(knowledge.now())
            except HAProxyError as error:
                if self.haproxy.is_stopping:
                    return
                log.warning("%s", error)
                pause = LINGERING_SECONDS
            if self._woken.wait(pause):
                self._renewed = -math.inf

    def report(self) -> Report:
        """
        Collect what there is to tell.

        Raises:
            HAProxyError: if HAProxy does not answer.
        """
        rows, grpc_failures = self.haproxy.counters()
        counts = count_slots(rows, grpc_failures)
        with self._lock:
            pools = self._known.pools
            return Report(
                routing=self.confirmed,
                ready={slot: addresses.ready for slot, addresses in pools.items()},
                servers=servers_in(rows),
                totals=self._ledger.totals(counts),
                started=self.haproxy.started,
                applied=self._applied,
                tripped=self._breaker,
                responses=responses_in(rows),
            )

    def _turn(self, known: Known) -> float:
        if known.routing is None:
            return RESTING_SECONDS
        used = {slot: addresses.used for slot, addresses in known.pools.items()}
        seen = self.haproxy.observe()
        self._watch(known.routing, seen)
        routing = guarded(known.routing, self._breaker)
        plan = decide(routing, used, seen, self._leaving, time.monotonic(), self.trust)
        self._leaving = plan.leaving
        if plan.entries is not None:
            self._book(routing)
            self.haproxy.replace_map(plan.entries)
        self.haproxy.run(plan.commands)
        if plan.entries is not None or plan.commands:
            seen = self.haproxy.observe()
        self._confirm(known, seen)
        self.is_ready = self.is_ready or self._is_checked(used, known, seen)
        pause = _pause(plan)
        return min(pause, WATCHING_SECONDS) if routing.weight else pause

    def _renew(self) -> None:
        """
        Let HAProxy know the tokens and the certificate of now; without a token, it lets nobody in.

        They are looked at when something has changed, and else as often as at rest.
        """
        now = time.monotonic()
        if now - self._renewed < RESTING_SECONDS:
            return
        if self.tokens:
            entries = self.tokens.entries()
            if entries != self.haproxy.tokens():
                self.haproxy.replace_tokens(entries)
                log.info("HAProxy knows %d tokens.", len(entries))
        text = self.certificate.text() if self.certificate else ""
        if text != self._shown:
            refusal = self.haproxy.replace_certificate(text)
            self._shown = text
            if refusal:
                log.warning("The old certificate stays in use: HAProxy refused: %s", refusal)
            else:
                log.info("New connections are shown the new certificate.")
        self._renewed = now

    def _watch(self, routing: Routing, seen: Seen) -> None:
        """
        Look whether a burst of the canary's requests has failed.
        """
        if not routing.weight:
            self._breaker = Breaker()
            return
        before = self._breaker
        counts = count_slots(*self.haproxy.counters())
        stable = seen.servers.get(f"rest_{routing.stable}", {}).values()
        is_up = any(server.up for server in stable)
        self._breaker = watch(before, routing, counts, stable_is_up=is_up)
        if self._breaker.tripped and not before.tripped:
            log.warning("The canary %s is out: %s.", self._breaker.canary, self._breaker.tripped)

    def _book(self, routing: Routing) -> None:
        counts: dict[Key, Count] = count_slots(*self.haproxy.counters())
        with self._lock:
            self._ledger.change(routing, counts)

    def _confirm(self, known: Known, seen: Seen) -> None:
        routing = known.routing
        with self._lock:
            self._known = known
            if routing == self.confirmed or routing is None:
                return
            if map_entries(guarded(routing, self._breaker)) != seen.entries:
                return
            self.confirmed = routing
            self._applied = time.time()
        log.info("HAProxy has confirmed generation %d: %s", routing.generation, seen.entries)

    def _is_checked(self, used: dict[str, frozenset[str]], known: Known, seen: Seen) -> bool:
        """
        Return whether a new router may be called ready.

        It is when it knows stable's endpoints, and each endpoint that it knows has been checked.
        """
        stable = self.confirmed.stable if self.confirmed else None
        if self.confirmed is None or (stable and stable not in known.pools):
            return False
        now = time.monotonic()
        self._checks_since = self._checks_since or now
        if now - self._checks_since > FIRST_CHECKS_SECONDS:
            return True
        secure = secure_slots(known.routing, self.trust) if known.routing else frozenset()
        names = [
            (slot, server_name(address, is_secure=slot in secure))
            for slot, addresses in used.items()
            for address in addresses
        ]
        backends = [(f"{p}_{slot}", name) for slot, name in names for p in PROTOCOLS]
        servers = [seen.servers.get(backend, {}).get(name) for backend, name in backends]
        return all(server is not None and server.checked for server in servers)


def _pause(plan: Plan) -> float:
    if plan.awaits_checks:
        return AWAITING_SECONDS
    return LINGERING_SECONDS if plan.lingers else RESTING_SECONDS
