"""
`version: latest`: which version it stands for.

The answer stands in the status, and every pass works with it as if a person had pinned that number:
so it is the same revision, whoever named it. It only ever grows while the uri stays: a storage that
is away, an empty listing or a version that somebody deleted changes nothing. A version that failed
is not tried again, since the answer stays what it is until a newer one is there.
"""

import re
from dataclasses import dataclass, replace
from typing import Any

from modeldeploy_operator.resource import revisions
from modeldeploy_operator.resource.latest.findings import Findings
from modeldeploy_operator.resource.model_spec import LATEST
from modeldeploy_operator.resource.parts import seconds
from modeldeploy_operator.resource.spec import ModelDeploymentSpec
from modeldeploy_operator.rollout.decision import Wanted
from modeldeploy_operator.rollout.memory import Memory, Revision

_NUMBER = re.compile(r"[0-9]{1,18}")
_ORDERED = re.compile(r"[0-9]{1,18}([-_.T][0-9]{1,18})*Z?")
"""Numbers, dates and times: any other folder may be there for another reason."""

_DIGITS = re.compile(r"([0-9]+)")
UNKNOWN = Revision("", "")
"""What is wanted before any version was found."""


@dataclass(frozen=True, slots=True)
class Following:
    """
    A spec that says `latest`, and the version that this stands for; empty while nobody knows.
    """

    uri: str
    version: str
    memory: Memory
    poll: float = 60.0
    settle: float = 10.0
    only_numbers: bool = False

    def wait(self, findings: Findings) -> float:
        """
        Return the seconds after which the watcher may know more.
        """
        soon = self.settle if any(self._is_newer(name) for name, _ in findings.incomplete) else 300
        unready = 300 if findings.looked else 15
        return max(1.0, min(self.poll, soon, unready))

    def hold(self, wanted: Wanted) -> Wanted:
        """
        Want what is wanted already for as long as no version is known.
        """
        if self.version:
            return wanted
        memory = self.memory
        revision = memory.stable or UNKNOWN
        if memory.undo:
            revision = Revision(memory.undo.instead_of, "")
        elif memory.canary and not memory.canary.withdrawal:
            revision = memory.canary.revision
        elif memory.rejected:
            revision = Revision(memory.rejected.revision, "")
        return replace(wanted, revision=revision)

    def learn(self, findings: Findings) -> "Following":
        """
        Take a newer complete version where there is one.
        """
        newer = [name for name in findings.complete if self._is_newer(name)]
        return replace(self, version=max(newer, key=rank)) if newer else self

    def _is_newer(self, version: str) -> bool:
        names = _NUMBER if self.only_numbers else _ORDERED
        if not names.fullmatch(version):
            return False
        return not names.fullmatch(self.version) or rank(version) > rank(self.version)

    def told(self, findings: Findings) -> tuple[bool, str, str]:
        """
        Say whether all is well, the reason in one word, and a sentence.
        """
        if findings.code:
            return False, findings.code, findings.message
        pending = [found for found in findings.incomplete if self._is_newer(found[0])]
        if pending:
            version, why = max(pending, key=lambda found: rank(found[0]))
            sentence = f"Version {version} is not complete yet: {why}"
            return bool(self.version), "VersionIncomplete", sentence
        if not self.version:
            return False, "NoVersion", f"There is no complete version below {self.uri} yet."
        if self.version not in findings.complete:
            sentence = f"Version {self.version} is no longer below {self.uri}, and stays wanted."
            return True, "VersionGone", sentence
        return True, "UpToDate", f"Version {self.version} is the newest below {self.uri}."


def follow(
    spec: ModelDeploymentSpec, name: str, status: dict[str, Any], memory: Memory
) -> tuple[ModelDeploymentSpec, Following | None]:
    """
    Return the spec with the version that `latest` stands for, and what is followed, if anything.
    """
    if str(spec.model.version) != LATEST:
        return spec, None
    known = status.get("model") or {}
    version = str(known.get("version", "")) if known.get("uri") == spec.model.uri else ""
    version = version or _served_already(spec, name, memory)
    return pinned(spec, version or LATEST), Following(
        spec.model.uri,
        version,
        memory,
        poll=seconds(spec.model.poll_interval),
        settle=seconds(spec.model.settle_period),
        only_numbers=spec.server.image is not None,
    )


def _served_already(spec: ModelDeploymentSpec, name: str, memory: Memory) -> str:
    """
    Find the version that makes this very spec a revision which is known, when nothing is followed.

    So a change from a number to `latest` starts no rollout, and tries none that was aborted again.
    """
    rejected = memory.rejected.revision if memory.rejected else ""
    aborted = [c.version for c in memory.history if c.revision == rejected]
    canary = memory.canary.revision if memory.canary and not memory.canary.withdrawal else None
    known = [*(Revision(rejected, version) for version in aborted[:1]), canary, memory.stable]
    for revision in known:
        if revision and revisions.revision_of(pinned(spec, revision.version), name) == revision:
            return revision.version
    return ""


def rank(version: str) -> tuple[str | int, ...]:
    """
    Order versions as the watcher does: runs of digits count as numbers.

    >>> sorted(["10", "9", "2024-11-05T10-00", "2024-02-01"], key=rank)
    ['9', '10', '2024-02-01', '2024-11-05T10-00']
    """
    parts = _DIGITS.split(version)
    return tuple(int(part) if index % 2 else part for index, part in enumerate(parts))


def pinned(spec: ModelDeploymentSpec, version: str) -> ModelDeploymentSpec:
    """
    Return the spec as it is when a person names this version.
    """
    return spec.model_copy(update={"model": spec.model.model_copy(update={"version": version})})
