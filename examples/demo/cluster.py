"""
The demo's hands: every command that it runs, each of which a person could type.
"""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
DEVCLUSTER = str(Path(sys.executable).with_name("devcluster"))
NAMESPACE, SYSTEM = "digits", "modeldeploy-system"
IMAGES = ("runtime", "operator", "router", "s3")
_started = time.monotonic()


class DemoError(Exception):
    """
    A command failed; the message holds its error.
    """


def say(sentence: str) -> None:
    """
    Tell what happens, with the time since the start.
    """
    print(f"[{time.monotonic() - _started:5.0f} s] {sentence}", flush=True)


def run(*command: str, stdin: str | None = None, show: bool = False) -> str:
    """
    Run a command and return what it printed; with `show` its progress goes to the terminal.

    Raises:
        DemoError: It failed.

    """
    done = subprocess.run(
        command,
        input=stdin,
        stdout=subprocess.PIPE,
        stderr=None if show else subprocess.PIPE,
        text=True,
        check=False,
        cwd=ROOT,
    )
    if done.returncode:
        told = (done.stderr or done.stdout or "").strip()
        raise DemoError(f"{Path(command[0]).name} {' '.join(command[1:4])} failed: {told[-2000:]}")
    return done.stdout


def python(*command: str) -> str:
    """
    Run one of the examples' programs.
    """
    return run(sys.executable, *command)


def kubectl(*command: str, stdin: str | None = None) -> str:
    """
    Run kubectl in the demo's namespace.
    """
    return run("kubectl", f"--namespace={NAMESPACE}", *command, stdin=stdin)


def up() -> None:
    """
    Bring the cluster up: kind where a Docker engine answers, the embedded one elsewhere.
    """
    say(
        "Bringing a cluster up; on a new machine its programs are built first, which takes minutes."
    )
    command = [DEVCLUSTER, "up"]
    done = subprocess.run(command, check=False, cwd=ROOT)
    if done.returncode:
        raise DemoError("the cluster did not come up; its reason stands above.")
    os.environ["KUBECONFIG"] = run(DEVCLUSTER, "kubeconfig").strip()
    programs = run(DEVCLUSTER, "path", show=True).strip().splitlines()[-1]
    os.environ["PATH"] = f"{programs}{os.pathsep}{os.environ['PATH']}"


def images() -> dict[str, str]:
    """
    Build the images, unless they are current, and return their references by name.
    """
    say("Building the images; what is current is not built again.")
    printed = run(DEVCLUSTER, "images", *IMAGES, show=True)
    pairs = [line.split() for line in printed.splitlines()]
    return {pair[0]: pair[1] for pair in pairs if len(pair) == 2 and pair[0] in IMAGES}


def install(references: dict[str, str]) -> None:
    """
    Install the chart with Helm, the way users do.
    """
    say("Installing the chart with Helm.")
    registry = references["operator"].rpartition("/")[0]
    tags = [f"images.tags.{n}={references[n].rpartition(':')[2]}" for n in IMAGES if n != "s3"]
    settings = ",".join([f"images.registry={registry}", *tags])
    run("kubectl", "apply", "--server-side", "--force-conflicts", "-f", "crds")
    run(
        *("helm", "upgrade", "--install", "modeldeploy", "charts/modeldeploy"),
        *("--namespace", SYSTEM, "--create-namespace", "--set", settings),
        *("--wait", "--timeout", "180s"),
    )
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    kubectl("apply", "-f", "-", stdin=json.dumps(namespace))


@contextlib.contextmanager
def forward(target: str, *ports: str) -> Iterator[None]:
    """
    Forward local ports into the cluster, which works in every kind of cluster.
    """
    command = ["kubectl", f"--namespace={NAMESPACE}", "port-forward", target, *ports]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        try:
            for port in ports:
                _await_port(int(port.split(":")[0]), process)
            yield
        finally:
            process.terminate()


def _await_port(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.1)
    raise DemoError(f"port {port} of this machine could not be forwarded; is it taken?")
