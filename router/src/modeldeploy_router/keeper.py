"""
The keeper: a second container of the router's pod that holds the listening sockets, and no more.

While it holds them the kernel goes on completing connections, so that clients of a router that was
killed wait for its next life instead of being refused.  It never reads from them.
"""

import os
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

TAKE = b"take"
KEEP = b"keep"
MOST_SOCKETS = 8


def main() -> None:
    """
    Serve one agent after the other until SIGTERM.
    """
    path = Path(os.environ["MODELDEPLOY_KEEPER"])
    path.unlink(missing_ok=True)
    # The first process of a container ignores what it has no handler for.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    held: list[int] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as door:
        door.bind(str(path))
        door.listen()
        while True:
            agent, _ = door.accept()
            with agent:
                held = serve(agent, held)


def serve(agent: socket.socket, held: list[int]) -> list[int]:
    """
    Serve an agent until it hangs up, and return the sockets that are held then.

    `take` is answered with the number of sockets and the sockets; `keep` brings those to hold.
    """
    while True:
        message, sockets, _, _ = socket.recv_fds(agent, len(KEEP), MOST_SOCKETS)
        if message == TAKE:
            send(agent, str(len(held)).encode(), held)
        elif message == KEEP:
            for number in held:
                os.close(number)
            held = sockets
        else:
            return held


def send(other: socket.socket, message: bytes, sockets: Sequence[int]) -> None:
    """
    Send a message with sockets, or without any.
    """
    if sockets:
        socket.send_fds(other, [message], list(sockets))
    else:
        other.send(message)


if __name__ == "__main__":
    main()
