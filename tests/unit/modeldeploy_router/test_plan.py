"""
The plan closes the gap between what is wanted and what HAProxy has, and leaves no gap in service.
"""

import json
from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from modeldeploy_router.core.choice import map_entries
from modeldeploy_router.core.plan import HANDOVER_SECONDS, Plan, decide
from modeldeploy_router.core.routing import parse_routing
from modeldeploy_router.core.seen import Seen, Server
from modeldeploy_router.core.servers import KINDS, PROTOCOLS, backend_name, server_name
from testkit.routers import EXAMPLE

ROUTING = parse_routing(json.dumps(EXAMPLE))
ENTRIES = {
    "split": "a:b:1000:7",
    "a": "/v1/models/mnist/versions/1",
    "b": "/v1/models/mnist/versions/2",
    "version/1": "a:1",
    "version/2": "b:2",
    "label/stable": "a:1",
    "label/canary": "b:2",
}
UP = Server(out=False, up=True, checked=True)
NEW = Server(out=False, up=False, checked=False)
DOWN = Server(out=False, up=False, checked=True)
OUT = Server(out=True, up=False, checked=True)
ONE, TWO = "10.0.0.1", "10.0.0.2"


def plan(
    used: Mapping[str, set[str]],
    servers: dict[str, dict[str, Server]] | None = None,
    leaving: Mapping[tuple[str, str], float] | None = None,
    now: float = 100.0,
) -> Plan:
    """
    Decide with the map in place.
    """
    frozen = {slot: frozenset(addresses) for slot, addresses in used.items()}
    return decide(ROUTING, frozen, Seen(servers or {}, ENTRIES), leaving or {}, now)


def test_the_map_is_one_step_away() -> None:
    """
    Pointer, weight and generation are one entry; the map is replaced only where it differs.
    """
    assert map_entries(ROUTING) == ENTRIES
    assert decide(ROUTING, {}, Seen(), {}, 0).entries == ENTRIES
    assert plan({}).entries is None


def test_a_new_endpoint_is_added_and_checked_before_it_serves() -> None:
    """
    `health down` after `state ready` keeps a new server out until its check has passed.
    """
    decided = plan({"a": {ONE}, "b": set()})
    rest, rest_pinned, grpc, grpc_pinned = decided.commands
    assert rest_pinned.startswith(
        "add server rest_a_pinned/ip-10.0.0.1 10.0.0.1:8501 pool-max-conn 4 "
    )
    assert grpc_pinned.startswith("add server grpc_a_pinned/ip-10.0.0.1 10.0.0.1:8500 proto h2 ")
    assert rest.startswith("add server rest_a/ip-10.0.0.1 10.0.0.1:8501 pool-max-conn 4 ")
    assert grpc.startswith("add server grpc_a/ip-10.0.0.1 10.0.0.1:8500 proto h2 check ")
    for command, backend in ((rest, "rest_a"), (grpc, "grpc_a")):
        assert command.endswith(
            f"; enable health {backend}/ip-10.0.0.1;"
            f" set server {backend}/ip-10.0.0.1 state ready;"
            f" set server {backend}/ip-10.0.0.1 health down"
        )
    assert decided.awaits_checks
    assert not decided.lingers


def test_at_rest() -> None:
    """
    With everything in place there is nothing to do and nothing to wait for.
    """
    servers = {
        backend_name(p, "a", kind): {server_name(ONE): UP} for p in PROTOCOLS for kind in KINDS
    }
    decided = plan({"a": {ONE}, "b": set()}, servers)
    assert decided == Plan(None, (), {}, awaits_checks=False)


def test_an_endpoint_that_leaves_is_taken_out_then_deleted() -> None:
    """
    The first pass stops new requests; the next ones delete the server, once HAProxy lets them.
    """
    first = plan({"a": {ONE}}, {"rest_a": {server_name(ONE): UP, server_name(TWO): UP}})
    assert "set server rest_a/ip-10.0.0.2 state maint" in first.commands
    second = plan({"a": {ONE}}, {"rest_a": {server_name(ONE): UP, server_name(TWO): OUT}})
    assert "del server rest_a/ip-10.0.0.2" in second.commands
    assert second.lingers


def test_an_endpoint_that_comes_back_is_roused() -> None:
    """
    A server that is not deleted yet is used again, after a new check.
    """
    decided = plan({"a": {ONE}}, {"rest_a": {server_name(ONE): OUT}})
    assert decided.commands[0] == (
        "set server rest_a/ip-10.0.0.1 state ready; set server rest_a/ip-10.0.0.1 health down"
    )


