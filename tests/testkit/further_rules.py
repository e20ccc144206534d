"""
What must hold at every turn of a simulated rollout besides the order of effects.
"""

from modeldeploy_operator.analysis import findings
from modeldeploy_operator.analysis.judge import Verdict
from modeldeploy_operator.rollout.states import TRANSITIONS
from modeldeploy_operator.rollout.weights import FULL
from testkit.turn import Broken, Turn


def failed_gets_no_more(turn: Turn) -> Broken:
    """
    A canary that failed a check never gets more, unless somebody skips the analysis.
    """
    canary, tried = turn.routing.canary, turn.decision.memory.canary
    if canary is None or tried is None or tried.full:
        return None
    failed = tried.failed
    more = turn.routing.weight > turn.had(canary)
    return f"{canary} failed a check and got more" if failed and more else None


def judged_before_traffic(turn: Turn) -> Broken:
    """
    The first weight comes after every Job that must judge the canary before, unless all is skipped.
    """
    canary, tried = turn.routing.canary, turn.decision.memory.canary
    first = canary and turn.routing.weight and not turn.had(canary)
    if not first or tried is None or tried.full or not turn.before.ready(turn.routing.stable):
        return None
    found = findings.results(turn.world.wanted.criteria, tried.external, tried.step)
    wrong = [r.name for r in found if r.before_traffic and r.verdict is not Verdict.PASSING]
    return f"{canary} got traffic before {wrong[0]} had passed" if wrong else None


def jobs_go_with_the_trial(turn: Turn) -> Broken:
    """
    A Job is there only while the canary that it judges is being tried.
    """
    canary = turn.decision.memory.canary
    over = canary is None or canary.withdrawal is not None
    return (
        f"the Jobs {turn.decision.jobs} outlive the trial" if over and turn.decision.jobs else None
    )


def pods_within_the_limit(turn: Turn) -> Broken:
    """
    Where pods are scarce, both versions ask for no more than replicas + surge; what was more goes.
    """
    stable, canary = turn.decision.memory.stable, turn.decision.memory.canary
    surge = turn.wanted.surge
    if surge is None or stable is None or canary is None or not turn.size:
        return None
    names = (stable.revision, canary.revision.revision)
    asked = sum(turn.decision.pools.get(name, 0) for name in names)
    pools = turn.before.pools
    had = sum(pools[name].desired for name in names if name in pools)
    limit = max(turn.size + surge, had)
    return f"{asked} pods are asked for, and the limit is {limit}" if asked > limit else None


def states_follow_the_table(turn: Turn) -> Broken:
    """
    A state follows another only as the table says.
    """
    state = turn.decision.state
    if turn.state is None or state in TRANSITIONS[turn.state]:
        return None
    return f"{turn.state} went to {state}"


def previews_lead_to_the_candidate(turn: Turn) -> Broken:
    """
    The preview address leads to the revision that is being tried, or there is none.
    """
    preview, canary = turn.decision.preview, turn.decision.memory.canary
    if preview and (canary is None or canary.revision.revision != preview):
        return f"the preview leads to {preview}"
    return None


def endings_have_an_outcome(turn: Turn) -> Broken:
    """
    Whenever a trial ends, exactly one new chapter of the history says how.
    """
    old, now = turn.memory.canary, turn.decision.memory.canary
    if old is None or (now and now.started_at == old.started_at and now.revision == old.revision):
        return None
    before, after = turn.memory.history, turn.decision.memory.history
    told = [c for c in after if c not in before and c.revision == old.revision.revision]
    return None if len(told) == 1 else f"{len(told)} chapters tell how {told or old.revision} ended"


def pins_lead_to_pools(turn: Turn) -> Broken:
    """
    Who is pinned or has a lasting share has a slot and pods, until no router leads there any more.
    """
    routing, before = turn.routing, turn.before.routing
    if not routing.standing <= set(turn.decision.pools) & set(routing.slots.values()):
        return f"{sorted(routing.standing)} are not all among the pools and slots"
    for slot, name in routing.slots.items():
        if before and name in before.standing & routing.standing and before.slots.get(slot) != name:
            return f"the pinned pool {name} changed its slot"
    for applied in turn.applied:
        gone = set(turn.before.pools) - set(turn.world.pools)
        if applied and gone & applied.standing:
            return f"{sorted(gone & applied.standing)} went while a router led there"
    return None


def lasting_shares_need_pods(turn: Turn) -> Broken:
    """
    A lasting share is on ready pods alone, and rises once all of them are ready.
    """
    before, shares = turn.before, turn.routing.shares
    had = before.routing.shares if before.routing else {}
    dead = [name for name in shares if not before.ready(name)]
    if dead or sum(shares.values()) > FULL:
        return f"the lasting shares are {dict(shares)}, and {dead} have no ready pod"
    for entry in turn.world.wanted.also:
        name, share = entry.revision.revision, shares.get(entry.revision.revision, 0)
        able = min(before.ready(name), before.up(name))
        if share > entry.weight or (share > had.get(name, 0) and able < entry.replicas):
            return f"{name} has a lasting share of {share}, and {able} pods"
    return None


def versions_change_inside_the_pods(turn: Turn) -> Broken:
    """
    In shared pods versions come and go, two at most, and no pod is made or removed for it.
    """
    for home, before in turn.houses.items():
        wanted = [n for n, where in turn.decision.shared.items() if where == home]
        if len(wanted) > 2:
            return f"{sorted(wanted)} are asked for in the pods {home}"
        there = {name for name, pool in turn.before.pools.items() if pool.shared == home}
        lasting = turn.world.houses.get(home, [])
        together = len(there | set(wanted)) > 1 and len(before) == turn.size
        if together and lasting != before:
            return f"the pods {home} went from {before} to {lasting}"
    return None


def pods_stay_in_place(turn: Turn) -> Broken:
    """
    A revision never changes the pods that it lives in while it has traffic.
    """
    for name, pool in turn.before.pools.items():
        if name not in turn.decision.pools or pool.desired == 0:
            continue
        home = turn.decision.shared.get(name, "")
        if home != pool.shared and any(r and r.share(name) for r in turn.applied):
            return f"{name} went from the pods {pool.shared!r} to {home!r}"
    return None


OTHERS = (
    versions_change_inside_the_pods,
    pods_stay_in_place,
    pins_lead_to_pools,
    lasting_shares_need_pods,
    endings_have_an_outcome,
    failed_gets_no_more,
    judged_before_traffic,
    jobs_go_with_the_trial,
    pods_within_the_limit,
    states_follow_the_table,
    previews_lead_to_the_candidate,
)
"""What must hold besides."""
