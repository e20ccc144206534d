"""
The secrets of each ModelDeployment's pods, which the operator makes and never reads.

The control ports' follows from a key of the operator's own and from the object's uid; the
certificate is signed by an authority that follows from it, too. So the operator needs the right to
make Secrets and none to read any but its key's.
"""

import base64
import binascii
import contextlib
import hashlib
import hmac
import secrets
from datetime import UTC, datetime

from modeldeploy_operator.cluster.certificates import Authority
from modeldeploy_operator.cluster.port import ClusterError, ConflictError, GoneError, Kube, Resource
from modeldeploy_operator.manifests import encryption, shadow
from modeldeploy_operator.manifests.names import Owner

SECRETS = Resource("v1", "Secret", "secrets")
KEY = "key"
_BYTES = 32


class Tokens:
    """
    Makes the Secrets; it remembers for which objects it has, only to save requests.
    """

    def __init__(self, kube: Kube, key: bytes) -> None:
        self._kube = kube
        self._key = key
        self._authority = Authority(key)
        self._made: dict[tuple[str, str], str] = {}

    def of(self, owner: Owner) -> str:
        """
        Return the token of one object's pods.
        """
        return hmac.new(self._key, owner.uid.encode(), hashlib.sha256).hexdigest()

    @property
    def authority(self) -> str:
        """
        Return the certificate of who signs the pods', as PEM.
        """
        return self._authority.certificate

    async def ensure(self, owner: Owner, *, again: bool = False) -> None:
        """
        Make the Secrets, unless there are some of those names.

        Args:
            owner: Whose pods it is for.
            again: Whether to try even if they were made before, as somebody may have removed one.

        Raises:
            ClusterError: The API server refused or could not be reached.

        """
        if self._made.get((owner.namespace, owner.name)) == owner.uid and not again:
            return
        host = encryption.host(owner)
        pair = self._authority.issue(host, datetime.now(UTC))
        for manifest in (
            shadow.build_secret(owner, self.of(owner)),
            encryption.build_secret(owner, *pair, self.authority),
        ):
            # Where it is there already, pods that got another token refuse ours, which is told.
            with contextlib.suppress(ConflictError):
                await self._kube.send("POST", SECRETS.path(owner.namespace), manifest)
        self._made[(owner.namespace, owner.name)] = owner.uid

    def forget(self, namespace: str, name: str) -> None:
        """
        Forget an owner that is gone.
        """
        self._made.pop((namespace, name), None)


async def find_key(kube: Kube, namespace: str, name: str) -> bytes:
    """
    Read the operator's own key, or make it at its first start.

    Args:
        kube: The cluster.
        namespace: The operator's own; without one, outside a cluster, a key is made for this
            process alone, and pods refuse what another one made.
        name: The name of the Secret that holds it.

    Raises:
        ClusterError: The API server refused or could not be reached, or the key cannot be read.

    """
    if not namespace:
        return secrets.token_bytes(_BYTES)
    path = SECRETS.path(namespace, name)
    made = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace},
        "type": "Opaque",
        "data": {KEY: base64.b64encode(secrets.token_bytes(_BYTES)).decode()},
    }
    try:
        found = await kube.get(path)
    except GoneError:
        try:
            found = await kube.send("POST", SECRETS.path(namespace), made)
        except ConflictError:
            found = await kube.get(path)
    try:
        return base64.b64decode(found["data"][KEY], validate=True)
    except (KeyError, TypeError, binascii.Error):
        raise ClusterError(
            f"The Secret {name} in namespace {namespace} holds no key of the operator; delete it, "
            "and it is made anew."
        ) from None
