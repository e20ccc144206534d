"""
The breaker: takes a canary out when a burst of its requests fails, operator or no operator.

It is for the canary that fails nearly everything, which must not wait for the operator's next look.
Anything finer is judged by the operator.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from modeldeploy_router.core.counters import Count, Key, over_protocols
from modeldeploy_router.core.routing import Routing

# Of so many latest requests to the canary, this share must have failed by the server's fault, and
# at most that share of stable's in the same time.
REQUESTS = 20
CANARY_SHARE = 0.5
STABLE_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class Breaker:
    """
    What the breaker remembers.

    Attributes:
        canary: The revision that it watches; empty if there is none.
        samples: What canary and stable had counted at the latest looks, the oldest first.
        tripped: Why the canary is out; empty while it is not.

    """

    canary: str = ""
    samples: tuple[tuple[Count, Count], ...] = ()
    tripped: str = ""


UNTRIPPED = Breaker()


def watch(
    breaker: Breaker, routing: Routing, counts: Mapping[Key, Count], *, stable_is_up: bool
) -> Breaker:
    """
    Take one look, and trip if a burst of the canary's requests has failed.

    A breaker that has tripped stays so until another revision is the canary, or none.
    It never trips while stable has no healthy server, since nobody would be left to answer.
    """
    pool = routing.slots.get(routing.canary or "")
    if pool is None or routing.stable is None or routing.canary is None:
        return Breaker()
    if breaker.canary != pool.revision:
        breaker = Breaker(pool.revision)
    if breaker.tripped:
        return breaker
    now = (over_protocols(counts, routing.canary), over_protocols(counts, routing.stable))
    samples = _latest((*breaker.samples, now))
    canary, stable = now[0] - samples[0][0], now[1] - samples[0][1]
    bad = canary.requests >= REQUESTS and canary.failures >= CANARY_SHARE * canary.requests
    alone = stable_is_up and stable.failures <= STABLE_SHARE * stable.requests
    said = f"{canary.failures} of its last {canary.requests} requests failed"
    return replace(breaker, samples=samples, tripped=said if bad and alone else "")


def guarded(routing: Routing, breaker: Breaker) -> Routing:
    """
    Return the routing with the canary's share taken away, if the breaker has tripped.
    """
    return replace(routing, weight=0) if breaker.tripped else routing


def _latest(samples: tuple[tuple[Count, Count], ...]) -> tuple[tuple[Count, Count], ...]:
    """
    Leave out the oldest looks that are not needed to see so many requests.
    """
    newest = samples[-1][0].requests
    while len(samples) > 2 and newest - samples[1][0].requests >= REQUESTS:
        samples = samples[1:]
    return samples
