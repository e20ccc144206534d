"""
Telling stable's pods whom to ask the same as their clients asked them: looked at in each pass.

A pod that says what is wanted is left alone. While no canary is compared, pods are asked once in
this process' life whether an earlier one left a target behind.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from modeldeploy_operator.analysis.checks import Check
from modeldeploy_operator.analysis.kinds import SHADOW, Shadow
from modeldeploy_operator.cluster.observe import Observation
from modeldeploy_operator.cluster.port import Manifest
from modeldeploy_operator.cluster.tokens import Tokens
from modeldeploy_operator.evidence.counters import target_name
from modeldeploy_operator.evidence.probe import Probe
from modeldeploy_operator.manifests import encryption, plan, shadow
from modeldeploy_operator.manifests.names import Owner
from modeldeploy_operator.rollout.decision import Wanted
from modeldeploy_operator.rollout.memory import Memory

NO_PORT = (
    "no pod of the stable revision has a control port, which the operator's own runtime has since "
    "this release, and other images (spec.server.image) have not"
)

OK, REFUSED = 200, 401

Target = dict[str, Any]


class Shadowing:
    """
    Brings the targets of pods about, and remembers why that did not work.

    `check` fails where another operator leads: a pod is told by the one that leads.
    """

    def __init__(
        self, probe: Probe, tokens: Tokens, check: Callable[[], None] | None = None
    ) -> None:
        self._probe = probe
        self._tokens = tokens
        self._check = check
        self._problems: dict[tuple[str, str], str] = {}
        self._refused: set[tuple[str, str]] = set()
        self._clear: dict[tuple[str, str], str] = {}

    def problems(self, owner: Owner) -> Mapping[str, str]:
        """
        Say why checks cannot be measured that need a target, as of the last pass.
        """
        problem = self._problems.get((owner.namespace, owner.name))
        return {SHADOW: problem} if problem else {}

    async def prepare(
        self, owner: Owner, manifests: Iterable[Manifest], observed: Observation
    ) -> None:
        """
        Make the secret before the pods that mount it, and again while some of them are missing.

        Raises:
            ClusterError: The API server refused or could not be reached.

        """
        if plan.needs_token(owner, manifests):
            refused = (owner.namespace, owner.name) in self._refused
            again = refused or not observed.seen.is_complete
            await self._tokens.ensure(owner, again=again)

    async def follow(
        self, owner: Owner, model: str, wanted: Wanted, memory: Memory, observed: Observation
    ) -> None:
        """
        Make stable's pods ask the canary, or nobody; what does not work is a problem of checks.
        """
        key = (owner.namespace, owner.name)
        target = _target(owner, model, wanted, memory, (observed, self._tokens.authority))
        if target is None and not _is_compared(wanted, memory):
            self._problems.pop(key, None)
        if target is None:
            if self._clear.get(key) == owner.uid:
                return
            addresses = _reachable(owner, observed)
        else:
            stable = memory.stable.revision if memory.stable else ""
            addresses = _reachable(owner, observed, stable)
            self._clear.pop(key, None)
        told = await asyncio.gather(*(self._tell(owner, a, target) for a in addresses))
        wrong = [problem for problem in told if problem]
        if target is not None:
            problem = NO_PORT if not addresses else wrong[0] if len(wrong) == len(told) else ""
            self._problems[key] = problem
        elif not wrong:
            self._clear[key] = owner.uid

    def forget(self, namespace: str, name: str) -> None:
        """
        Forget an owner that is gone.
        """
        self._problems.pop((namespace, name), None)
        self._clear.pop((namespace, name), None)
        self._refused.discard((namespace, name))
        self._tokens.forget(namespace, name)

    async def _tell(self, owner: Owner, address: str, target: Target | None) -> str:
        """
        Tell one pod, unless it says so already; return why that did not work.
        """
        token, key = self._tokens.of(owner), (owner.namespace, owner.name)
        status, answer = await self._probe.control(address, token, "GET")
        if status == OK and (answer or {}).get("target") != target:
            if self._check:
                self._check()
            method = "DELETE" if target is None else "PUT"
            status, answer = await self._probe.control(address, token, method, target)
        if status == OK:
            self._refused.discard(key)
            return ""
        if not status:
            return f"the control port of the pod at {address} does not answer"
        if status == REFUSED:
            self._refused.add(key)
            return (
                f"the pod at {address} refuses the operator's token; delete the Secret "
                f"{owner.control}, which is made anew"
            )
        said = (answer or {}).get("error", "")
        return f"the control port of the pod at {address} answers {status}: {said}"


def _is_compared(wanted: Wanted, memory: Memory) -> bool:
    return bool(memory.canary and not memory.canary.withdrawal and _check(wanted))


def _check(wanted: Wanted) -> tuple[Check, Shadow] | None:
    for check in wanted.criteria.checks:
        if isinstance(check.what, Shadow):
            return check, check.what
    return None


def _target(
    owner: Owner,
    model: str,
    wanted: Wanted,
    memory: Memory,
    found: tuple[Observation, str],
) -> Target | None:
    """
    Find whom stable's pods are to ask: the canary, once a pod of it is ready.

    They ask over encrypted connections where pods of both versions are of a time that knows them.
    """
    observed, authority = found
    asked, canary, stable = _check(wanted), memory.canary, memory.stable
    if asked is None or canary is None or canary.withdrawal or stable is None:
        return None
    check, what = asked
    revision = canary.revision.revision
    if not observed.seen.ready(revision):
        return None
    both = all(encryption.is_offered(_template(observed, r)) for r in (stable.revision, revision))
    named = (what, target_name(revision, check))
    return shadow.build_target(owner, model, revision, named, authority if both else "")


def _template(observed: Observation, revision: str) -> Manifest:
    """
    Find what the pods of a revision were made from.
    """
    record = observed.kept.get(revision)
    template: Manifest = (record.data.get("template") if record else None) or {"spec": {}}
    return template


def _reachable(owner: Owner, observed: Observation, revision: str | None = None) -> list[str]:
    """
    List the ready pods that have a control port, of one revision or of all.
    """
    return [
        address
        for name, addresses in observed.addresses.items()
        if revision in (None, name) and shadow.is_told(_template(observed, name), owner)
        for address in addresses
    ]
