"""
Serves pages that tests write: a GET answers the next value that was put there, the last one again.

    python pages.py PORT

Only GETs need the token `open-sesame`; a page that nobody wrote has the value 0.
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOKEN = "open-sesame"  # noqa: S105 - for a page of a test
VALUES: dict[str, list[float]] = {}
ASKED: dict[str, int] = {}


class Pages(BaseHTTPRequestHandler):
    """
    All the pages; `PUT /NAME` takes a list of values, and `POST /NAME` tells how often it was read.
    """

    def do_GET(self) -> None:
        """
        Answer the next value of a page.
        """
        if self.headers.get("authorization") != f"Bearer {TOKEN}":
            self._answer(401, {"error": "no token"})
            return
        ASKED[self.path] = ASKED.get(self.path, 0) + 1
        values = VALUES.get(self.path, [0.0])
        value = values.pop(0) if len(values) > 1 else values[0]
        self._answer(200, {"quality": [{"complaints": value}]})

    def do_PUT(self) -> None:
        """
        Write a page.
        """
        VALUES[self.path] = json.loads(self.rfile.read(int(self.headers["content-length"])))
        ASKED[self.path] = 0
        self._answer(200, {})

    def do_POST(self) -> None:
        """
        Tell how often a page was read.
        """
        self._answer(200, {"asked": ASKED.get(self.path, 0)})

    def log_message(self, *_: object) -> None:
        """
        Say nothing of each request.
        """

    def _answer(self, status: int, answer: dict[str, object]) -> None:
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    ThreadingHTTPServer(("", int(sys.argv[1])), Pages).serve_forever()
