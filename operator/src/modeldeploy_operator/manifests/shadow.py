"""
Whom stable's pods ask the same as their clients asked them, and the secret that lets them be told.
"""

import base64
from typing import Any

from modeldeploy_operator.analysis.kinds import Shadow
from modeldeploy_operator.manifests import encryption, names
from modeldeploy_operator.manifests.names import Owner

TOKEN = "token"  # noqa: S105 - the key in a Secret
PATH = "/etc/modeldeploy/control"


def build_target(
    owner: Owner, model: str, canary: str, what: tuple[Shadow, str], authority: str
) -> dict[str, Any]:
    """
    Build what a pod's control port takes: the canary's pods by their headless Service.

    Args:
        owner: The ModelDeployment.
        model: The model's name.
        canary: The canary's revision, or the pods in which it lives.
        what: The check, and the name of the target.
        authority: Who signed the certificate of the canary's pods; empty where they are asked
            plainly.

    """
    check, name = what
    port = names.GRPC_TLS_PORT if authority else names.GRPC_PORT
    target: dict[str, Any] = {
        "name": name,
        "model": model,
        "address": f"{owner.pool(canary)}.{owner.namespace}.svc:{port}",
        "percent": float(check.percent),
        "tolerance": float(check.tolerance),
    }
    if authority:
        target |= {"root_certificates": authority, "server_name": encryption.host(owner)}
    return target


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