def test_the_last_server_stays_until_its_successor_is_up() -> None:
    """
    It stays while the new one is unchecked, and no longer than the handover may take.
    """
    servers = {"rest_a": {server_name(ONE): UP, server_name(TWO): NEW}}
    maint = "set server rest_a/ip-10.0.0.1 state maint"
    first = plan({"a": {TWO}}, servers)
    assert maint not in first.commands
    assert first.leaving == {("rest_a", "ip-10.0.0.1"): 100.0}
    later = plan({"a": {TWO}}, servers, first.leaving, now=100.0 + HANDOVER_SECONDS)
    assert maint in later.commands
    up = {"rest_a": servers["rest_a"] | {server_name(TWO): UP}}
    assert maint in plan({"a": {TWO}}, up, first.leaving).commands


def test_a_pool_that_is_empty_lets_go_at_once() -> None:
    """
    With no endpoint left there is nothing to wait for: the share goes to stable.
    """
    decided = plan({"a": set()}, {"rest_a": {server_name(ONE): UP}})
    assert decided.commands == ("set server rest_a/ip-10.0.0.1 state maint",)


def test_a_dead_server_is_not_waited_for() -> None:
    """
    A leaving server that is down is taken out though its successor is not up.
    """
    servers = {"rest_a": {server_name(ONE): DOWN, server_name(TWO): NEW}}
    assert "set server rest_a/ip-10.0.0.1 state maint" in plan({"a": {TWO}}, servers).commands


def test_an_unknown_pool_is_left_alone() -> None:
    """
    A slot whose endpoints nobody has told of keeps its servers; a slot that is gone loses them.
    """
    servers = {"rest_a": {server_name(ONE): UP}, "rest_c": {server_name(TWO): UP}}
    decided = plan({}, servers)
    assert decided.commands == ("set server rest_c/ip-10.0.0.2 state maint",)


def test_addresses_of_both_families() -> None:
    """
    An IPv6 address is written in brackets, and its server has a name that HAProxy takes.
    """
    decided = plan({"a": {"fd00::5"}})
    assert decided.commands[0].startswith("add server rest_a/ip-fd00_5 [fd00::5]:8501 ")


def imitate(servers: dict[str, dict[str, Server]], commands: tuple[str, ...]) -> None:
    """
    Do to a small imitation of HAProxy what commands do to HAProxy; checks pass by the next turn.
    """
    for pool in servers.values():
        pool.update({n: UP for n, server in pool.items() if not server.out})
    for command in (part.strip() for line in commands for part in line.split(";")):
        words = command.split()
        if words[0] == "enable":
            continue
        backend, name = words[2].split("/")
        pool = servers.setdefault(backend, {})
        match words:
            case ["add", "server", *_]:
                assert name not in pool
                pool[name] = OUT
            case ["del", "server", _]:
                assert pool.pop(name).out
            case [*_, "state", "maint"]:
                pool[name] = OUT
            case _:
                pool[name] = NEW


ADDRESSES = st.sets(st.sampled_from(["10.0.0.1", "10.0.0.2", "10.0.0.3", "fd00::1"]))
POOLS = st.fixed_dictionaries({"a": ADDRESSES, "b": ADDRESSES})


@given(st.lists(st.tuples(POOLS, st.integers(1, 3)), max_size=6))
def test_it_always_settles_on_what_is_wanted(
    history: list[tuple[dict[str, set[str]], int]],
) -> None:
    """
    Whatever endpoints came before, with however few turns between: it ends with the wanted servers.

    At every turn a pool that had a server up, and is still wanted, has one.
    """
    servers: dict[str, dict[str, Server]] = {}
    leaving: dict[tuple[str, str], float] = {}
    now = 0.0
    for used, turns in [*history, ({"a": {ONE}, "b": {TWO}}, 6)]:
        for _ in range(turns):
            had = {b for b, pool in servers.items() if any(s.up for s in pool.values())}
            decided = plan(used, servers, leaving, now)
            imitate(servers, decided.commands)
            leaving, now = decided.leaving, now + 0.05
            kept = {b for b, pool in servers.items() if any(s.up for s in pool.values())}
            assert all(b in kept or not used[b.split("_")[1]] for b in had)
    assert {b: set(pool) for b, pool in servers.items() if pool} == {
        backend_name(protocol, slot, kind): {server_name(address)}
        for slot, address in (("a", ONE), ("b", TWO))
        for protocol in PROTOCOLS
        for kind in KINDS
    }
    assert decided == Plan(None, (), {}, awaits_checks=False)
