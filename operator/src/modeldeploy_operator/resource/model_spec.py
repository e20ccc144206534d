"""
What a user may write about the model's versions: which one, and what is asked of it.
"""

from typing import Annotated, Any, Literal

from pydantic import Field, WithJsonSchema

from modeldeploy_operator.resource.parts import Part, rule_of

LATEST = "latest"
"""The version that stands for the newest complete one."""

_IS_NUMBER = "matches('^[0-9]+$')"

VERSION_RULES: Any = [
    rule_of(
        "string(self).matches('^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$')",
        "the version must be the name of a folder below the uri, such as 3 or 2024-11-05T10-00, "
        "with letters, digits, dots, dashes and underscores",
    ),
    rule_of(
        f"!string(self).{_IS_NUMBER} || size(string(self)) <= 18",
        "a version that is a number must have at most 18 digits",
    ),
    rule_of(
        "!(string(self) in ['stable', 'canary'])",
        "stable and canary always mean the present roles and cannot be versions",
    ),
]

Version = Annotated[
    int | str,
    WithJsonSchema(
        {
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "x-kubernetes-int-or-string": True,
            "maxLength": 63,
            "x-kubernetes-validations": VERSION_RULES,
        }
    ),
]

MODEL_RULES: dict[str, Any] = {
    "x-kubernetes-validations": [
        rule_of(
            "!has(self.alsoServe) || self.alsoServe.all(one, !has(one.labels) || "
            "one.labels.all(label, label != string(self.version) && "
            "self.alsoServe.all(other, label != string(other.version))))",
            "a label may not be the name of a version",
        ),
        rule_of(
            f"string(self.version) != '{LATEST}' || !has(self.digest)",
            f"a digest belongs to one version, and cannot stand beside {LATEST}",
        ),
    ]
}

SignatureName = Annotated[
    str, WithJsonSchema({"type": "string", "pattern": r"^[^,\s]+$", "maxLength": 128})
]


class Cache(Part):
    """
    A volume that the pods share.
    """

    claim_name: str = Field(
        description="A PersistentVolumeClaim of this namespace that the pods may write; where they "
        "run on several nodes it must be ReadWriteMany.",
        max_length=253,
        pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$",
    )


Platform = Literal["tensorflow"]


class Signatures(Part):
    """
    What is asked of a version's signatures before it gets any traffic.
    """

    required: list[SignatureName] = Field(
        default_factory=list,
        description="Signatures that every version must have, the first one included.",
        max_length=16,
        json_schema_extra={"x-kubernetes-list-type": "set"},
    )
    compatibility: Literal["Strict", "Warn", "Off"] = Field(
        "Strict",
        description="Whether clients of the stable version must be able to use a new one without "
        "noticing: Strict aborts one that they would notice, Warn only tells, Off does not look.",
    )


FOREIGN_RULES = [
    rule_of(
        "!has(self.server) || !has(self.server.image) || "
        f"((string(self.model.version).{_IS_NUMBER} || string(self.model.version) == '{LATEST}') "
        "&& (!has(self.model.alsoServe) || self.model.alsoServe.all(one, "
        f"string(one.version).{_IS_NUMBER})))",
        "an image that is not ours knows versions by numbers alone",
    ),
    rule_of(
        "!has(self.server) || !has(self.server.image) || !has(self.traffic) || "
        "!has(self.traffic.tls)",
        "traffic.tls needs our own image, which encrypts between the routers and the pods: leave "
        "server.image out",
    ),
]
"""What only our runtime has."""
