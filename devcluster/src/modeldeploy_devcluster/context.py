"""
What a Dockerfile's result depends on, as a hash: the tag of the image. Only files are read.

A tag that follows the contents lets pods pick up what changed, and lets a build be skipped when
nothing did. The files are those that COPY, ADD and bind mounts name, less what .dockerignore
leaves out.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Sources:
    """
    What a Dockerfile takes from outside.

    Attributes:
        paths: Paths and patterns in the build context.
        stages: Names after `--from=` and `from=`: other stages, images or named contexts.
    """

    paths: tuple[str, ...]
    stages: tuple[str, ...]


def find_sources(dockerfile: str) -> Sources:
    r"""
    List what a Dockerfile copies or mounts.

    >>> find_sources("COPY --chown=1:1 runtime/pyproject.toml \\\n  protos /app/")
    Sources(paths=('runtime/pyproject.toml', 'protos'), stages=())
    >>> find_sources("COPY --from=versitygw versitygw /usr/bin/")
    Sources(paths=(), stages=('versitygw',))
    """
    paths: list[str] = []
    stages: list[str] = []
    lines = [line for line in dockerfile.splitlines() if not line.lstrip().startswith("#")]
    for line in re.sub(r"\\\n", " ", "\n".join(lines)).splitlines():
        instruction, _, rest = line.strip().partition(" ")
        words = rest.split()
        flags = [word for word in words if word.startswith("--")]
        origin = [flag.partition("=")[2] for flag in flags if flag.startswith("--from=")]
        if instruction.upper() in {"COPY", "ADD"}:
            stages += origin
            if not origin:
                paths += _arguments(rest, words[len(flags) :])[:-1]
        for flag in flags if instruction.upper() == "RUN" else []:
            _read_mount(flag, paths, stages)
    return Sources(tuple(paths), tuple(stages))


def content_hash(root: Path, dockerfile: Path, extra: Iterable[str] = ()) -> str:
    """Hash a Dockerfile, the files it names and anything else that decides the result."""
    text = dockerfile.read_text()
    ignored = build_ignore(_read_ignore(root, dockerfile))
    digest = hashlib.sha256("\0".join((text, *extra)).encode())
    seen: set[str] = set()
    for pattern in find_sources(text).paths:
        for path in _files(root, pattern.lstrip("/") or "."):
            name = path.relative_to(root).as_posix()
            if name in seen or ignored.matches(name):
                continue
            seen.add(name)
            runs = bool(path.stat().st_mode & 0o100)
            contents = hashlib.sha256(path.read_bytes()).hexdigest()
            digest.update(f"{name}\0{runs}\0{contents}\n".encode())
    return digest.hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class Ignore:
    """The rules of a .dockerignore; the last one that matches decides."""

    rules: tuple[tuple[bool, re.Pattern[str]], ...]

    def matches(self, name: str) -> bool:
        """Whether a path, or a folder above it, is left out."""
        left_out = False
        for leaves_out, pattern in self.rules:
            if pattern.match(name):
                left_out = leaves_out
        return left_out


def build_ignore(lines: Iterable[str]) -> Ignore:
    """
    Read the lines of a .dockerignore.

    >>> build_ignore(["**/__pycache__"]).matches("runtime/src/__pycache__/a.pyc")
    True
    >>> build_ignore(["docs", "!docs/adr"]).matches("docs/adr/0001.md")
    False
    """
    rules = []
    for line in lines:
        text = line.strip()
        if text and not text.startswith("#"):
            keeps = text.startswith("!")
            rules.append((not keeps, _compile(text.lstrip("!").strip("/"))))
    return Ignore(tuple(rules))


def _compile(pattern: str) -> re.Pattern[str]:
    """Translate a .dockerignore pattern; it covers the path and all below it."""
    tokens = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", pattern)
    return re.compile("".join(tokens.get(part, re.escape(part)) for part in parts) + "(?:/.*)?$")


def _arguments(rest: str, words: list[str]) -> list[str]:
    """Read the arguments of COPY in its plain form or as a JSON list."""
    bracket = rest.find("[")
    if bracket >= 0 and words and words[0].startswith("["):
        return [str(word) for word in json.loads(rest[bracket:])]
    return words


def _read_mount(flag: str, paths: list[str], stages: list[str]) -> None:
    """Note what `RUN --mount=type=bind` brings in."""
    options = dict(part.partition("=")[::2] for part in flag.partition("=")[2].split(","))
    if not flag.startswith("--mount=") or options.get("type", "bind") != "bind":
        return
    if "from" in options:
        stages.append(options["from"])
    else:
        paths.append(options.get("source") or options.get("src") or ".")


def _files(root: Path, pattern: str) -> Iterator[Path]:
    """List the files of a path or pattern, folders with all below them, in a fixed order."""
    matches = [root] if pattern == "." else sorted(root.glob(pattern))
    for match in matches:
        inside = sorted(match.rglob("*")) if match.is_dir() else [match]
        yield from (path for path in inside if path.is_file())


def _read_ignore(root: Path, dockerfile: Path) -> list[str]:
    """Read the .dockerignore that docker and buildah would both use."""
    own = dockerfile.with_name(f"{dockerfile.name}.dockerignore")
    path = own if own.exists() else root / ".dockerignore"
    return path.read_text().splitlines() if path.exists() else []
