"""
The autoscaler of a ModelDeployment: it writes `replicas` through the scale subresource.
"""

from typing import Any

from modeldeploy_operator.manifests import names
from modeldeploy_operator.manifests.names import Owner
from modeldeploy_operator.resource import API_VERSION, KIND
from modeldeploy_operator.resource.optional.scaling_spec import Autoscaling


def build_autoscaler(owner: Owner, wanted: Autoscaling) -> dict[str, Any]:
    """
    Build the HorizontalPodAutoscaler.

    Its target is the ModelDeployment, so that promotions do not concern it.
    """
    spec = {
        "scaleTargetRef": {"apiVersion": API_VERSION, "kind": KIND, "name": owner.name},
        "minReplicas": wanted.min_replicas,
        "maxReplicas": wanted.max_replicas,
    }
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": owner.metadata(owner.name, names.SERVER),
        "spec": {**spec, "metrics": wanted.metrics or [BY_CPU]},
    }


BY_CPU: dict[str, Any] = {
    "type": "Resource",
    "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}},
}
"""What Kubernetes itself takes where no metric is given; said, so that nothing is left to guess."""
