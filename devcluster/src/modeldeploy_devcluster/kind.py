"""
The adapter to kind, for machines whose Docker engine answers.

Everything is left to kind itself; images have the same names as in the embedded cluster.
"""

import shutil
import subprocess
from pathlib import Path

from modeldeploy_devcluster import toolchain
from modeldeploy_devcluster.settings import DevclusterError, Settings, say

NAME = "modeldeploy"


def engine_answers() -> bool:
    """Whether a Docker engine answers within seconds; a client alone does not count."""
    if shutil.which("docker") is None:
        return False
    command = ["docker", "info", "--format", "{{.ServerVersion}}"]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return result.returncode == 0 and bool(result.stdout.strip())


class Cluster:
    """The cluster that kind runs from kind-config.yaml."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self._settings.cache / "kind" / "kubeconfig"

    def up(self) -> None:
        """Create the cluster unless kind already runs it."""
        if NAME in self._kind("get", "clusters").split():
            say("The kind cluster is up already.")
        else:
            config = self._settings.repo / "kind-config.yaml"
            self._kind("create", "cluster", f"--config={config}", "--wait=120s", show=True)
        self.kubeconfig.parent.mkdir(parents=True, exist_ok=True)
        self._kind("export", "kubeconfig", f"--kubeconfig={self.kubeconfig}")
        say(f"The kind cluster is up; kubeconfig: {self.kubeconfig}")

    def down(self) -> None:
        """Delete the cluster."""
        self._kind("delete", "cluster", show=True)
        self.kubeconfig.unlink(missing_ok=True)

    def load(self, image: str) -> None:
        """Copy an image from Docker to the node."""
        self._kind("load", "docker-image", image, show=True)

    def status(self) -> bool:
        """Show the nodes."""
        if NAME not in self._kind("get", "clusters").split():
            return False
        command = ["kubectl", f"--kubeconfig={self.kubeconfig}", "get", "nodes", "--output=wide"]
        return subprocess.run(command, check=False).returncode == 0

    def logs(self, component: str) -> None:
        """Show the log of a component, all of which are containers or units of the one node."""
        node = ["docker", "exec", f"{NAME}-control-plane"]
        if component in {"kubelet", "containerd"}:
            command = [*node, "journalctl", "--no-pager", "--unit", component]
        else:
            pattern = f"/var/log/pods/kube-system_{component}-*/*/*.log"
            command = [*node, "sh", "-c", f"cat {pattern}"]
        subprocess.run(command, check=False)

    def _kind(self, *arguments: str, show: bool = False) -> str:
        """Run kind on our one cluster."""
        program = shutil.which("kind") or str(toolchain.ensure(self._settings, "kind") / "kind")
        name = [] if arguments[0] == "get" else [f"--name={NAME}"]
        output = None if show else subprocess.PIPE
        command = [program, *arguments, *name]
        result = subprocess.run(command, stdout=output, stderr=output, text=True, check=False)
        if result.returncode != 0:
            problem = result.stderr.strip() if result.stderr else "see above"
            raise DevclusterError(f"`kind {' '.join(arguments)}` failed: {problem}")
        return result.stdout or ""
