"""
What the parts of the object are made of: their base, rules, durations, shares, quantities.
"""

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, WithJsonSchema
from pydantic.alias_generators import to_camel

from modeldeploy_operator.rollout import weights


def rule_of(rule: str, message: str, path: str | None = None) -> dict[str, Any]:
    """
    Build a CEL rule with the sentence that a refusal says.
    """
    field = {"fieldPath": path} if path else {}
    return {"rule": rule, "message": message, **field}


STORAGE_URIS = "s3://, gs://, abfs(s)://, http(s)://, pvc://CLAIM/PATH or file:///PATH"
"""Where models and request logs may be."""

STORAGE_RULE = rule_of(
    r"self.matches(r'^((s3|gs|https?|pvc)://[^\s/?#@]+|abfss?://[^\s/?#@]+(@[^\s/?#@]+)?"
    r"|file:///[^\s/?#]+)(/[^\s?#]*)?$')",
    "the uri must be s3://BUCKET/PATH, gs://BUCKET/PATH, "
    "abfs(s)://CONTAINER[@ACCOUNT.dfs.core.windows.net]/PATH, http(s)://HOST/PATH, "
    "pvc://CLAIM/PATH or file:///PATH",
)


class Part(BaseModel):
    """
    A part of the object: camelCase outside, immutable inside, no unknown fields.
    """

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, frozen=True, extra="forbid"
    )


_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
LONGEST_SECONDS = 720 * 3600
DURATION_PATTERN = r"^([0-9]+([.][0-9]+)?(ms|s|m|h))+$"


def seconds(duration: str) -> float:
    """
    Turn a duration as Go writes it into seconds: `1m30s` gives 90.0.
    """
    return sum(float(number) * _UNITS[unit] for number, unit in _DURATION.findall(duration))


def _reckonable(duration: str) -> str:
    if not re.match(DURATION_PATTERN, duration) or seconds(duration) > LONGEST_SECONDS:
        raise ValueError(f"{duration!r} is not a duration of at most 720h, such as 30s or 1h30m.")
    return duration


Duration = Annotated[
    str,
    WithJsonSchema(
        {
            "type": "string",
            "maxLength": 32,
            "x-kubernetes-validations": [
                rule_of(
                    f"self.matches('{DURATION_PATTERN}') && duration(self) <= duration('720h')",
                    "this must be a duration such as 30s or 1h30m, and at most 720h",
                )
            ],
        }
    ),
    AfterValidator(_reckonable),
]

Percent = Annotated[
    int | str,
    WithJsonSchema(
        {
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "x-kubernetes-int-or-string": True,
            "maxLength": 8,
            "x-kubernetes-validations": [
                rule_of(
                    "type(self) == int ? (self >= 0 && self <= 100) : "
                    "self.matches('^(100|[0-9]{1,2}(\\\\.[0-9]{1,2})?)%$')",
                    'this must be a percentage from 0 to 100 such as 10 or "0.5%", in hundredths '
                    "of a percent at the finest",
                )
            ],
        }
    ),
]


Quantities = Annotated[
    dict[str, int | str],
    WithJsonSchema(
        {
            "type": "object",
            "maxProperties": 16,
            "additionalProperties": {
                "anyOf": [{"type": "integer"}, {"type": "string"}],
                "maxLength": 32,
                "x-kubernetes-int-or-string": True,
            },
            "x-kubernetes-validations": [
                rule_of(
                    "self.all(name, isQuantity(string(self[name])))",
                    "a resource must be a quantity such as 500m, 2 or 1Gi",
                )
            ],
        }
    ),
]


def rules(*written: tuple[str, str]) -> ConfigDict:
    """
    Build the configuration of a part with CEL rules, each with what a refusal says.
    """
    found: Any = [rule_of(rule, message) for rule, message in written]
    return ConfigDict(json_schema_extra={"x-kubernetes-validations": found})


def share_of(percent: int | str | None) -> float | None:
    """
    Turn a percentage into a share from 0 to 1.
    """
    return None if percent is None else weights.parse(percent) / weights.FULL
