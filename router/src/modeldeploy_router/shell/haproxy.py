"""
HAProxy's process and its runtime socket: the only door to it.
"""

import logging
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from modeldeploy_router.core.choice import LUA_FILE
from modeldeploy_router.core.config import Content, Frame, map_text, render_config
from modeldeploy_router.core.errors import error_files
from modeldeploy_router.core.seen import Seen, parse_map, parse_table, servers_in, stat_rows

log = logging.getLogger(__name__)

TAIL_LINES = 20
SOCKET_SECONDS = 5.0
START_SECONDS = 10.0


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class HAProxyError(RuntimeError):
    """
    HAProxy did not start, did not answer, or refused a command.
    """


class HAProxy:
    """
    HAProxy's process, started by `start` and driven by its socket.

    Safe to use from several threads: each command has a connection of its own.
    `ended` is called from a thread of its own whenever a process has ended.
    """

    def __init__(self, program: str, name: str, frame: Frame, ended: Callable[[], None]) -> None:
        self._ended = ended
        self._program = program
        self._name = name
        self._frame = frame
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._process: subprocess.Popen[str] | None = None
        self.is_stopping = False
        self.started = _now()

    def start(self, listeners: Mapping[str, int], content: Content) -> None:
        """
        Write the configuration, start the process and wait until its socket answers.

        Args:
            listeners: the file descriptors of the listening sockets, by protocol.
            content: the routing map and the servers to start with.

        Raises:
            HAProxyError: if it ends, or does not answer in time.
        """
        run = Path(self._frame.run)
        run.mkdir(parents=True, exist_ok=True)
        Path(self._frame.socket).unlink(missing_ok=True)
        Path(self._frame.map_file).write_text(map_text(content.entries))
        Path(self._frame.tokens_file).write_text(map_text(content.tokens))
        certificate = Path(self._frame.certificate_file)
        certificate.touch(mode=0o600)
        certificate.write_text(content.certificate)
        shutil.copyfile(Path(__file__).parent.parent / LUA_FILE, run / LUA_FILE)
        for name, answer in error_files(self._name).items():
            (run / name).write_bytes(answer)
        config = run / "haproxy.cfg"
        config.write_text(render_config(self._frame, listeners, content))
        self.started = _now()
        try:
            self._process = subprocess.Popen(
                [self._program, "-db", "-f", str(config)],
                pass_fds=list(listeners.values()),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        except OSError as error:
            raise HAProxyError(f"HAProxy cannot be started: {error}.") from error
        arguments = (self._process,)
        threading.Thread(target=self._follow, args=arguments, name="haproxy", daemon=True).start()
        self._wait_until_it_answers()

    @property
    def status(self) -> int | None:
        """
        Return the process' exit status, None while it runs.
        """
        return self._process.poll() if self._process else None

    def stop(self) -> None:
        """
        Ask for a soft stop.

        Grace comes first, then no new connections, then the end with the last answer.
        """
        self.is_stopping = True
        self._send(signal.SIGUSR1)

    def kill(self) -> None:
        """
        End the process now.
        """
        self._send(signal.SIGKILL)

    def tail(self) -> str:
        """
        Return the last lines that it logged.
        """
        return "\n".join(self._tail)

    def command(self, text: str) -> str:
        """
        Run one line of runtime commands and return what HAProxy answers.

        Raises:
            HAProxyError: if the socket does not answer.
        """
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.settimeout(SOCKET_SECONDS)
                connection.connect(self._frame.socket)
                connection.sendall(text.encode() + b"\n")
                return b"".join(iter(lambda: connection.recv(65_536), b"")).decode()
        except OSError as error:
            raise HAProxyError(f"HAProxy's runtime socket does not answer: {error}.") from error

    def observe(self) -> Seen:
        """
        Read the servers and the routing map.
        """
        return Seen(
            servers=servers_in(stat_rows(self.command("show stat -1 4 -1"))),
            entries=parse_map(self.command(f"show map {self._frame.map_file}")),
        )

    def counters(self) -> tuple[list[dict[str, str]], dict[str, int]]:
        """
        Read the rows of `show stat` and the table of failed gRPC calls.
        """
        rows = list(stat_rows(self.command("show stat")))
        return rows, parse_table(self.command("show table grpc_failures"))

    def replace_map(self, entries: Mapping[str, str]) -> None:
        """
        Put another routing map in place of the present one, in one step for every request.

        Raises:
            HAProxyError: if HAProxy refuses it.
        """
        self._replace(self._frame.map_file, "the routing map", entries)

    def tokens(self) -> dict[str, str]:
        """
        Read the map of tokens.
        """
        return parse_map(self.command(f"show map {self._frame.tokens_file}"))

    def replace_tokens(self, entries: Mapping[str, str]) -> None:
        """
        Put another map of tokens in place of the present one, in the same way.

        Raises:
            HAProxyError: if HAProxy refuses it.
        """
        self._replace(self._frame.tokens_file, "the map of tokens", entries)

    def replace_certificate(self, text: str) -> str:
        """
        Show another certificate from the next connection on, or the old one where it is refused.

        Args:
            text: certificates and key as PEM, without an empty line.

        Returns:
            what HAProxy has against it; empty where it took it.

        Raises:
            HAProxyError: if the socket does not answer.
        """
        name = self._frame.certificate_file
        said = self.command(f"set ssl cert {name} <<\n{text}")
        answer = self.command(f"commit ssl cert {name}")
        if "Success" in answer:
            return ""
        self.command(f"abort ssl cert {name}")
        return " ".join(f"{said} {answer}".split()) or "it does not say why"

    def _replace(self, name: str, what: str, entries: Mapping[str, str]) -> None:
        answer = self.command(f"prepare map {name}")
        if "New version created:" not in answer:
            raise HAProxyError(f"HAProxy refused to prepare {what}: {answer.strip()}")
        version = answer.rpartition(":")[2].strip()
        if entries:
            self._expect_silence(f"add map @{version} {name} <<\n{map_text(entries)}")
        self._expect_silence(f"commit map @{version} {name}")

    def run(self, commands: Iterable[str]) -> None:
        """
        Run commands one after the other.

        What HAProxy says is for the log only, since the next pass looks again.
        """
        for text in commands:
            answer = " ".join(self.command(text).split())
            log.debug("%s -> %s", text, answer)

    def _expect_silence(self, text: str) -> None:
        answer = self.command(text).strip()
        if answer:
            raise HAProxyError(f"HAProxy refused `{text.splitlines()[0]}`: {answer}")

    def _send(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)

    def _follow(self, process: subprocess.Popen[str]) -> None:
        for line in process.stdout or ():
            self._tail.append(line.rstrip())
            level = logging.DEBUG if line.startswith("[NOTICE]") else logging.INFO
            log.log(level, "haproxy: %s", line.rstrip())
        process.wait()
        self._ended()

    def _wait_until_it_answers(self) -> None:
        pause = 0.02
        for _ in range(round(START_SECONDS / pause)):
            time.sleep(pause)
            if self.status is not None:
                raise HAProxyError(
                    f"HAProxy ended with status {self.status} at its start.\n{self.tail()}"
                )
            try:
                self.command("show version")
            except HAProxyError:
                continue
            return
        raise HAProxyError(f"HAProxy did not answer within {START_SECONDS:.0f} s.\n{self.tail()}")
