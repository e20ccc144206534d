"""
Reading what a check needs of a Secret that it names; the chart gives the right one by one.
"""

import base64
import binascii
from collections.abc import Mapping

from modeldeploy_operator.cluster.port import ClusterError, GoneError, Kube, RefusedError, Resource
from modeldeploy_operator.evidence.external.asking import AskError
from modeldeploy_operator.evidence.external.credentials import KEYS, Secrets

SECRETS = Resource("v1", "Secret", "secrets")


def reader(kube: Kube) -> Secrets:
    """
    Build what reads Secrets; nothing of them is kept.
    """

    async def read(namespace: str, name: str) -> Mapping[str, str]:
        try:
            found = await kube.get(SECRETS.path(namespace, name))
        except GoneError:
            raise AskError(f"There is no Secret {name} in the namespace {namespace}.") from None
        except RefusedError:
            raise AskError(
                f"The operator may not read the Secret {name} of the namespace {namespace}; an "
                "administrator lets it by the chart's value checks.secrets."
            ) from None
        except ClusterError as error:
            raise AskError(f"The Secret {name} could not be read: {error}") from error
        return _decode(name, found.get("data") or {})

    return read


def _decode(name: str, data: Mapping[str, str]) -> dict[str, str]:
    try:
        return {key: base64.b64decode(data[key]).decode() for key in KEYS if key in data}
    except (binascii.Error, UnicodeDecodeError):
        raise AskError(f"The Secret {name} holds something that is no text.") from None
