"""
Where things are and what they are called: the one place that reads the environment.

Every other module is handed a `Settings`. The error that a person is meant to read is here as
well, because all rooms raise it.
"""

import os
import sys
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

NODE_NAME = "devcluster"
REGISTRY = "registry.local:5000"
"""What images are called inside the cluster, with the embedded cluster and with kind alike."""


class DevclusterError(Exception):
    """Something that a person must know, said in whole sentences."""


@dataclass(frozen=True, slots=True)
class Settings:
    """
    The folders and addresses of this machine's one cluster.

    Attributes:
        state: All that the running cluster owns; `down` removes it.
        cache: What was built; it outlives the cluster and may be deleted at any time.
        repo: The checkout whose images are built; the context of every Dockerfile.
        tools: The folder with a pinned Go module for each program that is built.
        network: The first two numbers of every address of the cluster.
        number: Which node is looked at: 1, where the control plane runs as well, or 2.
    """

    state: Path
    cache: Path
    repo: Path
    tools: Path
    network: str = "10.197"
    number: int = 1

    def node(self, number: int) -> "Settings":
        """The same cluster as another node sees it."""
        return replace(self, number=number)

    @property
    def node_name(self) -> str:
        """What the API server calls the node."""
        return NODE_NAME if self.number == 1 else f"{NODE_NAME}-{self.number}"

    @property
    def folder(self) -> Path:
        """Where what belongs to the node alone is kept."""
        return self.state if self.number == 1 else self.state / f"node{self.number}"

    @property
    def run(self) -> Path:
        """Where sockets and mounts are; nothing in it outlives the node."""
        return self.folder / "run"

    @property
    def cgroup(self) -> str:
        """The cgroup under which all pods of the node are, in every hierarchy."""
        return self.state.name if self.number == 1 else f"{self.state.name}-{self.number}"

    def component(self, name: str) -> str:
        """What a component of the node is called: those of the second node bear its name."""
        return name if self.number == 1 else f"{name}@node{self.number}"

    @property
    def link(self) -> str:
        """The network interface that leads to the node."""
        return f"md{zlib.crc32(str(self.state).encode()):08x}"

    @property
    def host_ip(self) -> str:
        """The machine's own end of the link to the node."""
        return f"{self.network}.255.1"

    @property
    def control_ip(self) -> str:
        """Where the API server, the registry and CoreDNS listen: the first node."""
        return f"{self.network}.255.2"

    @property
    def uplink_ip(self) -> str:
        """The first node's end of the link to the second one."""
        return f"{self.network}.255.5"

    @property
    def node_ip(self) -> str:
        """The node's end of its link, where its components listen."""
        return self.control_ip if self.number == 1 else f"{self.network}.255.6"

    @property
    def links_cidr(self) -> str:
        """The addresses of both links' ends."""
        return f"{self.network}.255.0/29"

    @property
    def pod_cidr(self) -> str:
        """Addresses of the node's pods."""
        return f"{self.network}.{0 if self.number == 1 else 128}.0/18"

    @property
    def service_cidr(self) -> str:
        """Addresses of Services."""
        return f"{self.network}.64.0/18"

    @property
    def kubernetes_ip(self) -> str:
        """The Service address of the API server, always the first of the range."""
        return f"{self.network}.64.1"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig, usable from the machine itself."""
        return self.state / "kubeconfig"

    @property
    def registry_address(self) -> str:
        """Where the registry listens, for pushes from the machine."""
        return f"{self.control_ip}:5000"

    def etc(self, name: str) -> Path:
        """Give the path of a configuration file."""
        return self.folder / "etc" / name

    def pki(self, name: str) -> Path:
        """Give the path of a key, certificate or kubeconfig."""
        return self.state / "pki" / name

    def data(self, name: str) -> Path:
        """Give the folder in which a component keeps its data."""
        return self.folder / "data" / name

    def log(self, component: str) -> Path:
        """Give the path of a component's log."""
        return self.state / "log" / f"{component}.log"

    @property
    def pod_logs(self) -> Path:
        """Where the kubelet keeps the logs of containers."""
        return self.folder / "log" / "pods"


def find_repo(start: Path) -> Path:
    """Find the checkout: the nearest folder, from `start` upwards, that has kind-config.yaml."""
    for folder in (start, *start.parents):
        if (folder / "kind-config.yaml").is_file():
            return folder
    return start


def load(environ: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings from the environment."""
    package = Path(__file__).resolve().parent
    source = package.parent.parent / "tools"
    home_cache = environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    here = find_repo(package)
    return Settings(
        state=Path(environ.get("MODELDEPLOY_STATE") or "/var/lib/modeldeploy-devcluster"),
        cache=Path(environ.get("MODELDEPLOY_CACHE") or home_cache) / "modeldeploy",
        repo=here if here != package else find_repo(Path.cwd()),
        tools=source if source.is_dir() else package / "tools",
        network=environ.get("MODELDEPLOY_NETWORK") or "10.197",
    )


def say(message: str) -> None:
    """Tell the person what is going on, at once."""
    print(message, file=sys.stderr, flush=True)
