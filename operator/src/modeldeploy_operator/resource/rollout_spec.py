"""
What a user may write about a rollout: its steps, and the checks that judge a canary.
"""

from typing import Literal, Protocol, Self

from pydantic import Field, model_validator

from modeldeploy_operator.analysis.checks import Check, Criteria, OnNoData
from modeldeploy_operator.analysis.external import External
from modeldeploy_operator.analysis.kinds import Kind
from modeldeploy_operator.resource import strategy_spec
from modeldeploy_operator.resource.checks import external_spec
from modeldeploy_operator.resource.checks.counted_spec import ErrorRate, Latency, Shadow
from modeldeploy_operator.resource.checks.external_spec import (
    ExternalPart,
    Job,
    Prometheus,
    Replay,
    Web,
)
from modeldeploy_operator.resource.parts import Duration, Part, Percent, rule_of, rules, seconds
from modeldeploy_operator.rollout import weights
from modeldeploy_operator.rollout.strategy.schedules import Schedule
from modeldeploy_operator.rollout.strategy.steps import Step

_KINDS = {
    "error_rate": "errorRate",
    "latency": "latency",
    "shadow": "shadow",
    "prometheus": "prometheus",
    "web": "web",
    "job": "job",
    "replay": "replay",
}
"""The kinds of checks: field to its name in the object."""
_ONE_KIND = f"a check has exactly one kind: {' or '.join(_KINDS.values())}"
_HAS_ONE_KIND = f"[{', '.join(f'has(self.{name})' for name in _KINDS.values())}].exists_one(x, x)"


class _HasTerms(Protocol):
    def terms(self) -> Kind: ...


class RolloutStep(Part):
    """
    One step of a canary. It ends when its hold is over and its approval, if any, is given.
    """

    weight: Percent = Field(
        description='The canary\'s share in percent: 10, or "0.5%" where less is wanted.'
    )
    hold: Duration = Field("0s", description="How long the share is kept once it is effective.")
    approval: bool = Field(
        default=False, description="Whether a person must approve before the step ends."
    )


class AnalysisCheck(Part):
    """
    One check of the canary; exactly one kind.
    """

    model_config = rules(
        (
            _HAS_ONE_KIND,
            _ONE_KIND,
        )
    )

    name: str = Field(
        description="What the status calls it.",
        min_length=1,
        max_length=40,
        pattern=r"^[a-z]([-a-z0-9]*[a-z0-9])?$",
    )
    error_rate: ErrorRate | None = Field(None, description="How many requests may fail.")
    latency: Latency | None = Field(None, description="How many requests may be slow.")
    shadow: Shadow | None = Field(
        None, description="How many of stable's requests the canary may answer otherwise."
    )
    prometheus: Prometheus | None = Field(None, description="A query to a Prometheus.")
    web: Web | None = Field(None, description="A number in what a web server answers.")
    job: Job | None = Field(None, description="A Job that must succeed before any traffic.")
    replay: Replay | None = Field(
        None, description="Recorded requests that the canary answers before any traffic."
    )

    @property
    def external(self) -> ExternalPart | None:
        """
        What others are asked; None for a check of what was counted.
        """
        return self.prometheus or self.web or self.job or self.replay

    def terms(self) -> Check | External:
        """
        Return the check in the analysis' own terms.
        """
        (kind,) = self._kinds()
        if isinstance(kind, ExternalPart):
            return external_spec.terms(self.name, kind)
        return Check(self.name, kind.terms())

    def _kinds(self) -> list[_HasTerms | ExternalPart]:
        return [kind for field in _KINDS if (kind := getattr(self, field)) is not None]

    @model_validator(mode="after")
    def _has_one_kind(self) -> Self:
        if len(self._kinds()) != 1:
            raise ValueError(f"{_ONE_KIND}.")
        return self


