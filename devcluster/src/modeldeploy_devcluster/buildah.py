"""
Runs buildah on a storage of our own, so that a person's own images are neither seen nor touched.

Every command gets a mount namespace of its own: what the storage mounts ends with it.
"""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from modeldeploy_devcluster.settings import DevclusterError, Settings

PAUSE_DOCKERFILE = 'FROM scratch\nCOPY catatonit /catatonit\nENTRYPOINT ["/catatonit", "-P"]\n'


def run(settings: Settings, *arguments: str, show: bool = False) -> str:
    """Run buildah and give what it prints; `show` lets a person follow instead."""
    folder = settings.cache / "images"
    folder.mkdir(parents=True, exist_ok=True)
    # Without this, buildah puts a lock file into /etc/cni.
    config = folder / "containers.conf"
    config.write_text(f'[network]\nnetwork_config_dir = "{folder}/networks"\n')
    environ = {**os.environ, "CONTAINERS_CONF": str(config)}
    storage = [f"--root={folder}/storage", f"--runroot={folder}/run", "--storage-driver=overlay"]
    command = ["unshare", "--mount", "--", "buildah", *storage, *arguments]
    output = None if show else subprocess.PIPE
    result = subprocess.run(
        command, env=environ, stdout=output, stderr=output, text=True, check=False
    )
    if result.returncode != 0:
        problem = f": {result.stderr.strip()[-2000:]}" if result.stderr else "; see above."
        raise DevclusterError(f"`buildah {arguments[0]}` failed{problem}")
    return result.stdout or ""


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
    """Build a Dockerfile; RUN steps use chroot, which needs nothing of the machine."""
    command = ["bud", "--isolation=chroot", "--layers", "--format=oci", f"--tag={image}"]
    run(settings, *command, *options, f"--file={dockerfile}", str(context), show=bool(options))
