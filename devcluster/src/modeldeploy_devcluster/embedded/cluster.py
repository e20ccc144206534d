"""
Brings the embedded cluster up and takes it down: the steps in their order.

`up` compares what should run with what does, starts the difference, and waits until every
component is healthy and the node takes pods. So it is at once start, repair and upgrade.
"""

import shutil
import subprocess
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from modeldeploy_devcluster import buildah, packages, toolchain
from modeldeploy_devcluster.embedded import (
    addons,
    node,
    objects,
    options,
    pki,
    processes,
    rendering,
    second,
)
from modeldeploy_devcluster.embedded.api import Api
from modeldeploy_devcluster.embedded.components import Component, build_components
from modeldeploy_devcluster.embedded.options import Options
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

    def up(
        self,
        *,
        audit: bool | None = None,
        nodes: int | None = None,
        with_addons: tuple[str, ...] | None = None,
    ) -> None:
        """Start what is not running as it should, and wait until the cluster takes pods."""
        packages.require_root("The embedded cluster")
        addons.check(with_addons or ())
        packages.ensure(packages.missing_packages(packages.CLUSTER_PROGRAMS, cni=True))
        began = time.monotonic()
        with toolchain.locked(self._settings, "cluster"):
            before = options.load(self._settings)
            wanted = before.changed(audit=audit, nodes=nodes, addons=with_addons)
            components, files = self._prepare(wanted)
            self._retire(before, wanted)
            started = self._start_all(components, files)
            self._wait(components, with_nodes=range(1, wanted.nodes + 1))
        self._link_kubectl()
        seconds = time.monotonic() - began
        when = f"after {seconds:.0f} s" if started else "already"
        say(f"The cluster is up {when}; kubeconfig: {self._settings.kubeconfig}")

    def addons(self) -> tuple[str, ...]:
        """Say which addons the cluster has."""
        return options.load(self._settings).addons

    def down(self) -> None:
        """End everything and remove everything but the cache."""
        packages.require_root("Taking the embedded cluster down")
        with toolchain.locked(self._settings, "cluster"):
            self._remove()
        say("The cluster is down; only the cache of built programs and images is left.")

    def start(self, name: str) -> None:
        """Start one component again, or the second node with all of its own, until it is well."""
        with toolchain.locked(self._settings, "cluster"):
            components, files = self._prepare(options.load(self._settings))
            whole = name == node.name_of(self._settings.node(2))
            chosen = [c for c in components if c.name == name or (whole and c.node != 1)]
            if not chosen:
                names = ", ".join(component.name for component in components)
                raise DevclusterError(f"There is no component {name!r}; there are: {names}.")
            self._start_all(chosen, files)
            self._wait(chosen, with_nodes=(2,) if whole else ())

    def stop(self, name: str, *, grace: float) -> None:
        """Stop one component, or lose the second node; it stays so until `start` or `up`."""
        with toolchain.locked(self._settings, "cluster"):
            running = processes.find(self._settings)
            if name not in running or name == processes.NODE:
                others = ", ".join(sorted(running.keys() - {processes.NODE})) or "nothing"
                raise DevclusterError(f"No component {name!r} is running; running: {others}.")
            if name == node.name_of(self._settings.node(2)):
                second.cut(self._settings, self._node_pid())
            else:
                processes.stop(running[name], grace)

    def status(self) -> tuple[list[tuple[str, ...]], bool]:
        """Look at every component; give a table and whether all is well."""
        packages.require_root("Looking at the embedded cluster")
        running = processes.find(self._settings)
        if not running or not self._settings.pki("ca.crt").exists():
            return [], False
        wanted = options.load(self._settings)
        components, _ = self._describe(wanted)
        api = Api(self._settings)
        rows: list[tuple[str, ...]] = []
        well = True
        for component in components:
            process = running.get(component.name)
            ailment = _ailment(api, component, process)
            well = well and ailment is None
            pid, uptime = (str(process.pid), process.age) if process else ("-", "-")
            rows.append((component.name, pid, ailment or "healthy", uptime))
        for number in range(1, wanted.nodes + 1):
            there = self._settings.node(number)
            name, unready = node.name_of(there), api.unready_because(there.node_name)
            node_pid = str(running[name].pid) if name in running else "-"
            rows.append((name, node_pid, f"not ready: {unready}" if unready else "Ready", "-"))
            well = well and unready is None
        return rows, well

    def ctr(self, *arguments: str) -> str:
        """Run containerd's own client against the images of every node."""
        numbers = range(1, options.load(self._settings).nodes + 1)
        return "".join(self._ctr(number, *arguments) for number in numbers)

    def _ctr(self, number: int, *arguments: str) -> str:
        """Run containerd's own client against the images of a node."""
        socket = self._settings.node(number).run / "containerd.sock"
        command = ["ctr", f"--address={socket}", "--namespace=k8s.io", *arguments]
        result = subprocess.run(
            node.enter(self._node_pid(number), *command),
            capture_output=True,
            text=True,
            check=False,
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

    def _node_pid(self, number: int = 1) -> int:
        """Find a node's first process."""
        name = node.name_of(self._settings.node(number))
        running = processes.find(self._settings).get(name)
        if running is None:
            raise DevclusterError("The cluster is not running: run `devcluster up`.")
        return running.pid

    def _describe(self, wanted: Options) -> tuple[tuple[Component, ...], dict[Path, str]]:
        """Say what should run, and with which files; builds programs that are not there yet."""
        names = ("kubernetes", "coredns", "registry", *wanted.addons)
        programs = {name: toolchain.ensure(self._settings, name) for name in names}
        cni = packages.cni_folder()
        if cni is None:
            raise DevclusterError("The CNI plugins are missing; `devcluster up` installs them.")
        machine = rendering.Machine(cni, may_lower_oom_score=packages.has_capability(24))
        files: dict[Path, str] = {}
        for number in range(1, wanted.nodes + 1):
            files |= rendering.build_files(self._settings.node(number), machine)
        table = build_components(
            self._settings, programs, audit=wanted.audit, nodes=wanted.nodes
        ) + addons.build_components(self._settings, programs)
        return table, files

    def _prepare(self, wanted: Options) -> tuple[tuple[Component, ...], dict[Path, str]]:
        """Write keys and configuration files."""
        components, files = self._describe(wanted)
        if self._settings.state.exists() and not self._settings.pki("ca.crt").exists():
            say("The keys of the last cluster are lost, so it cannot be used; making a new one.")
            self._remove()
        self._settings.state.mkdir(parents=True, exist_ok=True, mode=0o755)
        options.save(self._settings, wanted)
        pki.ensure(self._settings)
        for path, text in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists() or path.read_text() != text:
                path.write_text(text)
        return components, files

    def _retire(self, before: Options, wanted: Options) -> None:
        """Take away what is no longer asked for."""
        running, api = processes.find(self._settings), Api(self._settings)
        for name in sorted(set(before.addons) - set(wanted.addons)):
            if name in running:
                processes.stop(running[name])
            if "kube-apiserver" in running:
                addons.clear(self._settings, api, name)
        if wanted.nodes < before.nodes and processes.NODE in running:
            api.delete(f"/api/v1/nodes/{self._settings.node(2).node_name}")
            second.remove(self._settings)

    def _start_all(self, components: Iterable[Component], files: Mapping[Path, str]) -> bool:
        """Start each component that does not run as it should; say whether there was any."""
        node_process = node.find_whole(self._settings)
        if node_process is None:
            say("Starting the node's namespaces.")
            node_process = node.start(self._settings)
        places = {1: node_process}
        if any(component.node == 2 for component in components):
            places[2] = second.ensure(self._settings, node_process.pid)
        running = processes.find(self._settings)
        api = Api(self._settings)
        stale = [c for c in components if not self._is_current(api, c, running, files)]
        for component in stale:
            if component.name in running:
                processes.stop(running[component.name])
        for component in stale:
            if component.needs_api:
                self._wait([c for c in stale if not c.needs_api])
            if component.name in addons.ADDONS:
                addons.furnish(self._settings, api, component.name, node_process.pid)
            fingerprint = component.fingerprint(files)
            argv = node.enter(places[component.node].pid, *component.argv)
            process = processes.start(self._settings, component.name, fingerprint, argv)
            say(f"Started {component.name} (pid {process.pid}).")
        self._furnish(api, {component.name: component for component in stale})
        return bool(stale)

    def _furnish(self, api: Api, started: Mapping[str, Component]) -> None:
        """Give fresh components what they need from us: the pause image, and rights in the API."""
        for component in started.values():
            if component.name.partition("@")[0] == "containerd":
                self._wait([component])
                archive = buildah.ensure_pause(self._settings, rendering.PAUSE_IMAGE)
                self._ctr(component.node, "images", "import", str(archive))
        if "kube-apiserver" in started:
            self._wait([started["kube-apiserver"]])
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

    def _wait(self, components: Iterable[Component], with_nodes: Iterable[int] = ()) -> None:
        """Wait until all given components and nodes are well, and report the first that dies."""
        nodes = [self._settings.node(number).node_name for number in with_nodes]
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
            problem = problem or next(filter(None, map(api.unready_because, nodes)), None)
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
