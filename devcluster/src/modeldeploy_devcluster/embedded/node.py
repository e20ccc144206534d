"""
The node: namespaces of its own for network, mounts and processes, and a cgroup.

Its first process is catatonit, which does nothing but reap. Everything of the cluster runs
behind it, so when it is killed the kernel ends every process, mount, address and rule with it,
whatever state they were in. What is left to undo by hand is the link, the cgroup and a few empty
folders that served as mount points.
"""

import contextlib
import ipaddress
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

from modeldeploy_devcluster.embedded import processes
from modeldeploy_devcluster.settings import DevclusterError, Settings

# Folders whose paths are fixed in containerd, libcni and the kubelet; the node has its own.
OWN_FOLDERS = ("/run/containerd", "/var/lib/cni", "/var/lib/kubelet", "/var/log/containers")
# Without these the kubelet does not take the machine's systemd for its own.
HIDDEN_FOLDERS = ("/run/systemd", "/run/dbus")
# The kubelet sets these for the whole machine; in the node it writes into plain files instead.
SHIELDED_SYSCTLS = (
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
)


def enter(pid: int, *argv: str) -> list[str]:
    """Build the command that runs a program inside the node."""
    return ["nsenter", f"--target={pid}", "--mount", "--net", "--pid", "--", *argv]


def name_of(settings: Settings) -> str:
    """Name a node's first process, as `status` and `stop` know it."""
    return processes.NODE if settings.number == 1 else f"{processes.NODE}{settings.number}"


def start(settings: Settings) -> processes.Running:
    """Make the namespaces, the link and the cgroup, after clearing what a crash left."""
    clear(settings)
    _refuse_taken_network(settings)
    node = make(settings)
    _connect(settings, node.pid)
    mark_complete(settings)
    return node


def make(settings: Settings) -> processes.Running:
    """Make a node's cgroup and its namespaces, without a link to anywhere yet."""
    # Of containers that are gone, containerd's and the network's notes would only mislead.
    for stale in (settings.run, settings.data("addresses")):
        shutil.rmtree(stale, ignore_errors=True)
    settings.run.mkdir(parents=True)
    _make_cgroups(settings)
    unshare = ["unshare", "--mount", "--net", "--pid", "--fork", "--mount-proc"]
    argv = [*unshare, "--propagation=slave", "--", "catatonit", "-P"]
    node = processes.start(settings, name_of(settings), "1", argv)
    _mount_own_folders(settings, node.pid)
    return node


def find_whole(settings: Settings) -> processes.Running | None:
    """Find the first node if nothing of it is missing, be it never made or taken away since."""
    node = processes.find(settings).get(processes.NODE)
    linked = Path(f"/sys/class/net/{settings.link}").exists()
    whole = node and node.works and linked and is_complete(settings)
    return node if whole else None


def clear(settings: Settings) -> None:
    """End both nodes and undo what the kernel does not undo by itself; safe to repeat."""
    for number in (2, 1):
        clear_processes(settings.node(number))
    _remove_link(Path(f"/sys/class/net/{settings.link}"))
    for number in (2, 1):
        remove_cgroups(settings.node(number))
    _remove_mount_points(settings)


def _remove_link(link: Path) -> None:
    """Delete a network link; the kernel may do so at the same moment, as its namespace has gone."""
    try:
        if link.exists():
            run("ip", "link", "delete", link.name)
    except DevclusterError:
        if link.exists():
            raise


def clear_processes(settings: Settings) -> None:
    """End a node's first process, and with it all the others of the node."""
    node = processes.find(settings).get(name_of(settings))
    if node:
        processes.stop(node, grace=0)
        deadline = time.monotonic() + 3
        while Path(f"/proc/{node.pid}").exists() and time.monotonic() < deadline:
            time.sleep(0.05)  # until the machine's init has taken note


def remove_cgroups(settings: Settings) -> None:
    """Remove the cgroups of a node's pods."""
    for root in _cgroup_roots("cgroup", "cgroup2"):
        _remove_cgroup(root / settings.cgroup)


def is_complete(settings: Settings) -> bool:
    """Whether the node was made to the end."""
    return (settings.run / "node-complete").exists()


def mark_complete(settings: Settings) -> None:
    """Note that the node was made to the end."""
    (settings.run / "node-complete").touch()


def overlapping(routes: Iterable[str], network: str) -> str | None:
    """
    Find a route that the cluster's addresses would collide with.

    >>> overlapping(["default", "10.0.0.0/24", "10.197.3.0/24"], "10.197.0.0/16")
    '10.197.3.0/24'
    """
    ours = ipaddress.ip_network(network)
    for route in routes:
        if route != "default" and ipaddress.ip_network(route, strict=False).overlaps(ours):
            return route
    return None


