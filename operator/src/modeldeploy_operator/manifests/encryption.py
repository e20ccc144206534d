"""
Encryption between the routers and the pods.

Pods of our image always offer it, on ports of their own, so that it is asked for without another
revision. Their certificate is the operator's: a tenant's key never lies beside a model.
"""

import base64
import json
from collections.abc import Container
from typing import Any

from modeldeploy_operator.manifests import names
from modeldeploy_operator.manifests.entrance.routing import KEY
from modeldeploy_operator.manifests.names import Owner

Manifest = dict[str, Any]
VOLUME, PATH = "encryption", "/etc/modeldeploy/encryption"
CONFIG, AUTHORITY = "ssl.config", "ca.crt"
ARGS = (
    f"--ssl_port={names.GRPC_TLS_PORT}",
    f"--ssl_config_file={PATH}/{CONFIG}",
    f"--rest_api_ssl_port={names.REST_TLS_PORT}",
    f"--rest_api_ssl_config_file={PATH}/{CONFIG}",
)


def host(owner: Owner) -> str:
    """
    Return the host that the certificate of an object's pods is for, wherever a pod is.
    """
    return f"{owner.name}.{owner.namespace}.svc"


def build_secret(owner: Owner, key: str, certificate: str, authority: str) -> Manifest:
    """
    Build the Secret that pods mount, and of which others get who signed it.

    Args:
        owner: The ModelDeployment.
        key: The private key as PEM.
        certificate: The certificate as PEM.
        authority: The certificate of who signed it, as PEM.

    """
    config = f"server_key: {json.dumps(key)}\nserver_cert: {json.dumps(certificate)}\n"
    files = {CONFIG: config, AUTHORITY: authority}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": owner.metadata(owner.encryption, names.SERVER),
        "type": "Opaque",
        "data": {name: base64.b64encode(text.encode()).decode() for name, text in files.items()},
    }


def offer(owner: Owner, pod: Manifest) -> None:
    """
    Let the server of a pod encrypt, on ports of its own.
    """
    secret = {"secretName": owner.encryption, "defaultMode": 0o440}
    pod["volumes"].append({"name": VOLUME, "secret": secret})
    [server] = pod["containers"]
    server["args"] += ARGS
    server["ports"] += [
        {"name": "grpc-tls", "containerPort": names.GRPC_TLS_PORT},
        {"name": "rest-tls", "containerPort": names.REST_TLS_PORT},
    ]
    server["volumeMounts"].append({"name": VOLUME, "mountPath": PATH, "readOnly": True})


def is_offered(template: Manifest) -> bool:
    """
    Tell whether pods of a template encrypt; those of other images and of a time before do not.
    """
    return any(volume["name"] == VOLUME for volume in template["spec"].get("volumes") or [])


def trust(owner: Owner, container: Manifest) -> Manifest:
    """
    Mount who signed the pods' certificate, and return the volume.
    """
    container["volumeMounts"].append({"name": VOLUME, "mountPath": PATH, "readOnly": True})
    items = [{"key": AUTHORITY, "path": AUTHORITY}]
    return {"name": VOLUME, "secret": {"secretName": owner.encryption, "items": items}}


def lead(config_map: Manifest, encrypted: Container[str]) -> Manifest:
    """
    Tell the routers which slots' servers are asked over encrypted connections.
    """
    content = json.loads(config_map["data"][KEY])
    for slot in content["slots"].values():
        if slot["revision"] in encrypted:
            slot["tls"] = True
    return {**config_map, "data": {KEY: json.dumps(content, indent=1)}}
