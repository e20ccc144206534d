"""
Carries out ``modeldeploy-server follow``.

It stands beside a server in a pod whose versions change while it runs, and alone gets the secrets
of the storage; what it tells at its port changes nothing and holds no secret.
"""

import json
import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from modeldeploy_runtime import flags
from modeldeploy_runtime.fetching.command import Judge
from modeldeploy_runtime.fetching.command import Request as Fetch
from modeldeploy_runtime.fetching.version import PLATFORMS
from modeldeploy_runtime.flags import Duration, flag
from modeldeploy_runtime.following.folder import Folder
from modeldeploy_runtime.telemetry import logs

_log = logging.getLogger(__name__)

PATH = "/versions"
TALK_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Request:
    """
    The flags of ``follow``.

    ``wanted`` is the file with the list of versions, ``to`` the folder that the server watches.
    """

    uri: str
    wanted: str
    to: str
    port: int = flag(8505, "Where GET /versions tells what came of them; 0 for nowhere.", least=0)
    poll: Duration = flag(Duration(1), "How often the list is looked at.")
    platform: str = flag("", "What the files must be of.", choices=("", *PLATFORMS))
    pvc_root: str = "/pvc"
    log_format: str = "plain"


def run(arguments: Sequence[str], judge: Judge) -> int:
    """Follow the list until the process is ended."""
    request = flags.parse(arguments, Request)
    logs.set_up(request.log_format)
    root, platform = request.pvc_root, request.platform
    fetch = Fetch(request.uri, "", request.to, pvc_root=root, platform=platform)
    folder = Folder(Path(request.wanted), fetch, judge, time.monotonic)
    folder.clear()
    if request.port:
        server = listen(folder, request.port)
        threading.Thread(target=server.serve_forever, daemon=True).start()
    while True:
        try:
            folder.look()
        except Exception:  # noqa: BLE001 - a pod whose follower ends is no longer ready
            _log.exception("The folder could not be brought in step; it is tried again.")
        time.sleep(request.poll)


def listen(folder: Folder, port: int) -> ThreadingHTTPServer:
    """Tell at a port what is there; whoever talks too slowly is left."""

    class Answers(BaseHTTPRequestHandler):
        timeout = TALK_SECONDS

        def do_GET(self) -> None:
            found = self.path == PATH
            body: Any = folder.told() if found else {"error": f"There is nothing but {PATH}."}
            data = json.dumps(body).encode()
            self.send_response(200 if found else 404)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            """Say nothing: the operator asks every second."""

    return ThreadingHTTPServer(("", port), Answers)