def _refuse_taken_network(settings: Settings) -> None:
    """Stop before an address is given twice."""
    answer = subprocess.run(["ip", "-j", "-4", "route"], capture_output=True, check=True).stdout
    routes = [route["dst"] for route in json.loads(answer or b"[]")]
    taken = overlapping(routes, f"{settings.network}.0.0/16")
    if taken:
        raise DevclusterError(
            f"This machine already has a route to {taken}, which the cluster would use; "
            f"set MODELDEPLOY_NETWORK to two free numbers such as 10.198."
        )


def _mount_own_folders(settings: Settings, pid: int) -> None:
    """Give the node its own version of paths that are fixed in other people's programs."""
    for path in OWN_FOLDERS:
        _make_mount_point(settings, Path(path))
    present = [path for path in HIDDEN_FOLDERS if Path(path).is_dir()]
    for path in (*OWN_FOLDERS, *present):
        source = settings.run / "own" / path.strip("/").replace("/", "-")
        source.mkdir(parents=True)
        run(*enter(pid, "mount", "--bind", str(source), path))
    for name in SHIELDED_SYSCTLS:
        original = Path("/proc/sys") / name
        copy = settings.run / "own" / name.replace("/", "-")
        copy.write_text(original.read_text())
        run(*enter(pid, "mount", "--bind", str(copy), str(original)))


def _make_mount_point(settings: Settings, path: Path) -> None:
    """Make a folder where there is none, and note it so that it can be removed again."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    if missing:
        with (settings.state / "mount-points").open("a") as notes:
            notes.writelines(f"{folder}\n" for folder in missing)
        path.mkdir(parents=True)


def _remove_mount_points(settings: Settings) -> None:
    """Remove the empty folders that were made as mount points."""
    notes = settings.state / "mount-points"
    if not notes.exists():
        return
    for line in sorted(set(notes.read_text().splitlines()), reverse=True):
        try:
            Path(line).rmdir()
        except OSError:
            continue  # somebody uses it by now, so it is no longer ours
    notes.unlink()


def _connect(settings: Settings, pid: int) -> None:
    """Link the node to the machine, and lead pod and Service addresses through it."""
    ends = ("type", "veth", "peer", "name", "eth0", "netns", str(pid))
    run("ip", "link", "add", settings.link, *ends)
    run("ip", "address", "add", f"{settings.host_ip}/30", "dev", settings.link)
    run("ip", "link", "set", settings.link, "up")
    run(*enter(pid, "ip", "link", "set", "lo", "up"))
    run(*enter(pid, "ip", "address", "add", f"{settings.node_ip}/30", "dev", "eth0"))
    run(*enter(pid, "ip", "link", "set", "eth0", "up"))
    run(*enter(pid, "tee", "/proc/sys/net/ipv4/ip_forward"), stdin="1")
    for cidr in (settings.pod_cidr, settings.service_cidr):
        run("ip", "route", "add", cidr, "via", settings.node_ip)


def _cgroup_roots(*kinds: str) -> list[Path]:
    """List where cgroups of a kind are mounted: `cgroup` is version 1, `cgroup2` version 2."""
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    return [Path(mount[1]) for mount in mounts if mount[2] in kinds]


def _make_cgroups(settings: Settings) -> None:
    """Make the cgroup under which the kubelet keeps all pods."""
    roots = _cgroup_roots("cgroup")
    if not roots:
        root = Path("/sys/fs/cgroup")
        for controller in (root / "cgroup.controllers").read_text().split():
            with contextlib.suppress(OSError):  # the kubelet will name those that it needs
                (root / "cgroup.subtree_control").write_text(f"+{controller}")
        (root / settings.cgroup).mkdir(exist_ok=True)
    for root in roots:
        (root / settings.cgroup).mkdir(exist_ok=True)
        for name in ("cpuset.cpus", "cpuset.mems"):
            if (root / name).exists():
                (root / settings.cgroup / name).write_text((root / name).read_text())


def _remove_cgroup(folder: Path) -> None:
    """Remove a cgroup and those below it, once the kernel has seen its processes end."""
    deadline = time.monotonic() + 10
    while folder.is_dir():
        for path, _, _ in os.walk(folder, topdown=False):
            try:
                Path(path).rmdir()
            except OSError as error:
                if time.monotonic() > deadline:
                    raise DevclusterError(
                        f"The cgroup {path} cannot be removed: {error}."
                    ) from error
        time.sleep(0.02)


def succeeds(*argv: str) -> bool:
    """Run a command that may fail; say whether it did not."""
    return subprocess.run(argv, capture_output=True, check=False).returncode == 0


def run(*argv: str, stdin: str = "") -> None:
    """Run a command, and pass on what it says when it fails."""
    result = subprocess.run(argv, input=stdin, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise DevclusterError(f"`{' '.join(argv)}` failed: {result.stderr.strip()}")
