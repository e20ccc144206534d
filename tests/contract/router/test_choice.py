"""
Rules by header, and clients that stay where they are: what decides before the weight does.
"""

import asyncio
import json
from typing import Any

from testkit.load import PATH, PREDICT, GrpcClient, Load, RestClient
from testkit.routers import Bench, routing

USERS = [f"user-{number}" for number in range(300)]


async def versions_of(rest: RestClient, rpc: GrpcClient, **changes: Any) -> dict[str, str]:
    """
    Ask for each user once over REST and once over gRPC, which must agree.
    """
    found = {}
    for user in USERS:
        name, value = changes["by"], changes["value"].format(user)
        _, _, body = await rest.send("POST", PATH, b"{}", **{name: value})
        found[user] = json.loads(body)["version"]
        answer = json.loads(await rpc.call(PREDICT, b"", **{name: value}))
        assert answer["version"] == found[user]
    return found


async def test_a_sticky_client_stays_and_moves_one_way(
    router: Bench, rest: RestClient, rpc: GrpcClient
) -> None:
    """
    A key is answered by one version over both protocols, and with a larger weight nobody goes back.

    Another kind of key comes into force with no restart; requests without a key are random.
    """
    router.route(routing(1, 2000, sticky={"header": "x-user-id"}))
    router.start()
    before: set[str] = set()
    for generation, weight in enumerate((2000, 5000, 8000), 2):
        router.route(routing(generation, weight, sticky={"header": "x-user-id"}))
        await asyncio.to_thread(router.confirmed, generation)
        found = await versions_of(rest, rpc, by="x_user_id", value="{}")
        canary = {user for user, version in found.items() if version == "2"}
        assert before < canary
        assert abs(len(canary) - weight * len(USERS) / 10_000) <= 40
        before = canary
    started = router.status()["haproxy"]["started"]
    router.route(routing(9, 8000, sticky={"cookie": "SID"}))
    await asyncio.to_thread(router.confirmed, 9)
    found = await versions_of(rest, rpc, by="cookie", value="a=b; SID={}")
    assert {user for user, version in found.items() if version == "2"} == before
    answers = [json.loads(await rpc.call(PREDICT))["version"] for _ in range(100)]
    assert set(answers) == {"1", "2"}
    assert router.status()["haproxy"]["started"] == started


async def test_rules_by_header_go_before_the_weight(
    router: Bench, rest: RestClient, rpc: GrpcClient
) -> None:
    """
    The first rule whose headers are all there decides; without a weight there is no canary.
    """
    match = [
        {"name": "both", "headers": {"x-cohort": "be;ta", "x-site": "1"}, "to": "canary"},
        {"name": "old", "headers": {"x-cohort": "be;ta"}, "to": "stable"},
        {"name": "late", "headers": {"x-cohort": "be;ta", "x-site": "2"}, "to": "canary"},
        {"name": "all", "headers": {"x-all": "yes"}, "to": "canary"},
    ]
    router.route(routing(1, 1, match=match))
    router.start()
    for headers, version in (
        ({"x_cohort": "be;ta", "x_site": "1"}, "2"),
        ({"x_cohort": "be;ta"}, "1"),
        ({"x_cohort": "be;ta", "x_site": "2"}, "1"),
        ({"x_all": "yes"}, "2"),
        ({"x_all": "no"}, "1"),
    ):
        for _ in range(5):
            _, _, body = await rest.send("POST", PATH, b"{}", **headers)
            assert json.loads(body)["version"] == version
            answer = await rpc.call(PREDICT, b"", **headers)
            assert json.loads(answer)["version"] == version
    for generation, changes in ((2, {"weight": 0}), (3, {"weight": 0, "roles": {"stable": "a"}})):
        router.route(routing(generation, 1, match=match) | changes)
        await asyncio.to_thread(router.confirmed, generation)
        _, _, body = await rest.send("POST", PATH, b"{}", x_all="yes")
        assert json.loads(body)["version"] == "1"


async def test_edits_of_rules_lose_no_request(router: Bench) -> None:
    """
    Rules and keys change under load: no request fails, and nothing is restarted.
    """
    router.route(routing(1, 5000))
    router.start()
    started = router.status()["haproxy"]["started"]
    rule = {"name": "x", "headers": {"content-length": "2"}, "to": "canary"}
    kinds: list[dict[str, Any]] = [
        {}, {"match": [rule]}, {"sticky": {"header": "te"}}, {"sticky": {"cookie": "c"}}
    ]  # fmt: skip
    async with Load(router.address, rest=8, rpc=4) as load:
        for generation in range(2, 42):
            router.route(routing(generation, 5000, **kinds[generation % 4]))
            await asyncio.to_thread(router.confirmed, generation)
            await asyncio.sleep(0.05)
    assert load.tally.total > 500
    assert not load.tally.failures
    assert router.status()["haproxy"]["started"] == started
