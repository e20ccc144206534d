"""
Whom stable's pods ask the same as their clients asked them, and the secret that lets them be told.
"""

import base64
from typing import Any

from modeldeploy_operator.analysis.kinds import Shadow
from modeldeploy_operator.manifests import names
from modeldeploy_operator.manifests.names import Owner

TOKEN = "token"  # noqa: S105 - the key in a Secret
PATH = "/etc/modeldeploy/control"


def build_target(owner: Owner, model: str, canary: str, what: Shadow, name: str) -> dict[str, Any]:
    """
    Build what a pod's control port takes: the canary's pods by their headless Service.
    """
    return {
        "name": name,
        "model": model,
        "address": f"{owner.pool(canary)}.{owner.namespace}.svc:{names.GRPC_PORT}",
        "percent": float(what.percent),
        "tolerance": float(what.tolerance),
    }


def build_secret(owner: Owner, token: str) -> dict[str, Any]:
    """
    Build the Secret that the operator and the serving pods of one ModelDeployment share.
    """
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": owner.metadata(owner.control, names.SERVER),
        "type": "Opaque",
        "data": {TOKEN: base64.b64encode(token.encode()).decode()},
    }


def is_told(template: dict[str, Any], owner: Owner) -> bool:
    """
    Tell whether pods of a template mount the secret.
    """
    volumes = template["spec"].get("volumes") or []
    return any((v.get("secret") or {}).get("secretName") == owner.control for v in volumes)
