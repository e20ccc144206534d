"""Carries out ``modeldeploy-server watch``."""

import http.server
import logging
import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from modeldeploy_runtime import flags
from modeldeploy_runtime.fetching import uris
from modeldeploy_runtime.fetching.errors import FetchError
from modeldeploy_runtime.flags import Duration, flag
from modeldeploy_runtime.sources.cache import VersionCache
from modeldeploy_runtime.sources.places import LocalPlace, Place, RemotePlace
from modeldeploy_runtime.telemetry import logs
from modeldeploy_runtime.watching.findings import NAMES, Finder, Findings

HANGS_AFTER = 600.0
"""A look that takes longer than this many seconds will not end by itself."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Request:
    """The flags of ``watch``."""

    uri: str
    poll_interval: Duration = flag(Duration(60), "Between two looks.", least=0.1)
    settle_period: Duration = flag(Duration(10), "How long files must stay the same.", least=0)
    port: int = 8504
    version_names: str = flag("numbers", "Which folders are versions.", choices=tuple(NAMES))
    pvc_root: str = "/pvc"
    log_format: str = "plain"


class _State:
    """What the looking thread leaves for those that answer."""

    def __init__(self) -> None:
        self.findings = Findings()
        self.began = time.monotonic()
        self.waits = 0.0

    @property
    def hangs(self) -> bool:
        """Whether the look that is under way takes too long."""
        return time.monotonic() - self.began > HANGS_AFTER + self.waits


def run(arguments: Sequence[str]) -> int:
    """Watch what the command line names, for ever; return a status if that is not possible."""
    request = flags.parse(arguments, Request)
    logs.set_up(request.log_format)
    try:
        place = _place(request)
    except FetchError as error:
        _log.error("%s", error)
        return 2
    state = _State()
    try:
        server = _Server(("", request.port), _handler(state))
    except OSError as error:
        _log.error("The port %d cannot be used: %s", request.port, error)
        return 1
    threading.Thread(target=server.serve_forever, name="http", daemon=True).start()
    finder = Finder(place, request.settle_period, time.monotonic, NAMES[request.version_names])
    while True:
        _look(finder, state)
        state.waits = finder.wait(request.poll_interval)
        time.sleep(state.waits)


def _look(finder: Finder, state: _State) -> None:
    before, state.began, state.waits = state.findings, time.monotonic(), 0.0
    state.findings = finder.look()
    if state.findings.message and state.findings.message != before.message:
        _log.warning("%s", state.findings.message)
    if state.findings != before:
        _log.info("%s", state.findings.to_json())


def _place(request: Request) -> Place:
    location = uris.parse(request.uri, request.pvc_root)
    if location.protocol == "file":
        return LocalPlace(Path(location.path), saved_model=True)
    return RemotePlace("", location, VersionCache(), saved_model=True)


class _Server(http.server.ThreadingHTTPServer):
    """Answers over IPv4, and over IPv6 where there is any."""

    address_family = socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET
    daemon_threads = True

    def server_bind(self) -> None:
        """Bind to both at once."""
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()


def _handler(state: _State) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        """Answers ``GET /findings`` and ``GET /healthz``."""

        # A client that says nothing holds a thread no longer than this many seconds.
        timeout = 10

        def do_GET(self) -> None:
            """Answer."""
            if self.path == "/findings":
                self._answer(200, state.findings.to_json())
            elif self.path == "/healthz":
                self._answer(503 if state.hangs else 200, "{}")
            else:
                self._answer(404, '{"error": "There are /findings and /healthz."}')

        def _answer(self, status: int, text: str) -> None:
            body = text.encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing: the operator asks often."""

    return Handler
