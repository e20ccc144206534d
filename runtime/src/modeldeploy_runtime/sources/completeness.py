"""
Tells whether a version's files are all there: pure, given a listing.

A version folder is complete when it holds ``_SUCCESS``, or a manifest and all that it lists, or
else every file that its format implies.  Somebody who copies a model into place is thus never met
half-way; names and sizes must besides be the same in two listings, for which the callers care.
"""

import json
import re
from collections.abc import Collection, Container, Mapping

MARKER = "_SUCCESS"
MANIFEST = "modeldeploy-manifest.json"
GRAPHS = ("saved_model.pb", "saved_model.pbtxt")
INDEX = "variables/variables.index"

# What a SavedModel may hold besides, and what tells nothing: hidden and half-written files, notes.
_OF_A_SAVED_MODEL = re.compile(
    r"(saved_model\.|variables/|assets(\.extra)?/|debug/|fingerprint\.pb|keras_metadata\.pb)"
    r"|(.*/)?\.|README|LICENSE|.*\.md$"
)
_SHARD = re.compile(r"variables/variables\.data-(\d{5})-of-(\d{5})")


def manifest_files(text: bytes) -> dict[str, int]:
    """
    Read a manifest: ``{"files": {"saved_model.pb": {"size": 1234}, …}}``.

    Raises:
        ValueError: The text is no manifest.
    """
    try:
        files = json.loads(text)["files"]
        return {str(name): int(entry["size"]) for name, entry in files.items()}
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"{MANIFEST} cannot be read: {error}") from error


def manifest_digests(text: bytes) -> dict[str, str]:
    """Read the SHA-256 of those files for which a valid manifest gives one as ``sha256``."""
    files = json.loads(text)["files"]
    return {str(name): str(entry["sha256"]) for name, entry in files.items() if "sha256" in entry}


def has_graph(names: Container[str]) -> bool:
    """Tell whether the file that makes a SavedModel is there."""
    return any(graph in names for graph in GRAPHS)


def what_is_foreign(names: Collection[str]) -> str | None:
    """Name a file by which a version is another kind of model than a SavedModel, or ``None``."""
    if has_graph(names):
        return None
    known = {MARKER, MANIFEST}
    return next(
        (n for n in sorted(names) if n not in known and not _OF_A_SAVED_MODEL.match(n)), None
    )


def what_is_missing(
    sizes: Mapping[str, int], manifest: bytes | None = None, *, saved_model: bool = True
) -> str | None:
    """
    Name what a version still lacks, in a sentence, or ``None`` where it is complete.

    ``sizes`` maps the paths of all files, relative to the version's folder, to their sizes.  Of a
    model that is no SavedModel nobody knows which files belong to it: any will do.
    """
    if MARKER in sizes:
        return None
    if manifest is not None:
        try:
            return _missing_by_manifest(sizes, manifest_files(manifest))
        except ValueError as error:
            return str(error)
    if not saved_model:
        return None if sizes else "It holds no files."
    if not has_graph(sizes):
        return "It holds no saved_model.pb."
    return _missing_variables(sizes)


def _missing_by_manifest(sizes: Mapping[str, int], listed: Mapping[str, int]) -> str | None:
    for name, size in sorted(listed.items()):
        if name not in sizes:
            return f"{name} is missing, which {MANIFEST} lists."
        if sizes[name] != size:
            return f"{name} has {sizes[name]} bytes, and {MANIFEST} says {size}."
    return None


def _missing_variables(sizes: Mapping[str, int]) -> str | None:
    shards = [match for name in sizes if (match := _SHARD.fullmatch(name))]
    if INDEX not in sizes:
        return f"{INDEX} is missing, although shards are there." if shards else None
    counts = {int(match.group(2)) for match in shards}
    if len(counts) != 1:
        return (
            "The shards of its variables are missing."
            if not counts
            else ("The shards of its variables are of different sets.")
        )
    (count,) = counts
    present = {int(match.group(1)) for match in shards}
    for number in range(count):
        if number not in present:
            return f"variables/variables.data-{number:05}-of-{count:05} is missing."
    return None
