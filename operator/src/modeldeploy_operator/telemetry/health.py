"""
Whether this process still works: the age of its watches and of its queue, not only that it answers.
"""

from collections.abc import Callable, Mapping

from aiohttp import web

LIMIT_SECONDS = 300.0
"""How old a watch's last turn may be. A healthy one turns at least every 75 seconds."""
QUEUE_LIMIT_SECONDS = 600.0
"""How long an object may wait for a look; every request of a look ends after 15 seconds."""
RECENTLY_SECONDS = 60.0


def ailments(
    turned: Mapping[str, float], fresh: Mapping[str, float], answered: float, queue: float
) -> list[str]:
    """
    Say what a new start may mend; all figures are seconds ago.

    An API server that is away is no ailment: a new start would not bring it back. A watch that
    hears nothing while other requests are answered is one.

    Args:
        turned: When each watch last tried to hear something.
        fresh: When each watch last heard something.
        answered: When the API server last answered anything.
        queue: Since when the object that waits longest has been waiting.

    """
    found = [
        f"The watch of {kind} has been stuck for {age:.0f} s."
        for kind, age in turned.items()
        if age > LIMIT_SECONDS
    ]
    if answered < RECENTLY_SECONDS:
        found += [
            f"The watch of {kind} has heard nothing for {age:.0f} s, while the API server answers."
            for kind, age in fresh.items()
            if age > LIMIT_SECONDS
        ]
    if queue > QUEUE_LIMIT_SECONDS:
        found.append(f"An object has been waiting for {queue:.0f} s to be looked at.")
    return found


async def serve(port: int, ask: Callable[[], list[str]]) -> web.AppRunner:
    """
    Answer `GET /healthz`: 200 when nothing ails, else 503 with a sentence for each ailment.
    """

    async def answer(_: web.Request) -> web.Response:
        found = ask()
        return web.Response(status=503 if found else 200, text="\n".join(found) or "ok")

    app = web.Application()
    app.router.add_get("/healthz", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "0.0.0.0", port).start()  # noqa: S104 - the kubelet asks from outside the pod
    return runner
