"""
Measuring what others say of a canary, beside the passes: none of them waits for an answer.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

from yarl import URL

from modeldeploy_operator.analysis import findings
from modeldeploy_operator.analysis.external import External, Measurement
from modeldeploy_operator.evidence.external import credentials, filling, reading
from modeldeploy_operator.evidence.external.asking import Asker, AskError
from modeldeploy_operator.evidence.external.credentials import Secrets
from modeldeploy_operator.evidence.external.filling import Facts
from modeldeploy_operator.manifests.names import Owner
from modeldeploy_operator.resource.checks.external_spec import ExternalPart, Prometheus, Web
from modeldeploy_operator.resource.spec import ModelDeploymentSpec
from modeldeploy_operator.rollout.decision import Wanted
from modeldeploy_operator.rollout.memory import Memory
from modeldeploy_operator.rollout.snapshot import Snapshot

log = logging.getLogger(__name__)

Key = tuple[str, str]
Wake = Callable[[str, str], None]
AT_ONCE = 32
"""How many objects' checks are measured at the same time."""


@dataclass(frozen=True, slots=True)
class Question:
    """
    One check, and how it is put.
    """

    check: External
    part: ExternalPart
    facts: Facts


@dataclass(frozen=True, slots=True)
class About:
    """
    What a pass is about.
    """

    owner: Owner
    spec: ModelDeploymentSpec
    wanted: Wanted
    memory: Memory
    now: datetime


def questions(about: About, seen: Snapshot) -> tuple[Question, ...]:
    """
    Return what is to be asked now: nothing while the canary has no traffic, or it is too early.
    """
    canary, stable = about.memory.canary, about.memory.stable
    if canary is None or stable is None or canary.withdrawal or canary.full:
        return ()
    revision = canary.revision
    routing = seen.routing
    if not canary.had_traffic or routing is None or not routing.share(revision.revision):
        return ()
    criteria, since = about.wanted.criteria, canary.step_started_at
    facts = Facts(
        name=about.owner.name,
        namespace=about.owner.namespace,
        model=about.spec.model_name(about.owner.name),
        canary=revision.revision,
        canaryVersion=revision.version,
        stable=stable.revision,
        stableVersion=stable.version,
    )
    parts = about.spec.rollout.external_parts()
    due = findings.is_due(criteria, canary.external, since, about.now)
    return tuple(Question(check, parts[check.name], facts) for check in due)


class Measurer:
    """
    Asks in the background; what was answered is collected by a later pass, which it asks for.
    """

    def __init__(self, asker: Asker, secrets: Secrets, wake: Wake) -> None:
        self._asker = asker
        self._secrets = secrets
        self._wake = wake
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._tasks: dict[Key, tuple[tuple[Question, ...], asyncio.Task[list[Measurement]]]] = {}

    def collect(self, key: Key, due: tuple[Question, ...]) -> Mapping[str, Measurement]:
        """
        Return the answers to what is due, if they are there; else see to it that it is asked.
        """
        asked, task = self._tasks.get(key, ((), None))
        if task is not None and asked != due:
            self.forget(key)
            task = None
        if task is None and due:
            self._tasks[key] = (due, asyncio.create_task(self._measure(key, due)))
        if task is None or not task.done():
            return {}
        del self._tasks[key]
        return {q.check.name: found for q, found in zip(due, task.result(), strict=True)}

    def forget(self, key: Key) -> None:
        """
        Stop asking for an object.
        """
        _, task = self._tasks.pop(key, ((), None))
        if task is not None:
            task.cancel()

    async def close(self) -> None:
        """
        Stop asking.
        """
        tasks = [task for _, task in self._tasks.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._tasks.clear()
        await self._asker.close()

    async def _measure(self, key: Key, due: tuple[Question, ...]) -> list[Measurement]:
        async with self._slots:
            found = await asyncio.gather(*(self._ask(question) for question in due))
        self._wake(*key)
        return list(found)

    async def _ask(self, question: Question) -> Measurement:
        asked = question.check.asked
        try:
            return Measurement(asked, await self._value(question))
        except AskError as error:
            return Measurement(asked, problem=str(error))
        except Exception as error:
            log.exception("A check could not be measured.")
            return Measurement(asked, problem=f"Measuring it failed: {type(error).__name__}.")

    async def _value(self, question: Question) -> float:
        part, facts = question.part, question.facts
        if isinstance(part, Prometheus):
            url = _prometheus_url(part, facts)
            headers = await self._credentials(part.secret_name, facts)
            return reading.prometheus(await self._asker.ask(url, headers))
        if isinstance(part, Web):
            url = _url(filling.fill(part.url, facts, lambda value: quote(value, safe="")))
            headers = {**part.headers, **await self._credentials(part.secret_name, facts)}
            return reading.at_path(await self._asker.ask(url, headers), part.json_path)
        raise TypeError(f"{type(part).__name__} is answered by a Job")

    async def _credentials(self, name: str | None, facts: Facts) -> dict[str, str]:
        if name is None:
            return {}
        return credentials.header(name, await self._secrets(facts.namespace, name))


def _prometheus_url(part: Prometheus, facts: Facts) -> URL:
    server = _url(filling.fill(part.server, facts, lambda value: quote(value, safe="")))
    query = filling.fill(part.query, facts, filling.in_query)
    return server / "api/v1/query" % {"query": query}


def _url(text: str) -> URL:
    try:
        return URL(text)
    except ValueError as error:
        raise AskError(f"{text[:200]} is no URL: {error}.") from error