class Analysis(Part):
    """
    By what a canary is judged while it holds its share.
    """

    interval: Duration = Field("30s", description="How often the counts are looked at.")
    min_requests: int = Field(
        200,
        ge=1,
        le=1_000_000,
        description="Requests that each check must have seen in each step: the canary's, or "
        "those that a shadow has compared.",
    )
    on_no_data: OnNoData = Field(
        OnNoData.WAIT,
        description="What happens when a step's hold is over and there were fewer: Wait for "
        "them, Continue without, or Rollback.",
    )
    failure_limit: int = Field(
        2,
        ge=1,
        le=100,
        description="After how many bad measurements in a row a check of kind prometheus or web "
        "has failed.",
    )
    checks: list[AnalysisCheck] = Field(
        default_factory=list,
        description="The checks. A step ends when none has failed and each has seen enough.",
        max_length=8,
        json_schema_extra={
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
            "x-kubernetes-validations": [
                rule_of(
                    "self.filter(check, has(check.shadow)).size() <= 1",
                    "there may be one check of the kind shadow, as a server compares with one",
                )
            ],
        },
    )


class Rollout(Part):
    """
    How a new revision takes over from the stable one.
    """

    model_config = rules(*strategy_spec.RULES)

    strategy: strategy_spec.Strategy = Field(
        "Canary",
        description="Canary: share by share. BlueGreen: all the pods first, then one switch. "
        "Rolling: pod by pod, and the traffic follows. InPlace: another version is loaded into "
        "the pods that run and gets share by share; any other change goes by Rolling.",
    )
    steps: list[RolloutStep] = Field(
        default_factory=list,
        description="The steps of Canary and InPlace. After the last one the new version gets all "
        "the traffic and is promoted. Without steps it gets that as soon as it is ready.",
        max_length=20,
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )
    capacity: strategy_spec.Capacity = Field(
        "Full",
        description="Full: stable keeps all of its pods. Scarce: a Canary's pods and traffic take "
        "turns, with at most maxSurge pods beyond the replicas.",
    )
    max_surge: int | None = Field(
        None,
        ge=1,
        le=1000,
        description="With Rolling, what InPlace does by it, or capacity Scarce: how many pods "
        "there may be beyond the replicas; 1 if it is left out.",
    )
    blue_green: strategy_spec.BlueGreen | None = Field(
        None, description="With BlueGreen: how it switches."
    )
    analysis: Analysis = Field(
        default_factory=Analysis, description="By what the canary is judged."
    )
    on_failure: Literal["Rollback", "Pause"] = Field(
        "Rollback",
        description="What a failed check does: Rollback to stable, or Pause where it stands.",
    )
    progress_deadline: Duration = Field(
        "10m",
        description="How long a step may wait for pods and models without progress before the "
        "canary is aborted.",
    )
    paused: bool = Field(
        default=False,
        description="Whether the rollout stands still. Safety and scaling go on.",
    )

    def external_parts(self) -> dict[str, ExternalPart]:
        """
        Return what is asked of others, by the names of the checks.
        """
        return {check.name: part for check in self.analysis.checks if (part := check.external)}

    def criteria(self) -> Criteria:
        """
        Return by what a canary is judged, in the analysis' own terms.
        """
        terms = [check.terms() for check in self.analysis.checks]
        return Criteria(
            checks=tuple(term for term in terms if isinstance(term, Check)),
            interval=seconds(self.analysis.interval),
            min_requests=self.analysis.min_requests,
            on_no_data=self.analysis.on_no_data,
            pauses=self.on_failure == "Pause",
            external=tuple(term for term in terms if isinstance(term, External)),
            failure_limit=self.analysis.failure_limit,
        )

    def schedule(self) -> Schedule:
        """
        Return how a revision takes over, in the rollout's own terms.
        """
        steps = [
            Step(weights.parse(step.weight), seconds(step.hold), step.approval)
            for step in self.steps
        ]
        return strategy_spec.schedule_of(
            self.strategy, steps, self.blue_green, self.capacity, self.max_surge
        )
