"""
The command `devcluster`, one function for each subcommand.

Results go to standard output, progress to standard error. What differs between kind and the
embedded cluster is decided here and nowhere else.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence

from modeldeploy_devcluster import images, kind, settings, toolchain
from modeldeploy_devcluster.embedded import cluster, processes
from modeldeploy_devcluster.settings import DevclusterError, Settings

COMMANDS = (
    *("up", "down", "status", "load", "images", "kubeconfig", "logs"),
    *("stop", "start", "addons", "path", "env"),
)


class Commands:
    """The subcommands, with what all of them need."""

    def __init__(self, known: Settings) -> None:
        self._settings = known
        self._docker = _use_docker()
        self._kind = kind.Cluster(known)
        self._embedded = cluster.Cluster(known)

    def up(self, options: argparse.Namespace) -> int:
        """Start the cluster, or repair it; quick when it is healthy."""
        if self._docker:
            if options.nodes is not None:
                raise DevclusterError("The nodes of kind are those of kind-config.yaml.")
            self._kind.up()
        else:
            self._embedded.up(audit=options.audit, nodes=options.nodes)
        return 0

    def down(self, _: argparse.Namespace) -> int:
        """End the cluster and leave nothing but the cache of built programs and images."""
        if self._docker:
            self._kind.down()
        else:
            self._embedded.down()
        return 0

    def status(self, _: argparse.Namespace) -> int:
        """Show every component; exits with 1 unless all are healthy."""
        if self._docker:
            return 0 if self._kind.status() else 1
        rows, well = self._embedded.status()
        if not rows:
            print("The cluster is not running.")
            return 1
        for name, pid, state, uptime in [("COMPONENT", "PID", "STATE", "UPTIME"), *rows]:
            print(f"{name:<24} {pid:>7}  {uptime:>8}  {state}")
        return 0 if well else 1

    def addons(self, options: argparse.Namespace) -> int:
        """Run these addons and no others (metrics-server, traefik); --none for none of them."""
        self._embedded_only("have addons")
        if options.name or options.none:
            self._embedded.up(with_addons=tuple(sorted(set(options.name))))
        print("\n".join(self._embedded.addons()) or "The cluster has no addons.")
        return 0

    def load(self, options: argparse.Namespace) -> int:
        """Make images available on the node, under the names given."""
        for image in options.image:
            if self._docker:
                self._kind.load(image)
                continue
            name = images.push_to_node_registry(self._settings, image)
            hosts = str(self._settings.etc("hosts"))
            self._embedded.ctr("images", "pull", "--hosts-dir", hosts, name)
            if name != image:
                self._embedded.ctr("images", "tag", "--force", name, image)
            settings.say(f"The node has {image}.")
        return 0

    def images(self, options: argparse.Namespace) -> int:
        """Build the project's images, and give them to the cluster's registry if it runs."""
        built = images.build(self._settings, options.name, docker=self._docker)
        for image in built:
            if options.push:
                name = f"{options.push.rstrip('/')}/{image.name}:{options.tag or image.tag}"
                images.push(self._settings, image, name, docker=self._docker)
            elif self._docker and self._kind.status():
                self._kind.load(image.reference)
            elif not self._docker and processes.find(self._settings):
                images.push_to_node_registry(self._settings, image.reference)
        if options.json:
            print(json.dumps(images.to_json(built), indent=1))
        else:
            for image in built:
                print(f"{image.name} {image.reference}")
        return 0

    def kubeconfig(self, _: argparse.Namespace) -> int:
        """Print the path of the administrator's kubeconfig."""
        path = self._kind.kubeconfig if self._docker else self._settings.kubeconfig
        if not path.exists():
            raise DevclusterError("There is no kubeconfig yet: run `devcluster up`.")
        print(path)
        return 0

    def logs(self, options: argparse.Namespace) -> int:
        """Print a component's log (`audit` for the audit log), or follow it with --follow."""
        if self._docker:
            self._kind.logs(options.component)
            return 0
        log = self._settings.log(options.component)
        if not log.exists():
            there = ", ".join(sorted(path.stem for path in log.parent.glob("*.log"))) or "none"
            raise DevclusterError(f"There is no log of {options.component!r}; there are: {there}.")
        how = ["-F"] if options.follow else []
        return subprocess.run(
            ["tail", *how, "-n", str(options.lines), str(log)], check=False
        ).returncode

    def stop(self, options: argparse.Namespace) -> int:
        """Stop one component, or lose `node2` (a fault for tests); `start` or `up` undoes it."""
        self._embedded_only("stop and start single components")
        self._embedded.stop(options.component, grace=0 if options.kill else 3)
        return 0

    def start(self, options: argparse.Namespace) -> int:
        """Start one stopped component and wait until it is healthy."""
        self._embedded_only("stop and start single components")
        self._embedded.start(options.component)
        return 0

    def path(self, _: argparse.Namespace) -> int:
        """Print the folder with kubectl and helm for PATH, after building what is missing."""
        print(_ensure_clients(self._settings))
        return 0

    def env(self, _: argparse.Namespace) -> int:
        """Print PATH and KUBECONFIG as shell commands: eval "$(devcluster env)"."""
        config = self._kind.kubeconfig if self._docker else self._settings.kubeconfig
        print(f"export PATH={_ensure_clients(self._settings)}:$PATH")
        print(f"export KUBECONFIG={config}")
        return 0

    def _embedded_only(self, what: str) -> None:
        """Refuse what kind has no counterpart for."""
        if self._docker:
            raise DevclusterError(f"Only the embedded cluster can {what}.")


