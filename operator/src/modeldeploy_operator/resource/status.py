"""
What the operator reports. The CRD's status schema is generated from these types.
"""

from datetime import datetime
from typing import Any, Literal

from pydantic import Field, TypeAdapter
from pydantic.alias_generators import to_camel, to_snake

from modeldeploy_operator.analysis.judge import Verdict
from modeldeploy_operator.resource.parts import Part
from modeldeploy_operator.rollout.decision import Decision
from modeldeploy_operator.rollout.gates import STAGES
from modeldeploy_operator.rollout.memory import CHAPTER_BYTES, Memory, Outcome, clip
from modeldeploy_operator.rollout.snapshot import Pool, Snapshot

MOST_VERSIONS = 20


class Condition(Part):
    """
    A condition as Kubernetes' API conventions describe it.
    """

    type: str = Field(max_length=316, description="What the condition is about, such as Ready.")
    status: Literal["True", "False", "Unknown"] = Field(description="Whether it holds.")
    reason: str = Field(
        min_length=1,
        max_length=1024,
        pattern=r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$",
        description="The gate or the failure that decides, in one word.",
    )
    message: str = Field("", max_length=1024, description="The same as a sentence.")
    observed_generation: int = Field(
        0, ge=0, description="The generation that the condition is about."
    )
    last_transition_time: datetime = Field(description="When its status changed last.")


class Weight(Part):
    """
    A share of the traffic: what the step asks for, what all routers confirmed, and what was seen.
    """

    desired: str = Field(description="What the present step asks for, such as 10%.")
    effective: str = Field(description="What every ready router has confirmed last.")
    observed: str | None = Field(
        None,
        description="The share of the unpinned requests that it was last seen to get, during a "
        "rollout and at most once per interval of the analysis.",
    )


class RevisionStatus(Part):
    """
    One revision and its pods.
    """

    revision: str = Field(description="The hash of what a user set that reaches a serving pod.")
    version: str = Field(description="The model version that it serves.")
    replicas: int = Field(0, description="The pods that are asked for.")
    ready_replicas: int = Field(0, description="The pods that are ready.")
    weight: Weight = Field(description="Its share of the traffic.")


class CheckStatus(Part):
    """
    What a check says of the canary.
    """

    name: str = Field(description="The check.")
    verdict: Verdict = Field(
        description="Passing, Failing, Waiting for enough requests or an answer, or Unmeasured."
    )
    value: str = Field(description="The share or the value that was seen, such as 0.8%.")
    threshold: str = Field(description="What is allowed, such as 1%.")
    samples: int = Field(
        description="The canary's requests that it saw in this step, where it counts any."
    )
    message: str = Field("", max_length=1024, description="Why, unless it passes.")


