"""
A small Kubernetes API server for the router's tests: list and watch over HTTPS, and nothing else.

It holds objects of any kind by their collection's path, counts resource versions, keeps the
history that a watch goes on from, checks the bearer token, and can go away and come back.
"""

import json
import ssl
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

Item = dict[str, Any]


class Store:
    """
    The objects and their history, guarded by one condition.
    """

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.version = 100
        self.oldest = 0
        self.objects: dict[tuple[str, str], Item] = {}
        self.history: list[tuple[int, str, str, Item]] = []

    def put(self, path: str, item: Item) -> None:
        """
        Create or replace an object.
        """
        with self.changed:
            key = (path, item["metadata"]["name"])
            kind = "MODIFIED" if key in self.objects else "ADDED"
            self._record(kind, path, item)
            self.objects[key] = item

    def delete(self, path: str, name: str) -> None:
        """
        Delete an object.
        """
        with self.changed:
            self._record("DELETED", path, self.objects.pop((path, name)))

    def forget_history(self) -> None:
        """
        Make every present resource version too old to watch from.
        """
        with self.changed:
            self.version += 1
            self.oldest = self.version
            self.history.clear()
            self.changed.notify_all()

    def _record(self, kind: str, path: str, item: Item) -> None:
        self.version += 1
        item["metadata"]["resourceVersion"] = str(self.version)
        self.history.append((self.version, kind, path, json.loads(json.dumps(item))))
        self.changed.notify_all()


class KubeAPI:
    """
    The server; `start` and `stop` may be called again and again, the store stays.
    """

    def __init__(self, folder: Path, address: str) -> None:
        self.store = Store()
        self.address = address
        self.port = 0
        self.token = ""
        self.requests: list[str] = []
        self.account = folder / "account"
        self.account.mkdir()
        self._certify()
        self.write_token("the first")
        self._server: _Server | None = None

    def write_token(self, token: str) -> None:
        """
        Rotate the token: the file for the client, and what the server accepts from now on.
        """
        (self.account / "token").write_text(token)
        self.token = token

    def start(self) -> None:
        """
        Begin to answer, at the same address as before.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.account / "ca.crt", self.account / "key.pem")
        self._server = _Server((self.address, self.port), _Handler)
        self._server.api = self
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """
        Stop answering and break off every watch.
        """
        if self._server is not None:
            self._server.gone.set()
            with self.store.changed:
                self.store.changed.notify_all()
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def _certify(self) -> None:
        command = [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
        ]
        command += ["-nodes", "-subj", "/CN=test", "-addext", f"subjectAltName=IP:{self.address}"]
        command += ["-keyout", str(self.account / "key.pem"), "-out", str(self.account / "ca.crt")]
        subprocess.run(command, check=True, capture_output=True)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    api: KubeAPI

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.gone = threading.Event()

    def handle_error(self, *_: Any) -> None:
        """
        Say nothing of clients that went away.
        """


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        """
        Answer a list or a watch.
        """
        api = self.server.api
        url = urlsplit(self.path)
        asked = {key: values[0] for key, values in parse_qs(url.query).items()}
        api.requests.append(self.path)
        if self.headers["Authorization"] != f"Bearer {api.token}":
            self._say(401, {"kind": "Status", "message": "Unauthorized"})
        elif asked.get("watch"):
            self._watch(url.path, asked)
        else:
            with api.store.changed:
                items = [
                    o for (p, _), o in api.store.objects.items() if _matches(p, o, url.path, asked)
                ]
                self._say(
                    200, {"metadata": {"resourceVersion": str(api.store.version)}, "items": items}
                )

    def _watch(self, path: str, asked: dict[str, str]) -> None:
        store = self.server.api.store
        version = int(asked["resourceVersion"])
        self.close_connection = True
        self.send_response(200)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        self.wfile.flush()
        end = time.monotonic() + float(asked["timeoutSeconds"])
        while not self.server.gone.is_set() and time.monotonic() < end:
            with store.changed:
                if version < store.oldest:
                    self._event("ERROR", {"kind": "Status", "code": 410, "message": "too old"})
                    break
                news = [event for event in store.history if event[0] > version]
                if not news:
                    store.changed.wait(1)
            for number, kind, where, item in news:
                version = number
                if _matches(where, item, path, asked):
                    self._event(kind, item)
        if not self.server.gone.is_set():
            self.wfile.write(b"0\r\n\r\n")

    def _event(self, kind: str, item: Item) -> None:
        line = json.dumps({"type": kind, "object": item}).encode() + b"\n"
        self.wfile.write(f"{len(line):x}\r\n".encode() + line + b"\r\n")
        self.wfile.flush()

    def _say(self, status: int, document: Item) -> None:
        content = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """
        Keep quiet.
        """


def _matches(path: str, item: Item, wanted: str, asked: dict[str, str]) -> bool:
    """
    Return whether an object is in the collection and selected by one field or one label.
    """
    if path != wanted:
        return False
    field = asked.get("fieldSelector")
    if field and field != f"metadata.name={item['metadata']['name']}":
        return False
    label, _, value = asked.get("labelSelector", "").partition("=")
    return not label or item["metadata"].get("labels", {}).get(label) == value
