"""
Pools that share their pods: each slot stands for one of the versions that the same servers hold.
"""

import asyncio
import json
from typing import Any

from testkit.load import PATH, PREDICT, GrpcClient, RestClient
from testkit.routers import NET, Bench, Upstream, routing

BOTH = f"{NET}.3.1"


def shared_routing(generation: int, weight: int) -> dict[str, Any]:
    """
    Both slots have the same servers; the first stands for version 1, the second for version 2.
    """
    document = routing(generation, weight)
    for pool in document["slots"].values():
        pool.update(service="mnist-aaaaaaaaaa", shared=True)
    return document


async def test_the_split_is_between_versions_inside_the_same_servers(
    router: Bench, rest: RestClient, rpc: GrpcClient
) -> None:
    """
    The router tells each request that names no version which one it drew, and counts by version.
    """
    holds_both = Upstream(BOTH, "1,2")
    holds_both.start()
    router.pool("a", BOTH)
    router.route(shared_routing(1, 5000))
    router.start()
    answers = [json.loads((await rest.send("POST", PATH, b"{}"))[2]) for _ in range(60)]
    answers += [json.loads(await rpc.call(PREDICT)) for _ in range(60)]
    assert {answer["address"] for answer in answers} == {BOTH}
    counts = {v: sum(answer["named"] == v for answer in answers) for v in ("1", "2")}
    assert counts["1"] + counts["2"] == 120
    assert min(counts.values()) > 30

    # A pin by the path is the client's own; a question after the state names nothing.
    pinned = PATH.replace(":predict", "/versions/2:predict")
    answer = json.loads((await rest.send("POST", pinned, b"{}"))[2])
    assert (answer["named"], answer["pin"]) == ("", "2")

    slots = router.status()["slots"]
    assert {slot: slots[slot]["requests"] for slot in "ab"} == {"a": counts["1"], "b": counts["2"]}
    router.route(shared_routing(2, 0))
    await asyncio.to_thread(router.confirmed, 2)
    answers = [json.loads((await rest.send("POST", PATH, b"{}"))[2]) for _ in range(30)]
    assert {answer["named"] for answer in answers} == {"1"}
    holds_both.end()


async def test_a_request_that_goes_on_to_stable_is_told_stables_version(
    router: Bench, rest: RestClient, rpc: GrpcClient
) -> None:
    """
    Servers that do not hold the canary's version get none of its requests: stable's answers.
    """
    holds_one = Upstream(BOTH, "1")
    holds_one.start()
    router.pool("a", BOTH)
    router.route(shared_routing(1, 10_000))
    router.start()
    for _ in range(5):
        answer = json.loads((await rest.send("POST", PATH, b"{}"))[2])
        assert (answer["named"], answer["address"]) == ("1", BOTH)
        assert json.loads(await rpc.call(PREDICT))["named"] == "1"
    holds_one.end()
