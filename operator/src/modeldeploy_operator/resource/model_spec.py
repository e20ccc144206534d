"""
What a user may write about the model's versions: which one, and what is asked of it.
"""

from typing import Annotated, Any, Literal

from pydantic import Field, WithJsonSchema

from modeldeploy_operator.resource.parts import Part, rule_of

LATEST = "latest"
"""The version that stands for the newest complete one."""

Version = Annotated[
    int | str,
    WithJsonSchema(
        {
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "x-kubernetes-int-or-string": True,
            "maxLength": 19,
            "x-kubernetes-validations": [
                rule_of(
                    f"string(self).matches('^([0-9]{{1,18}}|{LATEST})$')",
                    "the version must be the number of a folder below the uri, such as 3, "
                    f"or {LATEST}",
                )
            ],
        }
    ),
]

DIGEST_RULE: dict[str, Any] = {
    "x-kubernetes-validations": [
        rule_of(
            f"string(self.version) != '{LATEST}' || !has(self.digest)",
            f"a digest belongs to one version, and cannot stand beside {LATEST}",
        )
    ]
}

SignatureName = Annotated[
    str, WithJsonSchema({"type": "string", "pattern": r"^[^,\s]+$", "maxLength": 128})
]


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
