"""
What a user may write about versions served for good, and about who is answered by which.
"""

import re
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, WithJsonSchema, model_validator

from modeldeploy_operator.resource.model_spec import LATEST, VERSION_RULES
from modeldeploy_operator.resource.parts import Part, rule_of
from modeldeploy_operator.rollout import weights
from modeldeploy_operator.rollout.snapshot import Match, Rules

MOST_ALSO, MOST_KEPT = 5, 3
"""With stable, canary and the pools that drain they fit the routers' twelve slots."""

_VERSION = {
    "anyOf": [{"type": "integer"}, {"type": "string"}],
    "x-kubernetes-int-or-string": True,
    "maxLength": 63,
    "x-kubernetes-validations": [
        *VERSION_RULES,
        rule_of(
            f"string(self) != '{LATEST}'",
            f"{LATEST} is no version that can be served for good",
        ),
    ],
}

Label = Annotated[
    str,
    WithJsonSchema(
        {
            "type": "string",
            "maxLength": 63,
            "x-kubernetes-validations": [
                rule_of(
                    "self.matches('^[A-Za-z]([-A-Za-z0-9_.]*[A-Za-z0-9])?$')",
                    "a label starts with a letter, so that it is no version, and holds letters, "
                    "digits, dots, dashes and underscores",
                ),
                rule_of(
                    "!(self in ['stable', 'canary'])",
                    "stable and canary always mean the present roles and may not be given",
                ),
            ],
        }
    ),
]

HeaderName = Annotated[
    str,
    WithJsonSchema(
        {"type": "string", "maxLength": 64, "pattern": "^[a-z0-9]([-a-z0-9_]*[a-z0-9])?$"}
    ),
]

_HEADER_NAME = re.compile("[a-z0-9]([-a-z0-9_]{0,62}[a-z0-9])?")


def _named(headers: dict[str, str]) -> dict[str, str]:
    for name in headers:
        if not _HEADER_NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no header's name in lower case, such as x-cohort.")
    return headers


Headers = Annotated[
    dict[str, str],
    WithJsonSchema(
        {
            "type": "object",
            "minProperties": 1,
            "maxProperties": 8,
            "additionalProperties": {"type": "string", "minLength": 1, "maxLength": 256},
        }
    ),
    # The names of a map's keys have no bound that a CEL rule could be reckoned with.
    AfterValidator(_named),
]


class AlsoServed(Part):
    """
    One version that is served beside the wanted one for good.
    """

    version: Annotated[int | str, WithJsonSchema(_VERSION)] = Field(
        description="The version's folder."
    )
    replicas: int = Field(1, ge=1, le=1000, description="Its pods.")
    labels: list[Label] = Field(
        default_factory=list,
        description="By what it can be asked for, besides its version.",
        max_length=4,
        json_schema_extra={"x-kubernetes-list-type": "set"},
    )
    weight: int = Field(
        0,
        ge=0,
        le=100,
        description="Its lasting share, in percent of the requests that name no version. It is "
        "taken before stable and canary divide the others.",
    )


ALSO_RULES: Any = [
    rule_of(
        "self.all(one, self.exists_one(other, string(one.version) == string(other.version)))",
        "each version may be there once",
    ),
    rule_of(
        "self.all(one, !has(one.labels) || one.labels.all(label, self.exists_one(other, "
        "has(other.labels) && label in other.labels)))",
        "each label may be there once",
    ),
    rule_of(
        "self.map(one, has(one.weight) ? one.weight : 0).sum() <= 100",
        "the lasting shares may be 100 percent together at most",
    ),
]


class MatchRule(Part):
    """
    A lasting rule about requests that name no version.
    """

    name: str = Field(
        description="What the rule is called.",
        min_length=1,
        max_length=40,
        pattern=r"^[a-z]([-a-z0-9]*[a-z0-9])?$",
    )
    headers: Headers = Field(
        description="The headers, or metadata, that a request must have with exactly these values."
    )
    to: Literal["Canary", "Stable"] = Field(
        description="Who answers. There is no canary to go to before it has a share: stable "
        "answers then."
    )


class Sticky(Part):
    """
    By what a client stays with the version that answers it; exactly one.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "x-kubernetes-validations": [
                rule_of("has(self.header) != has(self.cookie)", "sticky is a header or a cookie")
            ]
        }
    )

    header: HeaderName | None = Field(None, description="A header or metadata, such as x-user-id.")
    cookie: str | None = Field(
        None,
        description="A cookie's name.",
        min_length=1,
        max_length=64,
        pattern="^[-A-Za-z0-9_]+$",
    )

    @model_validator(mode="after")
    def _has_one(self) -> Self:
        if (self.header is None) == (self.cookie is None):
            raise ValueError("sticky is a header or a cookie.")
        return self


class Auth(Part):
    """
    Who may send requests.
    """

    tokens_secret_name: str = Field(
        description="A Secret of this namespace with a key for each client, whose value is the "
        "token that the client sends as `authorization: Bearer TOKEN`. The routers refuse "
        "everything else.",
        min_length=1,
        max_length=253,
    )


class Tls(Part):
    """
    How clients' connections are encrypted.
    """

    secret_name: str = Field(
        description="A Secret of this namespace of the type kubernetes.io/tls, with the "
        "certificate that the routers show as tls.crt and its key as tls.key. The routers encrypt "
        "again to the pods. A renewed certificate needs no restart.",
        min_length=1,
        max_length=253,
    )


def rules_of(match: list[MatchRule], sticky: Sticky | None) -> Rules:
    """
    Return the rules in the rollout's own terms.
    """
    kept = None
    if sticky:
        kept = ("header", sticky.header) if sticky.header else ("cookie", sticky.cookie or "")
    found = tuple(Match(rule.name, dict(rule.headers), rule.to.lower()) for rule in match)
    return Rules(found, kept)


def share_of(entry: AlsoServed) -> int:
    """
    Return the lasting share in ten-thousandths.
    """
    return weights.parse(entry.weight)