def _use_docker() -> bool:
    """Whether kind is used: MODELDEPLOY_CLUSTER decides, else whether Docker answers."""
    wanted = os.environ.get("MODELDEPLOY_CLUSTER", "")
    if wanted not in {"", "kind", "embedded"}:
        raise DevclusterError(f"MODELDEPLOY_CLUSTER is {wanted!r}; it may be kind or embedded.")
    return wanted == "kind" or (not wanted and kind.engine_answers())


def _ensure_clients(known: Settings) -> str:
    """Put kubectl and helm into one folder: ours, and for Helm the machine's if it is Helm 3."""
    toolchain.link_programs(known, toolchain.ensure(known, "kubernetes"), ("kubectl",))
    folder = known.cache / "bin"
    others = os.pathsep.join(
        part for part in os.environ.get("PATH", "").split(os.pathsep) if part != str(folder)
    )
    helm = shutil.which("helm", path=others)
    version = ["version", "--short"]
    if helm is None or not _output([helm, *version]).startswith("v3."):
        toolchain.link_programs(known, toolchain.ensure(known, "helm"), ("helm",))
    return str(folder)


def _output(command: Sequence[str]) -> str:
    """Run a command and give what it prints."""
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line; the help texts are the subcommands' docstrings."""
    parser = argparse.ArgumentParser(
        prog="devcluster",
        description="A real Kubernetes for development: kind where Docker answers, else embedded.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    parsers = {}
    for name in COMMANDS:
        text = (getattr(Commands, name).__doc__ or "").strip()
        parsers[name] = commands.add_parser(name, help=text, description=text)
    parsers["up"].add_argument(
        "--audit",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="write an audit log; stays as it was when not given",
    )
    parsers["up"].add_argument(
        "--nodes", type=int, choices=(1, 2), help="how many nodes; as many as before if not given"
    )
    parsers["addons"].add_argument("name", nargs="*", help="metrics-server or traefik")
    parsers["addons"].add_argument("--none", action="store_true", help="end all addons")
    parsers["load"].add_argument("image", nargs="+", help="a name in the image builder's storage")
    parsers["images"].add_argument(
        "name", nargs="*", default=list(images.DOCKERFILES), help="which images; default: all"
    )
    parsers["images"].add_argument("--push", metavar="REGISTRY", help="push as REGISTRY/NAME:TAG")
    parsers["images"].add_argument("--tag", help="the tag to push, instead of the content hash")
    parsers["images"].add_argument("--json", action="store_true", help="print JSON")
    for name in ("logs", "stop", "start"):
        parsers[name].add_argument("component", help="a name that `devcluster status` shows")
    parsers["logs"].add_argument("--follow", action="store_true", help="go on as the log grows")
    parsers["logs"].add_argument("--lines", default="+1", help="so many from the end; default: all")
    parsers["stop"].add_argument("--kill", action="store_true", help="SIGKILL at once")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; what a person must know is one sentence and exit code 1."""
    options = build_parser().parse_args(arguments)
    try:
        return int(getattr(Commands(settings.load()), options.command)(options))
    except DevclusterError as error:
        print(f"devcluster: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
