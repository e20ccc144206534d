"""
The embedded cluster heals from whatever happens to it, and leaves nothing behind.

A second cluster of its own is started beside the one that other tests share, with other addresses
and another state folder, so that it may be broken at will. The tests build on each other in the
order in which they stand.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from modeldeploy_devcluster import settings
from modeldeploy_devcluster.embedded import components, node, processes, rendering

pytestmark = [pytest.mark.cluster, pytest.mark.long, pytest.mark.timeout(300)]

STATE = "/var/lib/modeldeploy-lifecycle"
ENVIRON = {
    **os.environ,
    "MODELDEPLOY_CLUSTER": "embedded",
    "MODELDEPLOY_STATE": STATE,
    "MODELDEPLOY_NETWORK": "10.198",
}
KNOWN = settings.load(ENVIRON)
PROGRAMS = {name: Path() for name in ("kubernetes", "coredns", "registry")}
NAMES = [component.name for component in components.build_components(KNOWN, PROGRAMS, audit=False)]
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "idle"},
    "spec": {
        "terminationGracePeriodSeconds": 0,
        "containers": [
            {"name": "idle", "image": rendering.PAUSE_IMAGE, "imagePullPolicy": "Never"}
        ],
    },
}


def devcluster(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command on the second cluster."""
    command = [sys.executable, "-m", "modeldeploy_devcluster", *arguments]
    return subprocess.run(command, env=ENVIRON, capture_output=True, text=True, check=False)


def kubectl(*arguments: str, stdin: str = "") -> str:
    """Run kubectl on the second cluster."""
    command = [str(KNOWN.cache / "bin" / "kubectl"), f"--kubeconfig={KNOWN.kubeconfig}", *arguments]
    result = subprocess.run(command, input=stdin, capture_output=True, text=True, check=True)
    return result.stdout


def containers() -> Any:
    """Look at the one pod's container."""
    return json.loads(kubectl("get", "pod", "idle", "-o", "json"))["status"]["containerStatuses"][0]


def traces() -> dict[str, set[str]]:
    """Look for all that a cluster could leave on the machine."""
    listing = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True)
    links = {line.split()[1].partition("@")[0] for line in listing.stdout.splitlines()}
    rules = subprocess.run(["nft", "list", "ruleset"], capture_output=True, text=True, check=True)
    routes = subprocess.run(["ip", "route"], capture_output=True, text=True, check=True)
    found = {process.name for process in processes.find(KNOWN).values()}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            if STATE in command:
                found.add(command)
    return {
        "processes": found,
        "mounts": set(Path("/proc/mounts").read_text().splitlines()),
        "links": links,
        "routes": set(routes.stdout.splitlines()),
        "firewall rules": set(rules.stdout.splitlines()),
        "cgroups": {str(path) for path in Path("/sys/fs/cgroup").rglob(KNOWN.cgroup)},
        "folders": {path for path in (*node.OWN_FOLDERS, STATE, "/etc/cni") if Path(path).exists()},
        "sysctls": {(Path("/proc/sys") / name).read_text() for name in node.SHIELDED_SYSCTLS},
    }


@pytest.fixture(scope="module")
def before() -> Iterator[dict[str, set[str]]]:
    """Note the machine as it is, bring the second cluster up, and start a pod."""
    seen = traces()
    result = devcluster("up")
    assert result.returncode == 0, result.stderr
    kubectl("apply", "-f", "-", stdin=json.dumps(POD))
    kubectl("wait", "--for=condition=Ready", "pod/idle", "--timeout=60s")
    yield seen
    devcluster("down")


@pytest.mark.usefixtures("before")
def test_up_on_a_healthy_cluster_is_quick() -> None:
    """Every make target may begin with it."""
    began = time.monotonic()
    assert devcluster("up").returncode == 0
    assert time.monotonic() - began < 2


@pytest.mark.usefixtures("before")
@pytest.mark.parametrize("name", NAMES)
def test_up_heals_a_killed_component_and_pods_live_on(name: str) -> None:
    """`status` names the component that is gone, `up` brings it back, the pod notices nothing."""
    started = containers()["containerID"]
    os.kill(processes.find(KNOWN)[name].pid, signal.SIGKILL)
    status = devcluster("status")
    assert status.returncode == 1
    assert any(
        line.split()[0] == name and "not running" in line for line in status.stdout.splitlines()
    )
    assert devcluster("up").returncode == 0
    assert devcluster("status").returncode == 0
    assert containers()["containerID"] == started


@pytest.mark.usefixtures("before")
def test_up_heals_a_component_that_is_stuck() -> None:
    """A paused process holds its port and answers nobody."""
    os.kill(processes.find(KNOWN)["kube-scheduler"].pid, signal.SIGSTOP)
    assert "paused" in devcluster("status").stdout
    assert devcluster("up").returncode == 0
    assert devcluster("status").returncode == 0


@pytest.mark.usefixtures("before")
def test_a_component_can_be_taken_away_for_a_while() -> None:
    """This is the fault that tests of an absent API server use."""
    assert devcluster("stop", "kube-apiserver").returncode == 0
    assert "kube-apiserver" not in processes.find(KNOWN)
    assert devcluster("start", "kube-apiserver").returncode == 0
    assert containers()["ready"]


@pytest.mark.usefixtures("before")
def test_up_heals_the_loss_of_the_whole_node() -> None:
    """As after a reboot: every process is gone, objects and images are still there."""
    started = containers()["containerID"]
    os.kill(processes.find(KNOWN)[processes.NODE].pid, signal.SIGKILL)
    assert devcluster("up").returncode == 0
    deadline = time.monotonic() + 60
    while containers()["containerID"] == started or not containers()["ready"]:
        assert time.monotonic() < deadline, "the pod did not come back"
        time.sleep(0.5)


@pytest.mark.usefixtures("before")
def test_up_heals_the_loss_of_its_own_notes() -> None:
    """Without keys nobody can talk to the cluster, so a new one takes its place."""
    (KNOWN.pki("ca.crt")).unlink()
    assert devcluster("status").returncode == 1
    result = devcluster("up")
    assert result.returncode == 0, result.stderr


def test_down_leaves_nothing(before: dict[str, set[str]]) -> None:
    """No process, mount, interface, route, rule, cgroup, folder or changed setting."""
    assert devcluster("down").returncode == 0
    after = traces()
    assert {kind: after[kind] - before[kind] for kind in after} == {kind: set() for kind in after}
    assert devcluster("down").returncode == 0
