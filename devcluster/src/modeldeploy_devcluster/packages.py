"""
Installs the Debian packages that the cluster and the image builds need, and only those missing.

What is missing is judged by programs and not by package names, so that a machine with Docker's
own containerd keeps it. Services that an installation starts are stopped again; those that were
running before are a user's own and stay.
"""

import os
import shutil
import subprocess
from pathlib import Path

from modeldeploy_devcluster.settings import DevclusterError, say

CLUSTER_PROGRAMS = {
    "etcd": "etcd-server",
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "buildah": "buildah",
    "catatonit": "catatonit",
    "nft": "nftables",
    "ip": "iproute2",
    "nsenter": "util-linux",
    "openssl": "openssl",
}
IMAGE_PROGRAMS = {"buildah": "buildah", "mmdebstrap": "mmdebstrap"}
CNI_FOLDERS = (Path("/usr/lib/cni"), Path("/opt/cni/bin"), Path("/usr/libexec/cni"))
DEBIAN_KEYS = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
SERVICES = ("etcd", "containerd", "haproxy", "podman", "nftables")
SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def cni_folder() -> Path | None:
    """Find the folder with the CNI plugins that the node's network is made with."""
    return next((folder for folder in CNI_FOLDERS if (folder / "ptp").is_file()), None)


def missing_packages(
    programs: dict[str, str], *, cni: bool = False, keys: bool = False
) -> list[str]:
    """List the packages whose programs are not on this machine."""
    wanted = {
        package
        for program, package in programs.items()
        if shutil.which(program, path=SEARCH_PATH) is None
    }
    if cni and cni_folder() is None:
        wanted.add("containernetworking-plugins")
    if keys and not DEBIAN_KEYS.is_file():
        wanted.add("debian-archive-keyring")
    return sorted(wanted)


def require_root(purpose: str) -> None:
    """Refuse to go on without root, and say what needs it."""
    if os.geteuid() != 0:
        raise DevclusterError(f"{purpose} needs root; run the same command with `sudo -E`.")


def ensure(missing: list[str]) -> None:
    """Install packages with apt-get, after saying so."""
    if not missing:
        return
    names = " ".join(missing)
    if shutil.which("apt-get") is None:
        raise DevclusterError(f"This machine has no apt-get; install what provides {names}.")
    say(f"Installing system packages with apt-get, which needs root: {names}.")
    require_root("Installing system packages")
    running = _active_services()
    # RUNLEVEL=1 keeps init scripts from starting what is installed where systemd does not run.
    environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    install = ["apt-get", "install", "-y", "-q", "--no-install-recommends", "--no-remove"]
    if _run([*install, *missing], environ).returncode != 0:
        _run(["apt-get", "update", "-q"], environ)
        result = _run([*install, *missing], environ)
        if result.returncode != 0:
            tail = "\n".join(result.stdout.splitlines()[-10:])
            raise DevclusterError(f"`apt-get install {names}` failed:\n{tail}")
    for service in sorted(_active_services() - running):
        say(f"Stopping the service {service}, which its package has just started.")
        _run(["systemctl", "disable", "--now", service], environ)


def _active_services() -> set[str]:
    """List which of the services that the packages bring are running under systemd."""
    if not Path("/run/systemd/system").is_dir():
        return set()
    return {
        name
        for name in SERVICES
        if subprocess.run(["systemctl", "-q", "is-active", name], check=False).returncode == 0
    }


def _run(command: list[str], environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a command and keep what it says for the case that it fails."""
    return subprocess.run(
        command,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def has_capability(number: int) -> bool:
    """Whether this process has a capability, by the kernel's number (24 is CAP_SYS_RESOURCE)."""
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("CapEff:"))
    return bool(int(line.split()[1], 16) >> number & 1)
