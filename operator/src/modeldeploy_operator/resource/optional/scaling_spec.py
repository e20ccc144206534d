"""
What a user may write about the number of pods: by whom it is kept, and between which limits.
"""

from typing import Annotated, Any

from pydantic import ConfigDict, Field, WithJsonSchema

from modeldeploy_operator.resource.parts import Part, rule_of

Metric = Annotated[
    dict[str, Any],
    WithJsonSchema(
        {
            "type": "object",
            "required": ["type"],
            "properties": {
                "type": {
                    "type": "string",
                    "enum": ["Resource", "ContainerResource", "Pods", "Object", "External"],
                    "description": "The kind of the metric, and the name of the field beside it.",
                }
            },
            "x-kubernetes-preserve-unknown-fields": True,
        }
    ),
]


class Autoscaling(Part):
    """
    A HorizontalPodAutoscaler that keeps `replicas`, by the use of all serving pods.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "x-kubernetes-validations": [
                rule_of(
                    "self.minReplicas <= self.maxReplicas",
                    "autoscaling.minReplicas may not be above autoscaling.maxReplicas",
                )
            ]
        }
    )

    min_replicas: int = Field(1, ge=1, le=1000, description="As few pods as this, or none by hand.")
    max_replicas: int = Field(ge=1, le=1000, description="As many pods as this.")
    metrics: list[Metric] = Field(
        default_factory=list,
        max_length=8,
        description="The metrics of a HorizontalPodAutoscaler (autoscaling/v2), as it takes them; "
        "80 % of the CPU that a pod requests if none is given.",
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )


CPU_RULE = rule_of(
    "!has(self.autoscaling) || "
    "(has(self.autoscaling.metrics) && size(self.autoscaling.metrics) > 0) || "
    "(has(self.resources) && has(self.resources.requests) && 'cpu' in self.resources.requests)",
    "autoscaling without metrics goes by the CPU that pods request: set resources.requests.cpu",
)
"""Without a request there is nothing that 80 % could be taken of."""