class CanaryStatus(RevisionStatus):
    """
    The revision that is being tried.
    """

    step: int = Field(description="The present step, counted from 1.")
    steps: int = Field(description="How many steps there are, the final one included.")
    step_started_at: datetime | None = Field(None, description="When its weight became effective.")
    next_step_at: datetime | None = Field(None, description="When its hold is over.")
    checks: list[CheckStatus] | None = Field(
        None,
        max_length=8,
        description="What the checks say, as of their last look.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )


class HistoryEntry(Part):
    """
    How the rollout of a revision ended.
    """

    revision: str = Field(description="The revision that was rolled out.")
    version: str = Field(description="The model version that it serves.")
    outcome: Outcome = Field(description="How it ended.")
    started_at: datetime = Field(description="When its rollout began.")
    finished_at: datetime = Field(description="When it ended.")
    message: str = Field("", max_length=1024, description="Why it ended so.")


VersionState = Literal["START", "LOADING", "AVAILABLE", "UNLOADING", "END"]


class VersionStatus(Part):
    """
    One version and what its pods are at.
    """

    version: str = Field(description="The version's folder.")
    state: VersionState = Field(
        description="START before a pod loads it, LOADING, AVAILABLE once a pod answers, "
        "UNLOADING while its pods go, END where it cannot be served."
    )
    created: str = Field("", description="When its pods were first asked for.")
    message: str = Field("", max_length=1024, description="What it waits for, or why it ended.")


class ModelStatus(Part):
    """
    What `latest` stands for.
    """

    uri: str = Field(description="The base path that the version was found below.")
    version: str = Field(description="The version that is wanted.")


class ModelDeploymentStatus(Part):
    """
    What is, as the operator saw it last.
    """

    observed_generation: int = Field(-1, description="The generation that this status is about.")
    conditions: list[Condition] = Field(
        default_factory=list,
        description="Whether it answers, whether something is under way, what stands in the way.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    )
    stable: RevisionStatus | None = Field(None, description="The revision that was promoted last.")
    canary: CanaryStatus | None = Field(None, description="The revision that is being tried.")
    model: ModelStatus | None = Field(
        None, description="What spec.model.version stands for, where it is latest."
    )
    history: list[HistoryEntry] = Field(
        default_factory=list,
        max_length=10,
        description="How the last rollouts ended, the newest first.",
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )
    versions: list[VersionStatus] = Field(
        default_factory=list,
        max_length=MOST_VERSIONS,
        description="The versions that are there, in TensorFlow Serving's words.",
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )
    last_handled_action: str = Field("", description="The last action that was done or refused.")
    replicas: int = Field(0, description="The serving pods, stable and canary.")
    selector: str = Field("", description="Selects the serving pods, stable and canary.")
    url: str = Field("", description="Where clients in the cluster send REST requests.")
    rollout: dict[str, Any] = Field(
        default_factory=dict,
        description="What the operator must remember between two looks; not for other programs.",
        json_schema_extra={"type": "object", "x-kubernetes-preserve-unknown-fields": True},
    )


_MEMORY = TypeAdapter(Memory)


def _rename(value: Any, rename: Any) -> Any:
    if isinstance(value, dict):
        return {rename(key): _rename(item, rename) for key, item in value.items()}
    if isinstance(value, list):
        return [_rename(item, rename) for item in value]
    return value


def dump_memory(memory: Memory) -> dict[str, Any]:
    """
    Turn a memory into JSON values; the history and the handled action stand in the status proper.
    """
    values = _MEMORY.dump_python(memory, mode="json", exclude_defaults=True)
    values.pop("history", None)
    values.pop("handled_action", None)
    renamed: dict[str, Any] = _rename(values, to_camel)
    return renamed


def load_memory(status: dict[str, Any]) -> Memory:
    """
    Read the memory back from a status; an empty status is an empty memory.
    """
    values = _rename(status.get("rollout") or {}, to_snake)
    values["history"] = _rename(status.get("history") or [], to_snake)
    values["handled_action"] = status.get("lastHandledAction") or ""
    return _MEMORY.validate_python(values)


def versions_of(decision: Decision, seen: Snapshot) -> list[VersionStatus]:
    """
    List what every pool's pods are at, the versions in the order of their numbers.
    """
    memory, found = decision.memory, []
    known = {**seen.kept}
    if memory.stable:
        known[memory.stable.revision] = memory.stable.version
    if memory.canary:
        known[memory.canary.revision.revision] = memory.canary.revision.version
    for revision, pool in seen.pools.items():
        state, message = _version_state(revision, pool, decision)
        version = known.get(revision, "")
        found.append(
            VersionStatus(version=version, state=state, created=pool.created, message=message)
        )
    found.sort(key=lambda each: (len(each.version), each.version, each.created))
    return found[:MOST_VERSIONS]


def _version_state(revision: str, pool: Pool, decision: Decision) -> tuple[VersionState, str]:
    routing = decision.routing
    reached = {routing.stable, routing.canary, *routing.standing} if routing else {revision}
    if revision not in decision.pools or (revision not in reached and pool.ready):
        return "UNLOADING", ""
    if pool.ready:
        why = pool.failure.message if pool.failure else ""
        return "AVAILABLE", clip(why, CHAPTER_BYTES)
    if pool.failure:
        state: VersionState = "END" if pool.failure.permanent else "START"
        return state, clip(pool.failure.message, CHAPTER_BYTES)
    waits = f"Waiting until {STAGES.get(pool.stage, STAGES['AwaitingPods'])}."
    return "LOADING" if pool.stage == "LoadingModel" else "START", waits
