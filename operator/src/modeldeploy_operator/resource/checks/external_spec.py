"""
What a user may write about checks that others answer: Prometheus, a page, a Job, recorded requests.
"""

import hashlib
import json
import re
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, WithJsonSchema, field_validator, model_validator

from modeldeploy_operator.analysis.external import External, Source
from modeldeploy_operator.resource.parts import (
    STORAGE_RULE,
    STORAGE_URIS,
    Duration,
    Part,
    Percent,
    rule_of,
    rules,
    share_of,
)

PLACEHOLDERS = (
    "name",
    "namespace",
    "model",
    "canary",
    "canaryVersion",
    "stable",
    "stableVersion",
)
"""What may stand in double braces, and is filled in when a question is asked."""

_FILLABLE = rf"^([^{{]|[{{][^{{]|[{{][{{]({'|'.join(PLACEHOLDERS)})[}}][}}])*[{{]?$"
_UNKNOWN = f"only these may stand in double braces: {', '.join(PLACEHOLDERS)}"
_PATH = r"^[$]([.][A-Za-z_][A-Za-z0-9_-]*|\[[0-9]{1,6}\]|\['[^'\]]{1,100}'\])*$"
_PATH_FORM = "jsonPath must be made of $, .name, ['name'] and [index], such as $.data[0].rate"
_ONE_BOUND = "it needs max, min or both"


def _fillable(text: str) -> str:
    if not re.match(_FILLABLE, text):
        raise ValueError(f"{_UNKNOWN}.")
    return text


def _text(most: int, *rules: dict[str, Any]) -> WithJsonSchema:
    rule = rule_of(f"self.matches(r'{_FILLABLE}')", _UNKNOWN)
    return WithJsonSchema(
        {
            "type": "string",
            "minLength": 1,
            "maxLength": most,
            "x-kubernetes-validations": [rule, *rules],
        }
    )


Fillable = Annotated[str, _text(2048), AfterValidator(_fillable)]
_IS_URL = rule_of(
    r"self.matches(r'^https?://[^\s/?#@]+([/?]\S*)?$')",
    "it must be an http:// or https:// URL without a user name",
)
FillableUrl = Annotated[str, _text(1024, _IS_URL), AfterValidator(_fillable)]

SecretName = Annotated[str, Field(min_length=1, max_length=253)]
_CREDENTIALS = (
    "A Secret of this namespace that the operator may read. Its key `token` is sent as a bearer "
    "token, or else `username` and `password` are."
)


class Bounded(Part):
    """
    A value with bounds.
    """

    max: float | None = Field(None, description="The highest value that is good.")
    min: float | None = Field(None, description="The lowest value that is good.")

    @model_validator(mode="after")
    def _is_bounded(self) -> Self:
        if self.max is None and self.min is None:
            raise ValueError(f"{_ONE_BOUND}.")
        return self


_BOUNDED = rules(("has(self.max) || has(self.min)", _ONE_BOUND))


class Prometheus(Bounded):
    """
    A query that gives one number.
    """

    model_config = _BOUNDED

    server: FillableUrl = Field(
        description="Where Prometheus' API is, such as http://prometheus.monitoring:9090."
    )
    query: Fillable = Field(
        description="An instant query that gives a scalar or a vector of one element. "
        "{{canary}} and {{stable}} stand for the revisions."
    )
    secret_name: SecretName | None = Field(None, description=_CREDENTIALS)


class Web(Bounded):
    """
    A number in a JSON document.
    """

    model_config = _BOUNDED

    url: FillableUrl = Field(description="What is asked with GET. Redirects are not followed.")
    json_path: str = Field(
        description="Where the number stands in the answer, such as $.data[0].rate.",
        max_length=256,
        pattern=_PATH,
    )
    headers: dict[str, str] = Field(
        default_factory=dict,
        description="Headers to send, none of them secret.",
        json_schema_extra={
            "maxProperties": 16,
            "additionalProperties": {"type": "string", "maxLength": 512, "pattern": r"^[^\r\n]*$"},
            "x-kubernetes-validations": [
                rule_of(
                    "self.all(name, name.matches('^[A-Za-z][A-Za-z0-9-]{0,63}$') && "
                    "!(name.lowerAscii() in ['authorization', 'host', 'content-length', "
                    "'transfer-encoding', 'connection', 'accept-encoding']))",
                    "a header must have a plain name, and none that the request itself needs; "
                    "credentials belong into the Secret of secretName",
                )
            ],
        },
    )
    secret_name: SecretName | None = Field(None, description=_CREDENTIALS)


