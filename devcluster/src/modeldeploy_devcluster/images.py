"""
Builds the project's images, with Docker where an engine answers and with buildah elsewhere.

The context is the checkout's root. The tag is the hash of what goes in, so an image that is there
need not be built. Named contexts carry programs of `toolchain` into an image: a Dockerfile that
says `COPY --from=versitygw` gets the folder of that tool.
"""

import json
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from modeldeploy_devcluster import buildah, context, index_settings, packages, toolchain
from modeldeploy_devcluster.settings import REGISTRY, DevclusterError, Settings, say

DOCKERFILES = {
    "runtime": "runtime/Dockerfile",
    "operator": "operator/Dockerfile",
    "router": "router/Dockerfile",
    "s3": "examples/s3/Dockerfile",
    "prometheus": "examples/prometheus/Dockerfile",
}
REPOSITORY = f"{REGISTRY}/modeldeploy"
BASE_IMAGE = "localhost/modeldeploy-base:bookworm"
_BASE_DOCKERFILE = 'FROM scratch\nADD base.tar /\nCMD ["bash"]\n'
_SLIM = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/info/*", "/usr/share/locale/*")


@dataclass(frozen=True, slots=True)
class Image:
    """
    One image of the project at one state of its sources.

    Attributes:
        contexts: The folders behind the names of `COPY --from=NAME`.
    """

    name: str
    dockerfile: Path
    repository: str
    tag: str
    contexts: dict[str, Path]

    @property
    def reference(self) -> str:
        """The full name, as a pod writes it."""
        return f"{self.repository}:{self.tag}"


def describe(settings: Settings, name: str) -> Image:
    """Work out an image's name and tag; builds the tools that it carries."""
    if name not in DOCKERFILES:
        raise DevclusterError(f"There is no image {name!r}; there are: {', '.join(DOCKERFILES)}.")
    dockerfile = settings.repo / DOCKERFILES[name]
    if not dockerfile.is_file():
        raise DevclusterError(f"{dockerfile} does not exist, so the image {name} cannot be built.")
    stages = context.find_sources(dockerfile.read_text()).stages
    tools = sorted(set(stages) & toolchain.TOOLS.keys())
    contexts = {tool: toolchain.ensure(settings, tool) for tool in tools}
    extra = [folder.name for folder in contexts.values()]
    tag = context.content_hash(settings.repo, dockerfile, extra)
    return Image(name, dockerfile, f"{REPOSITORY}/{name}", tag, contexts)


def build(settings: Settings, names: Iterable[str], *, docker: bool) -> list[Image]:
    """Build those of the named images that are not there yet."""
    if not docker:
        packages.require_root("Building images without Docker")
        missing = packages.missing_packages(packages.IMAGE_PROGRAMS, keys=True)
        packages.ensure(missing)
    images = [describe(settings, name) for name in names]
    with toolchain.locked(settings, "images"):
        for image in images:
            present = _docker_has(image) if docker else buildah.has(settings, image.reference)
            if present:
                say(f"The image {image.reference} is up to date.")
            else:
                say(f"Building the image {image.reference}.")
                _build(settings, image, docker=docker)
    record = settings.cache / "images.json"
    record.parent.mkdir(parents=True, exist_ok=True)
    known = json.loads(record.read_text()) if record.exists() else {}
    record.write_text(json.dumps(known | to_json(images), indent=1) + "\n")
    return images


def to_json(images: Iterable[Image]) -> dict[str, dict[str, str]]:
    """Give images in the form that scripts and the chart's values can take."""
    return {
        image.name: {"image": image.reference, "repository": image.repository, "tag": image.tag}
        for image in images
    }


def push(settings: Settings, image: Image, destination: str, *, docker: bool) -> None:
    """Push a built image to a registry that other machines reach."""
    say(f"Pushing {destination}.")
    if docker:
        for command in (["tag", image.reference, destination], ["push", "--quiet", destination]):
            subprocess.run(["docker", *command], check=True)
    else:
        buildah.push(settings, image.reference, f"docker://{destination}")


def push_to_node_registry(settings: Settings, reference: str) -> str:
    """Push an image of buildah's storage to the cluster's registry; give its name there."""
    path = local_name(reference).removeprefix(f"{REGISTRY}/")
    name, _, tag = path.rpartition(":")
    manifest = f"http://{settings.registry_address}/v2/{name}/manifests/{tag}"
    accepted = "application/vnd.oci.image.manifest.v1+json"
    request = urllib.request.Request(manifest, headers={"Accept": accepted}, method="HEAD")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        opener.open(request, timeout=10).close()
    except urllib.error.HTTPError:
        buildah.push(settings, reference, f"docker://{settings.registry_address}/{path}")
    except OSError as error:
        raise DevclusterError(f"The cluster's registry does not answer: {error}.") from error
    return f"{REGISTRY}/{path}"


def local_name(reference: str) -> str:
    """
    Name an image in the cluster's registry, whichever registry it names itself.

    >>> local_name("redis:7")
    'registry.local:5000/redis:7'
    >>> local_name("quay.io/a/b")
    'registry.local:5000/a/b:latest'
    """
    first, slash, rest = reference.partition("/")
    path = rest if slash and ("." in first or ":" in first or first == "localhost") else reference
    tagged = path if ":" in path.rpartition("/")[2] else f"{path}:latest"
    return f"{REGISTRY}/{tagged}"


def _build(settings: Settings, image: Image, *, docker: bool) -> None:
    """Build one image, with the machine's index settings as secrets."""
    with tempfile.TemporaryDirectory() as folder:
        files = index_settings.write(Path(folder))
        options = [f"--secret=id={name},src={path}" for name, path in files.items()]
        options += [f"--build-context={name}={path}" for name, path in image.contexts.items()]
        if docker:
            command = ["docker", "build", f"--tag={image.reference}", *options]
            command += [f"--file={image.dockerfile}", str(settings.repo)]
            if subprocess.run(command, check=False).returncode != 0:
                raise DevclusterError(
                    f"`docker build` of the image {image.name} failed; see above."
                )
        else:
            _ensure_base(settings)
            options.append(f"--build-arg=BASE_IMAGE={BASE_IMAGE}")
            buildah.build(settings, image.reference, image.dockerfile, settings.repo, options)


def _docker_has(image: Image) -> bool:
    """Whether Docker has an image of this name."""
    command = ["docker", "image", "inspect", image.reference]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _ensure_base(settings: Settings) -> None:
    """Make the stand-in for debian:bookworm-slim from Debian packages, once."""
    if buildah.has(settings, BASE_IMAGE):
        return
    say("Making the base image from Debian packages; this is done once.")
    folder = settings.cache / "images" / "base"
    folder.mkdir(parents=True, exist_ok=True)
    command = ["mmdebstrap", "--quiet", "--variant=minbase"]
    command += [f"--dpkgopt=path-exclude={pattern}" for pattern in _SLIM]
    command += ["--dpkgopt=path-include=/usr/share/doc/*/copyright"]
    # These two would be this machine's own.
    command += ['--customize-hook=rm -f "$1/etc/resolv.conf" "$1/etc/hostname"']
    command += ["bookworm", str(folder / "base.tar")]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise DevclusterError(f"`mmdebstrap` failed: {result.stderr.strip()[-2000:]}")
    (folder / "Dockerfile").write_text(_BASE_DOCKERFILE)
    buildah.build(settings, BASE_IMAGE, folder / "Dockerfile", folder)
    (folder / "base.tar").unlink()
