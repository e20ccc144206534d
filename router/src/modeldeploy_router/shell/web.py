"""
Port 8502: what the router tells about itself, read-only.
"""

import json
import logging
import socket
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import urlsplit

from modeldeploy_router.core.report import metrics_text, status_document
from modeldeploy_router.shell.haproxy import HAProxyError
from modeldeploy_router.shell.loop import Loop

log = logging.getLogger(__name__)

Answer = tuple[int, str, str]
TEXT = "text/plain; charset=utf-8"
METRICS = "text/plain; version=0.0.4; charset=utf-8"


class Web:
    """
    The HTTP server of the agent, in threads of its own.
    """

    def __init__(self, address: tuple[str, int], loop: Loop, draining: threading.Event) -> None:
        self._loop = loop
        self._draining = draining
        pages: dict[str, Callable[[], Answer]] = {
            "/healthz": self._healthz,
            "/readyz": self._readyz,
            "/status": self._status,
            "/metrics": self._metrics,
        }
        handler = type("Handler", (_Handler,), {"pages": pages})
        family = _SixServer if ":" in address[0] else _Server
        self._server = family(address, handler)

    def start(self) -> None:
        """
        Begin to answer.
        """
        threading.Thread(target=self._server.serve_forever, name="web", daemon=True).start()

    def _healthz(self) -> Answer:
        # A stopping HAProxy closes its socket first, and lives on for the requests in flight.
        if not self._draining.is_set():
            self._loop.haproxy.command("show version")
        return 200, TEXT, "ok\n"

    def _readyz(self) -> Answer:
        if self._draining.is_set():
            return 503, TEXT, "The router is draining.\n"
        if not self._loop.is_ready:
            return 503, TEXT, "No routing configuration is applied and checked yet.\n"
        return 200, TEXT, "ok\n"

    def _status(self) -> Answer:
        document = status_document(self._loop.report())
        return 200, "application/json", json.dumps(document) + "\n"

    def _metrics(self) -> Answer:
        return 200, METRICS, metrics_text(self._loop.report())


class _Handler(BaseHTTPRequestHandler):
    pages: ClassVar[dict[str, Callable[[], Answer]]]
    protocol_version = "HTTP/1.1"
    timeout = 30

    def do_GET(self) -> None:
        """
        Answer one of the pages.
        """
        page = self.pages.get(urlsplit(self.path).path, _not_found)
        try:
            status, kind, text = page()
        except HAProxyError as error:
            status, kind, text = 503, TEXT, f"{error}\n"
        content = text.encode()
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  http.server's name
        """
        Keep probes out of the log.
        """
        log.debug(format, *args)


class _Server(ThreadingHTTPServer):
    daemon_threads = True


class _SixServer(_Server):
    address_family = socket.AF_INET6


def _not_found() -> Answer:
    return 404, TEXT, "There is /status, /readyz, /healthz and /metrics.\n"
