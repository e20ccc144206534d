"""
Liveness: what a new start may mend is told, what it cannot mend is not.
"""

import aiohttp

from modeldeploy_operator.telemetry import health

WELL = {"pods": 3.0, "services": 60.0}


def test_a_quiet_cluster_is_healthy() -> None:
    """
    Watches that turn, an empty queue: nothing ails.
    """
    assert health.ailments(WELL, WELL, 1.0, 0.0) == []


def test_a_watch_that_does_not_turn_ails() -> None:
    """
    A watch whose loop hangs is named.
    """
    [told] = health.ailments({**WELL, "pods": 301.0}, WELL, 1.0, 0.0)
    assert told == "The watch of pods has been stuck for 301 s."


def test_a_deaf_watch_ails_only_while_others_are_answered() -> None:
    """
    With the API server away nothing is heard, and a new start would not help.
    """
    deaf = {**WELL, "pods": 301.0}
    [told] = health.ailments(WELL, deaf, 1.0, 0.0)
    assert told.startswith("The watch of pods has heard nothing for 301 s")
    assert health.ailments(WELL, deaf, 120.0, 0.0) == []


def test_a_queue_that_stands_still_ails() -> None:
    """
    No look takes ten minutes.
    """
    [told] = health.ailments(WELL, WELL, 1.0, 601.0)
    assert told == "An object has been waiting for 601 s to be looked at."


async def test_the_probe_is_answered() -> None:
    """
    200 and `ok`, or 503 and what ails.
    """
    found: list[str] = []
    server = await health.serve(0, lambda: found)
    port = server.addresses[0][1]
    async with aiohttp.ClientSession() as session:
        url = f"http://127.0.0.1:{port}/healthz"
        async with session.get(url) as answer:
            assert (answer.status, await answer.text()) == (200, "ok")
        found.append("The watch of pods has been stuck for 301 s.")
        async with session.get(url) as answer:
            assert (answer.status, await answer.text()) == (503, found[0])
    await server.cleanup()
