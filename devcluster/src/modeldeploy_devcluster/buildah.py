"""
Runs buildah on a storage of our own, so that a person's own images are neither seen nor touched.

Every command gets a mount namespace of its own: what the storage mounts ends with it.
"""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from modeldeploy_devcluster.settings import DevclusterError, Settings, say

PAUSE_DOCKERFILE = 'FROM scratch\nCOPY catatonit /catatonit\nENTRYPOINT ["/catatonit", "-P"]\n'


def run(settings: Settings, *arguments: str) -> str:
    """Run buildah and give what it prints."""
    command, environ = _command(settings, *arguments)
    result = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        problem = result.stderr.strip()[-2000:]
        raise DevclusterError(f"`buildah {arguments[0]}` failed: {problem}")
    return result.stdout


def has(settings: Settings, image: str) -> bool:
    """Whether an image of this name is in the storage."""
    try:
        run(settings, "inspect", "--type=image", "--format={{.FromImageID}}", image)
    except DevclusterError:
        return False
    return True


def push(settings: Settings, image: str, destination: str) -> None:
    """Push an image to a registry or into an archive; only plain-HTTP registries go unverified."""
    plain = destination.startswith(f"docker://{settings.registry_address}/")
    options = ["--tls-verify=false"] if plain else []
    run(settings, "push", "--quiet", *options, image, destination)


def ensure_pause(settings: Settings, name: str) -> Path:
    """Make the archive of the image that holds a pod's namespaces, unless it is there."""
    archive = settings.cache / "images" / "pause.tar"
    if not archive.exists():
        program = shutil.which("catatonit")
        if program is None:
            raise DevclusterError("catatonit is missing: run `apt-get install catatonit`.")
        context = settings.cache / "images" / "pause"
        context.mkdir(parents=True, exist_ok=True)
        shutil.copy2(program, context / "catatonit")
        (context / "Dockerfile").write_text(PAUSE_DOCKERFILE)
        build(settings, name, context / "Dockerfile", context)
        partial = archive.with_suffix(".partial")
        partial.unlink(missing_ok=True)
        push(settings, name, f"docker-archive:{partial}:{name}")
        partial.rename(archive)
    return archive


def build(
    settings: Settings,
    image: str,
    dockerfile: Path,
    context: Path,
    options: Sequence[str] = (),
) -> None:
    """
    Build a Dockerfile; RUN steps use chroot, which needs nothing of the machine.

    A person sees the steps; all that the steps print is in a log.
    """
    arguments = ["bud", "--isolation=chroot", "--layers", "--format=oci", f"--tag={image}"]
    arguments += [*options, f"--file={dockerfile}", str(context)]
    command, environ = _command(settings, *arguments)
    log = settings.cache / "logs" / f"image-{dockerfile.parent.name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with (
        subprocess.Popen(
            command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process,
        log.open("w") as output,
    ):
        for line in process.stdout or ():
            output.write(line)
            if line.startswith("STEP"):
                say(f"  {line.rstrip()[:96]}")
    if process.returncode != 0:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
        raise DevclusterError(f"Building {dockerfile} failed; the log {log} ends:\n{tail}")


def _command(settings: Settings, *arguments: str) -> tuple[list[str], dict[str, str]]:
    """Build the command and the environment that keep buildah to our own folders."""
    folder = settings.cache / "images"
    folder.mkdir(parents=True, exist_ok=True)
    # Without this, buildah puts a lock file into /etc/cni.
    config = folder / "containers.conf"
    config.write_text(f'[network]\nnetwork_config_dir = "{folder}/networks"\n')
    storage = [f"--root={folder}/storage", f"--runroot={folder}/run", "--storage-driver=overlay"]
    command = ["unshare", "--mount", "--", "buildah", *storage, *arguments]
    return command, {**os.environ, "CONTAINERS_CONF": str(config)}