_LABELS: dict[str, Any] = {"maxProperties": 16}


class JobMetadata(Part):
    """
    What is added to the pod's labels and annotations.
    """

    labels: dict[str, str] = Field(
        default_factory=dict, description="As in a Pod.", json_schema_extra=_LABELS
    )
    annotations: dict[str, str] = Field(
        default_factory=dict, description="As in a Pod.", json_schema_extra=_LABELS
    )


class JobTemplate(Part):
    """
    The pod of a Job.
    """

    metadata: JobMetadata = Field(default_factory=JobMetadata, description="As in a Pod.")
    spec: dict[str, Any] = Field(
        description="As in a Pod; restartPolicy is Never, and each container gets the addresses, "
        "versions and revisions of canary and stable as environment variables.",
        json_schema_extra={"type": "object", "x-kubernetes-preserve-unknown-fields": True},
    )

    @field_validator("spec")
    @classmethod
    def _can_be_completed(cls, spec: dict[str, Any]) -> dict[str, Any]:
        if not spec.get("containers"):
            raise ValueError("a Job's pod has at least one container.")
        for kind in ("initContainers", "containers"):
            if not _are_maps(spec.get(kind) or []):
                raise ValueError(f"{kind} is a list of containers.")
            for container in spec.get(kind) or []:
                if not _are_maps(container.get("env") or []):
                    raise ValueError("env is a list of variables, each with its name.")
        return spec


def _are_maps(values: Any) -> bool:
    return isinstance(values, list) and all(
        isinstance(value, dict) and "name" in value for value in values
    )


class Job(Part):
    """
    A Job that runs once for each canary, before it gets any traffic.
    """

    template: JobTemplate = Field(description="The pod that judges the canary.")
    timeout: Duration = Field(
        "10m", description="How long it may take; one that takes longer says nothing."
    )


class Replay(Part):
    """
    Recorded requests, which the canary answers before it gets any traffic.
    """

    uri: str = Field(
        description="Where the server's request log is: a file, a folder, or the prefix that the "
        f"log was given, as {STORAGE_URIS}.",
        max_length=1024,
        json_schema_extra={"x-kubernetes-validations": [STORAGE_RULE]},
    )
    max_mismatch: Percent = Field(
        description="The share of recorded requests that may be answered otherwise."
    )
    tolerance: float = Field(
        1e-3,
        ge=0,
        le=1,
        description="By how much numbers may differ, both absolutely and in proportion.",
    )
    max_requests: int = Field(
        1000, ge=1, le=100_000, description="At most so many are sent, the newest first."
    )
    min_requests: int = Field(
        20, ge=1, le=100_000, description="With fewer that can be compared nothing is said."
    )
    timeout: Duration = Field(
        "10m", description="How long it may take; one that takes longer says nothing."
    )
    secret_name: SecretName | None = Field(
        None,
        description="A Secret of this namespace with the storage's credentials, as in spec.model. "
        "Only the Job gets it.",
    )


ExternalPart = Prometheus | Web | Job | Replay

_KINDS = {
    Prometheus: Source.PROMETHEUS,
    Web: Source.WEB,
    Job: Source.JOB,
    Replay: Source.REPLAY,
}


def terms(name: str, part: ExternalPart) -> External:
    """
    Return an external check in the analysis' own terms.
    """
    written = json.dumps(part.model_dump(mode="json", by_alias=True), sort_keys=True)
    asked = hashlib.sha256(written.encode()).hexdigest()[:8]
    low, high = _bounds(part)
    return External(name, _KINDS[type(part)], asked, low, high)


def _bounds(part: ExternalPart) -> tuple[float | None, float | None]:
    if isinstance(part, Job):
        return 1.0, None
    if isinstance(part, Replay):
        return None, share_of(part.max_mismatch)
    return part.min, part.max
