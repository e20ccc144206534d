"""
What the operator asks of a cluster, and how it fails.

    ClusterError              the API server refused or could not be reached
    ├── ConflictError         somebody wrote in between; look again
    ├── GoneError             the object is not there
    │   └── ObjectGoneError   the ModelDeployment itself is not there
    ├── ExpiredError          a watch's version is too old; list again
    ├── RefusedError          an object is not valid, or not allowed
    ├── NotLeadingError       another operator leads; this one writes nothing
    └── NameTakenError        an object of that name exists and is not ours
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

Manifest = dict[str, Any]

OPENED = "OPENED"
"""The type of a watch's first event, which the API server does not send: it answers."""


class ClusterError(Exception):
    """
    The API server refused, or could not be reached.
    """


class ConflictError(ClusterError):
    """
    Somebody wrote in between.
    """


class GoneError(ClusterError):
    """
    The object is not there.
    """


class ObjectGoneError(GoneError):
    """
    The ModelDeployment itself is not there: there is nothing to look at.
    """


class ExpiredError(ClusterError):
    """
    The version that a watch was to go on from is too old.
    """


class RefusedError(ClusterError):
    """
    The API server will not have an object: it is not valid, or not allowed.
    """


class NotLeadingError(ClusterError):
    """
    Another operator leads, or may lead by now.
    """


class NameTakenError(ClusterError):
    """
    An object of that name exists and is not ours.
    """


@dataclass(frozen=True, slots=True)
class Resource:
    """
    Where a kind is found: its API path and its plural.
    """

    api_version: str
    kind: str
    plural: str

    def path(self, namespace: str, name: str | None = None) -> str:
        """
        Return the path of the kind in a namespace, or of one object.
        """
        path = f"{self._root}/namespaces/{namespace}/{self.plural}"
        return f"{path}/{name}" if name else path

    def everywhere(self) -> str:
        """
        Return the path of the kind in all namespaces.
        """
        return f"{self._root}/{self.plural}"

    @property
    def _root(self) -> str:
        return f"{'/apis' if '/' in self.api_version else '/api'}/{self.api_version}"


class Kube(Protocol):
    """
    Requests to the API server, as plain dicts.
    """

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> Manifest:
        """
        Read one object or a list.
        """
        ...

    async def apply(self, path: str, manifest: Manifest) -> Manifest:
        """
        Apply on the server's side, as our field manager, taking over conflicting fields.
        """
        ...

    async def send(self, method: str, path: str, body: Manifest) -> Manifest:
        """
        Create, replace or delete.
        """
        ...
