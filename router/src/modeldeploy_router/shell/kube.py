"""
As little of the Kubernetes API as a router needs: list and watch, with the pod's account.
"""

import http.client
import json
import logging
import random
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

log = logging.getLogger(__name__)

Objects = dict[str, dict[str, Any]]

WATCH_SECONDS = (240, 300)
ANSWER_SECONDS = 10.0
FIRST_PAUSE = 0.25
LONGEST_PAUSE = 5.0
# An API server that came back with another history may never answer a watch from a version of the
# old one.
FAILURES_BEFORE_LIST = 3


class Expired(Exception):  # noqa: N818  it is no error: the server says "list again"
    """
    The resource version is too old to go on from (410 Gone).
    """


class APIError(RuntimeError):
    """
    The API server refused a request.
    """


@dataclass(frozen=True, slots=True)
class API:
    """
    Where the API server is, and the folder of the service account.

    The folder holds `token`, which rotates, and `ca.crt`.
    """

    host: str
    port: int
    account: Path

    @contextmanager
    def get(self, path: str, parameters: dict[str, str]) -> Iterator[http.client.HTTPResponse]:
        """
        Send a GET request and give the response, whose body is still to be read.

        Raises:
            Expired: if the server answers 410.
            APIError: if it answers anything else but 200.
            OSError: if it cannot be reached.
        """
        context = ssl.create_default_context(cafile=str(self.account / "ca.crt"))
        connection = http.client.HTTPSConnection(
            self.host, self.port, timeout=ANSWER_SECONDS, context=context
        )
        with closing(connection):
            connection.connect()
            _notice_a_lost_peer(connection.sock)
            token = (self.account / "token").read_text().strip()
            headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
            connection.request("GET", f"{path}?{urlencode(parameters)}", headers=headers)
            # A watch is silent for as long as nothing happens; keep-alive probes find a peer that
            # is gone.
            held = connection.sock
            with connection.getresponse() as response:
                _check(response, path)
                held.settimeout(WATCH_SECONDS[1] + ANSWER_SECONDS)
                yield response


def _check(response: http.client.HTTPResponse, path: str) -> None:
    if response.status == http.client.GONE:
        raise Expired
    if response.status != http.client.OK:
        said = response.read(500).decode(errors="replace")
        raise APIError(f"The API server answered {response.status} to {path}: {said}")


def _notice_a_lost_peer(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 5)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 2)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)


class Watch:
    """
    Keeps the present objects of one selection, in a thread of its own.

    `changed` is called from that thread with all objects by name, after the list and after every
    change.
    While the API server is away nothing is called: what was known stays.
    """

    def __init__(
        self, api: API, path: str, selector: dict[str, str], changed: Callable[[Objects], None]
    ) -> None:
        self._api = api
        self._path = path
        self._selector = selector
        self._changed = changed
        self._objects: Objects = {}
        self._version = ""
        self._failures = 0

    def start(self, stopped: threading.Event) -> None:
        """
        Start the thread; it ends after `stopped` is set, with the process at the latest.
        """
        threading.Thread(target=self._run, args=(stopped,), name=self._path, daemon=True).start()

    def _run(self, stopped: threading.Event) -> None:
        while not stopped.is_set():
            try:
                if not self._version:
                    self._list()
                self._follow()
                stopped.wait(pause_before(1))
            except Expired:
                log.info("The watch of %s has expired; listing again.", self._path)
                self._version = ""
            except (OSError, APIError, http.client.HTTPException, ValueError, KeyError) as error:
                self._failures += 1
                if self._failures >= FAILURES_BEFORE_LIST:
                    self._version = ""
                pause = pause_before(self._failures)
                log.warning("Watching %s: %s Trying again in %.1f s.", self._path, error, pause)
                stopped.wait(pause)

    def _list(self) -> None:
        with self._api.get(self._path, self._selector) as response:
            document = json.load(response)
        self._objects = {item["metadata"]["name"]: item for item in document["items"]}
        self._version = document["metadata"]["resourceVersion"]
        self._failures = 0
        self._changed(dict(self._objects))

    def _follow(self) -> None:
        parameters = self._selector | {
            "watch": "1",
            "resourceVersion": self._version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(random.randint(*WATCH_SECONDS)),  # noqa: S311  spreads the load
        }
        with self._api.get(self._path, parameters) as response:
            for event in _events(response):
                self._apply(event)

    def _apply(self, event: dict[str, Any]) -> None:
        kind, item = event["type"], event["object"]
        if kind == "ERROR":
            if item.get("code") == http.client.GONE:
                raise Expired
            raise APIError(f"The API server ended the watch: {item.get('message')}")
        self._version = item["metadata"]["resourceVersion"]
        self._failures = 0
        if kind == "BOOKMARK":
            return
        name = item["metadata"]["name"]
        if kind == "DELETED":
            self._objects.pop(name, None)
        else:
            self._objects[name] = item
        self._changed(dict(self._objects))


def pause_before(attempt: int) -> float:
    """
    Return how long to wait before an attempt.

    It grows up to a limit, and is never the same for two routers.
    """
    longest = min(FIRST_PAUSE * 2.0 ** min(attempt - 1, 10), LONGEST_PAUSE)
    return longest * random.uniform(0.5, 1.0)  # noqa: S311  spreads the load


def _events(response: http.client.HTTPResponse) -> Iterator[dict[str, Any]]:
    while line := response.readline():
        if line.strip():
            yield json.loads(line)
