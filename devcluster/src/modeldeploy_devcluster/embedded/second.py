"""
The second node: linked to the first one, and lost in the way in which machines are lost.

Both nodes are on this machine. The second one has namespaces, a containerd, a kubelet and a
kube-proxy of its own; a link leads from it to the first node, and no other way out.
"""

import shutil
from pathlib import Path

from modeldeploy_devcluster.embedded import node, processes
from modeldeploy_devcluster.settings import Settings

_UPLINK = "node2"
"""What the first node calls its end of the link."""


def ensure(settings: Settings, first: int) -> processes.Running:
    """Find the second node whole, or make it anew behind the first one."""
    second = settings.node(2)
    found = processes.find(settings).get(node.name_of(second))
    whole = found and found.works and node.is_complete(second) and _is_linked(found.pid)
    if found and whole:
        return found
    node.clear_processes(second)
    started = node.make(second)
    _connect(settings, first, started.pid)
    node.mark_complete(second)
    return started


def cut(settings: Settings, first: int) -> None:
    """
    Lose the node as when its power fails: from one moment to the next nothing answers any more.

    Packets for it vanish without a word, and nobody there ends a connection.
    """
    second = settings.node(2)
    for target in (second.pod_cidr, f"{second.node_ip}/32"):
        node.run(*node.enter(first, "ip", "route", "replace", "blackhole", target))
    there = processes.find(settings)[node.name_of(second)]
    node.run(*node.enter(there.pid, "ip", "link", "set", "eth0", "down"))
    node.clear_processes(second)


def remove(settings: Settings) -> None:
    """Take the second node away with all that it kept."""
    node.clear_processes(settings.node(2))
    node.remove_cgroups(settings.node(2))
    shutil.rmtree(settings.node(2).folder, ignore_errors=True)


def _is_linked(pid: int) -> bool:
    """Whether the link is there; it goes when the first node does."""
    devices = Path(f"/proc/{pid}/net/dev").read_text(encoding="ascii")
    return any(line.strip().startswith("eth0:") for line in devices.splitlines())


def _connect(settings: Settings, first: int, second: int) -> None:
    """Link the two nodes, and tell both and the machine where the other's pods are."""
    there = settings.node(2)
    inside, outside = node.enter(first), node.enter(second)
    if node.succeeds(*inside, "ip", "link", "show", _UPLINK):
        node.run(*inside, "ip", "link", "delete", _UPLINK)
    ends = ("netns", str(first), "type", "veth", "peer", "name", "eth0", "netns", str(second))
    node.run("ip", "link", "add", _UPLINK, *ends)
    node.run(*inside, "ip", "address", "add", f"{settings.uplink_ip}/30", "dev", _UPLINK)
    node.run(*inside, "ip", "link", "set", _UPLINK, "up")
    node.run(*outside, "ip", "link", "set", "lo", "up")
    node.run(*outside, "ip", "address", "add", f"{there.node_ip}/30", "dev", "eth0")
    node.run(*outside, "ip", "link", "set", "eth0", "up")
    node.run(*outside, "tee", "/proc/sys/net/ipv4/ip_forward", stdin="1")
    for target in (settings.pod_cidr, f"{settings.network}.255.0/30"):
        node.run(*outside, "ip", "route", "replace", target, "via", settings.uplink_ip)
    for target in (there.pod_cidr, f"{there.node_ip}/32"):
        node.succeeds(*inside, "ip", "route", "delete", "blackhole", target)  # of a lost node
    node.run(*inside, "ip", "route", "replace", there.pod_cidr, "via", there.node_ip)
    for target in (there.pod_cidr, f"{settings.network}.255.4/30"):
        node.run("ip", "route", "replace", target, "via", settings.node_ip)
