"""
HTTP by hand, over a plain socket: what well-behaved clients never send.
"""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

SECONDS = 20.0


class RawConnection:
    """
    One connection, whose answers are read one by one.
    """

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), SECONDS)
        self._buffer = b""

    def send(self, data: bytes) -> None:
        """
        Send bytes.
        """
        self.socket.sendall(data)

    def receive(self) -> tuple[int, bytes]:
        """
        Read one answer: its status and its body; status 0 means that the server has closed.
        """
        while b"\r\n\r\n" not in self._buffer:
            if not self._more():
                return 0, self._buffer
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        headers = dict(line.lower().split(b": ", 1) for line in lines[1:])
        status = int(lines[0].split(b" ")[1])
        length = int(headers.get(b"content-length", 0))
        while len(self._buffer) < length:
            if not self._more():
                return 0, self._buffer
        body, self._buffer = self._buffer[:length], self._buffer[length:]
        return status, body

    def is_closed(self) -> bool:
        """
        Wait until the server closes, and tell whether it did so without another word.
        """
        while self._more():
            pass
        return not self._buffer

    def _more(self) -> bool:
        try:
            data = self.socket.recv(65536)
        except ConnectionResetError:
            data = b""
        self._buffer += data
        return bool(data)


@contextmanager
def connected(port: int) -> Iterator[RawConnection]:
    """
    Connect while the block runs.
    """
    connection = RawConnection(port)
    try:
        yield connection
    finally:
        connection.socket.close()


def post(path: str, body: bytes, *headers: str) -> bytes:
    """
    Write a POST request.
    """
    lines = [f"POST {path} HTTP/1.1", "Host: test", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body
