"""
Starts, finds and stops the processes of the cluster.

There are no pid files that could be stale. Every process is started with a mark in its
environment, and /proc is asked who bears it, so what is found is what runs, also after a crash, a
reboot or a lost state folder. Signals go through pidfds, hence never to a later user of a pid.
"""

import os
import select
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from modeldeploy_devcluster.packages import SEARCH_PATH
from modeldeploy_devcluster.settings import DevclusterError, Settings

NODE = "node"
MARK = "MODELDEPLOY_DEVCLUSTER_PROCESS"
_LOG_LIMIT = 50_000_000


@dataclass(frozen=True, slots=True)
class Running:
    """
    A process of the cluster, as /proc shows it.

    Attributes:
        name: The component's name, or `node` and `node2` for the first process of a node.
        fingerprint: The hash of what it was started with.
        state: The kernel's letter: S, R or D is alive; T is paused; Z and X are dead.
    """

    name: str
    fingerprint: str
    pid: int
    state: str
    uptime: float

    @property
    def works(self) -> bool:
        """Whether the process gets to run at all."""
        return self.state not in "TtZX"

    @property
    def age(self) -> str:
        """How long it runs, as people read it."""
        minutes, rest = divmod(int(self.uptime), 60)
        hours, minutes = divmod(minutes, 60)
        return f"{hours}h{minutes:02}m" if hours else f"{minutes}m{rest:02}s"


def build_mark(settings: Settings, name: str, fingerprint: str) -> str:
    """Build the mark that a process bears in its environment."""
    return f"{settings.state}|{name}|{fingerprint}"


def find(settings: Settings) -> dict[str, Running]:
    """Look through /proc for the processes of this cluster."""
    found: dict[str, Running] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            running = _read(settings, entry)
            if running and (
                running.name not in found or running.uptime > found[running.name].uptime
            ):
                found[running.name] = running
    return found


def start(settings: Settings, name: str, fingerprint: str, argv: Sequence[str]) -> Running:
    """Start a process that outlives this command, and wait until its program has taken over."""
    log = settings.log(name)
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists() and log.stat().st_size > _LOG_LIMIT:
        log.replace(log.with_suffix(".log.1"))
    environ = {
        "PATH": SEARCH_PATH,
        "HOME": str(settings.state),
        "OTEL_TRACES_EXPORTER": "none",
        MARK: build_mark(settings, name, fingerprint),
    }
    with log.open("ab") as output:
        launcher = subprocess.Popen(
            argv,
            cwd="/",
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    while launcher.poll() is None:
        running = find(settings).get(name)
        if running:
            # nsenter and unshare only wait from here on; without them the process belongs to
            # the first process of its namespace, which reaps it.
            launcher.kill()
            launcher.wait()
            return running
        time.sleep(0.01)
    raise DevclusterError(describe_death(settings, name))


def stop(running: Running, grace: float = 3) -> None:
    """End a process: politely, and by force when it has not gone after `grace` seconds."""
    try:
        handle = os.pidfd_open(running.pid)
    except ProcessLookupError:
        return
    try:
        if _fields(Path(f"/proc/{running.pid}")) is None:
            return
        if grace > 0 and running.works:
            signal.pidfd_send_signal(handle, signal.SIGTERM)
            if select.select([handle], [], [], grace)[0]:
                return
        signal.pidfd_send_signal(handle, signal.SIGKILL)
        select.select([handle], [], [], 30)
    except ProcessLookupError:
        return
    finally:
        os.close(handle)


def describe_death(settings: Settings, name: str) -> str:
    """Say which component died, with the tail of its log."""
    return f"{name} died; its log {settings.log(name)} ends:\n{tail(settings, name)}"


def tail(settings: Settings, name: str, lines: int = 12) -> str:
    """Read the last lines of a component's log."""
    try:
        with settings.log(name).open("rb") as log:
            log.seek(max(0, settings.log(name).stat().st_size - 200 * 1024))
            text = log.read().decode(errors="replace")
    except FileNotFoundError:
        return "(no log)"
    return "\n".join(text.splitlines()[-lines:])


def _read(settings: Settings, entry: Path) -> Running | None:
    """Read one process of /proc, if it is one of ours."""
    try:
        marks = [
            value.decode(errors="replace")
            for value in (entry / "environ").read_bytes().split(b"\0")
            if value.startswith(f"{MARK}={settings.state}|".encode())
        ]
        program = (entry / "cmdline").read_bytes().split(b"\0")[0].decode(errors="replace")
    except OSError:
        return None
    fields = _fields(entry)
    if not marks or fields is None:
        return None
    _, name, fingerprint = marks[0].rsplit("|", 2)
    # Children inherit the environment; only the program itself is the component.
    if Path(program).name != ("catatonit" if name.startswith(NODE) else name.partition("@")[0]):
        return None
    state, started = fields
    uptime = float(Path("/proc/uptime").read_text().split()[0]) - started
    return Running(name, fingerprint, int(entry.name), state, uptime)


def _fields(entry: Path) -> tuple[str, float] | None:
    """Read a process's state and the time, in seconds after boot, at which it started."""
    try:
        fields = (entry / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return fields[0], int(fields[19]) / os.sysconf("SC_CLK_TCK")
