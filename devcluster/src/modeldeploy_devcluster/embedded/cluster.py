"""
Brings the embedded cluster up and takes it down: the steps in their order.

`up` compares what should run with what does, starts the difference, and waits until every
component is healthy and the node takes pods. So it is at once start, repair and upgrade.
"""

import json
import shutil
import subprocess
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from modeldeploy_devcluster import buildah, packages, toolchain
from modeldeploy_devcluster.embedded import node, objects, pki, processes, rendering
from modeldeploy_devcluster.embedded.api import Api
from modeldeploy_devcluster.embedded.components import Component, build_components
from modeldeploy_devcluster.settings import DevclusterError, Settings, say

_PATIENCE = 120.0
_STUCK_AFTER = 60.0


class Cluster:
    """
    The embedded cluster of this machine.

    Methods that change something hold one lock of the machine, so that commands given at the
    same time follow each other.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def up(self, *, audit: bool | None = None) -> None:
        """Start what is not running as it should, and wait until the cluster takes pods."""
        packages.require_root("The embedded cluster")
        packages.ensure(packages.missing_packages(packages.CLUSTER_PROGRAMS, cni=True))
        began = time.monotonic()
        with toolchain.locked(self._settings, "cluster"):
            components, files = self._prepare(audit=audit)
            started = self._start_all(components, files)
            self._wait(components)
        self._link_kubectl()
        seconds = time.monotonic() - began
        done = (
            f"The cluster is up after {seconds:.0f} s" if started else "The cluster is up already"
        )
        say(f"{done}; kubeconfig: {self._settings.kubeconfig}")

    def down(self) -> None:
        """End everything and remove everything but the cache."""
        packages.require_root("Taking the embedded cluster down")
        with toolchain.locked(self._settings, "cluster"):
            self._remove()
        say("The cluster is down; only the cache of built programs and images is left.")

    def start(self, name: str) -> None:
        """Start one component again and wait until it is healthy."""
        with toolchain.locked(self._settings, "cluster"):
            components, files = self._prepare(audit=None)
            chosen = [component for component in components if component.name == name]
            if not chosen:
                raise DevclusterError(_unknown(name, components))
            self._start_all(chosen, files)
            self._wait(chosen, with_node=False)

    def stop(self, name: str, *, grace: float) -> None:
        """Stop one component and leave it so until `start` or `up`."""
        with toolchain.locked(self._settings, "cluster"):
            running = processes.find(self._settings)
            if name not in running or name == processes.NODE:
                others = ", ".join(sorted(running.keys() - {processes.NODE})) or "nothing"
                raise DevclusterError(f"No component {name!r} is running; running: {others}.")
            processes.stop(running[name], grace)

    def status(self) -> tuple[list[tuple[str, ...]], bool]:
        """Look at every component; give a table and whether all is well."""
        packages.require_root("Looking at the embedded cluster")
        running = processes.find(self._settings)
        if not running or not self._settings.pki("ca.crt").exists():
            return [], False
        components, _ = self._describe(audit=self._audit())
        api = Api(self._settings)
        rows: list[tuple[str, ...]] = []
        well = True
        for component in components:
            process = running.get(component.name)
            ailment = _ailment(api, component, process)
            well = well and ailment is None
            pid, uptime = (str(process.pid), _duration(process.uptime)) if process else ("-", "-")
            rows.append((component.name, pid, ailment or "healthy", uptime))
        unready = api.unready_because()
        node_pid = str(running[processes.NODE].pid) if processes.NODE in running else "-"
        rows.append(("node", node_pid, f"not ready: {unready}" if unready else "Ready", "-"))
        return rows, well and unready is None

    def ctr(self, *arguments: str) -> str:
        """Run containerd's own client against the node's images."""
        socket = self._settings.state / "run" / "containerd.sock"
        command = ["ctr", f"--address={socket}", "--namespace=k8s.io", *arguments]
        pid = self._node_pid()
        result = subprocess.run(
            node.enter(pid, *command), capture_output=True, text=True, check=False
        )
        if result.returncode != 0:
            raise DevclusterError(f"`ctr {' '.join(arguments)}` failed: {result.stderr.strip()}")
        return result.stdout

    def _remove(self) -> None:
        """End everything and remove all that the cluster owns."""
        node.clear(self._settings)
        for running in processes.find(self._settings).values():
            processes.stop(running, grace=0)
        shutil.rmtree(self._settings.state, ignore_errors=True)
        if self._settings.state.exists():
            raise DevclusterError(f"{self._settings.state} cannot be removed; something uses it.")

    def _node_pid(self) -> int:
        """Find the node's first process."""
        running = processes.find(self._settings).get(processes.NODE)
        if running is None:
            raise DevclusterError("The cluster is not running: run `devcluster up`.")
        return running.pid

    def _describe(self, *, audit: bool) -> tuple[tuple[Component, ...], dict[Path, str]]:
        """Say what should run, and with which files; builds programs that are not there yet."""
        names = ("kubernetes", "coredns", "registry")
        programs = {name: toolchain.ensure(self._settings, name) for name in names}
        cni = packages.cni_folder()
        if cni is None:
            raise DevclusterError("The CNI plugins are missing; `devcluster up` installs them.")
        machine = rendering.Machine(cni, may_lower_oom_score=_has_capability(24))
        files = rendering.build_files(self._settings, machine)
        return build_components(self._settings, programs, audit=audit), files

    def _prepare(self, *, audit: bool | None) -> tuple[tuple[Component, ...], dict[Path, str]]:
        """Write keys and configuration files."""
        wanted = self._audit() if audit is None else audit
        components, files = self._describe(audit=wanted)
        if self._settings.state.exists() and not self._settings.pki("ca.crt").exists():
            say("The keys of the last cluster are lost, so it cannot be used; making a new one.")
            self._remove()
        self._settings.state.mkdir(parents=True, exist_ok=True, mode=0o755)
        (self._settings.state / "options.json").write_text(json.dumps({"audit": wanted}))
        pki.ensure(self._settings)
        for path, text in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists() or path.read_text() != text:
                path.write_text(text)
        return components, files

    def _audit(self) -> bool:
        """Whether the running cluster was asked for an audit log."""
        options = self._settings.state / "options.json"
        return bool(options.exists() and json.loads(options.read_text())["audit"])

    def _start_all(self, components: Iterable[Component], files: Mapping[Path, str]) -> bool:
        """Start each component that does not run as it should; say whether there was any."""
        node_process = node.find_whole(self._settings)
        if node_process is None:
            say("Starting the node's namespaces.")
            node_process = node.start(self._settings)
        running = processes.find(self._settings)
        api = Api(self._settings)
        stale = [c for c in components if not self._is_current(api, c, running, files)]
        for component in stale:
            if component.name in running:
                processes.stop(running[component.name])
        for component in stale:
            if component.needs_api:
                self._wait([c for c in stale if not c.needs_api], with_node=False)
            fingerprint = component.fingerprint(files)
            argv = node.enter(node_process.pid, *component.argv)
            process = processes.start(self._settings, component.name, fingerprint, argv)
            say(f"Started {component.name} (pid {process.pid}).")
        self._furnish(api, {component.name: component for component in stale})
        return bool(stale)

    def _furnish(self, api: Api, started: Mapping[str, Component]) -> None:
        """Give fresh components what they need from us: the pause image, and rights in the API."""
        if "containerd" in started:
            self._wait([started["containerd"]], with_node=False)
            archive = buildah.ensure_pause(self._settings, rendering.PAUSE_IMAGE)
            self.ctr("images", "import", str(archive))
        if "kube-apiserver" in started:
            self._wait([started["kube-apiserver"]], with_node=False)
            for path, document in objects.build_objects().items():
                api.apply(path, document)

    def _is_current(
        self,
        api: Api,
        component: Component,
        running: Mapping[str, processes.Running],
        files: Mapping[Path, str],
    ) -> bool:
        """Whether a component runs with what it should be given, and is not stuck."""
        process = running.get(component.name)
        if process is None or not process.works:
            return False
        stuck = process.uptime > _STUCK_AFTER and not api.answers(component)
        return process.fingerprint == component.fingerprint(files) and not stuck

    def _wait(self, components: Iterable[Component], *, with_node: bool = True) -> None:
        """Wait until all given components are healthy, and report the first that dies."""
        api, began = Api(self._settings), time.monotonic()
        waiting = list(components)
        reported = began
        while True:
            running = processes.find(self._settings)
            for component in waiting:
                if component.name not in running:
                    raise DevclusterError(processes.describe_death(self._settings, component.name))
            ailments = {c: problem for c in waiting if (problem := api.ailment(c))}
            waiting = list(ailments)
            problem = next(iter(ailments.values()), None)
            if problem is None and with_node:
                problem = api.unready_because()
            if problem is None:
                return
            now = time.monotonic()
            if now - began > _PATIENCE:
                raise DevclusterError(
                    f"The cluster is not healthy after {_PATIENCE:.0f} s: {problem}."
                )
            if now - reported > 5:
                say(f"  waiting: {problem}")
                reported = now
            time.sleep(0.1)

    def _link_kubectl(self) -> None:
        """Put kubectl where `devcluster path` says."""
        folder = toolchain.ensure(self._settings, "kubernetes")
        toolchain.link_programs(self._settings, folder, ("kubectl",))


def _ailment(api: Api, component: Component, process: processes.Running | None) -> str | None:
    """Say what is wrong with a component, or None."""
    if process is None:
        return "not running"
    if not process.works:
        return "paused"
    return api.ailment(component)


def _unknown(name: str, components: Iterable[Component]) -> str:
    """Say that there is no such component, and which there are."""
    names = ", ".join(component.name for component in components)
    return f"There is no component {name!r}; there are: {names}."


def _has_capability(number: int) -> bool:
    """Whether this process has a capability, by the kernel's number (24 is CAP_SYS_RESOURCE)."""
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("CapEff:"))
    return bool(int(line.split()[1], 16) >> number & 1)


def _duration(seconds: float) -> str:
    """Write a duration as people read it."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02}m" if hours else f"{minutes}m{rest:02}s"
