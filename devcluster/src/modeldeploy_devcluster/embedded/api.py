"""
Asks the components over HTTP: whether they are healthy, and the API server for objects.

This is a few lines over the standard library, so that the cluster needs no client to be
installed.
"""

import http.client
import json
import ssl
import urllib.error
import urllib.request
from typing import Any

from modeldeploy_devcluster.embedded.components import Component
from modeldeploy_devcluster.settings import Settings

HTTP_NOT_FOUND = 404


class Api:
    """The cluster as its administrator sees it; cheap to make, without connections of its own."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        context = ssl.create_default_context(cafile=str(settings.pki("ca.crt")))
        context.load_cert_chain(settings.pki("admin.crt"), settings.pki("admin.key"))
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )

    def ailment(self, component: Component) -> str | None:
        """Say what is wrong with a component's health, or None when it is well."""
        try:
            with self._opener.open(component.health, timeout=2):
                return None
        except urllib.error.HTTPError as error:
            return f"{component.health} answers {error.code}"
        except (OSError, http.client.HTTPException) as error:
            return f"{component.health} does not answer ({getattr(error, 'reason', error)})"

    def answers(self, component: Component) -> bool:
        """Whether a component answers at all, be it with an error."""
        return "does not answer" not in (self.ailment(component) or "")

    def get(self, path: str) -> Any:
        """Read an object or a list."""
        with self._opener.open(f"{self._server}{path}", timeout=10) as answer:
            return json.load(answer)

    def apply(self, path: str, document: dict[str, Any]) -> None:
        """Create or update an object by server-side apply."""
        request = urllib.request.Request(  # noqa: S310 - the scheme is in `_server`
            f"{self._server}{path}?fieldManager=devcluster&force=true",
            data=json.dumps(document).encode(),
            headers={"Content-Type": "application/apply-patch+yaml"},
            method="PATCH",
        )
        with self._opener.open(request, timeout=10):
            return

    def unready_because(self, name: str) -> str | None:
        """Say why a node cannot run pods yet, or None when it can."""
        try:
            node = self.get(f"/api/v1/nodes/{name}")
            self.get("/api/v1/namespaces/default/serviceaccounts/default")
        except urllib.error.HTTPError as error:
            return f"the node is not registered yet ({error.code})"
        except OSError as error:
            return f"the API server does not answer ({error})"
        ready = next((c for c in node["status"]["conditions"] if c["type"] == "Ready"), None)
        if ready is None or ready["status"] != "True":
            return ready["message"] if ready else "the node has not reported yet"
        taints = [taint["key"] for taint in node["spec"].get("taints", [])]
        return f"the node is tainted ({', '.join(taints)})" if taints else None

    def delete(self, path: str) -> None:
        """Delete an object; one that is not there is no trouble."""
        request = urllib.request.Request(f"{self._server}{path}", method="DELETE")  # noqa: S310 - the scheme is in `_server`
        try:
            with self._opener.open(request, timeout=10):
                return
        except urllib.error.HTTPError as error:
            if error.code != HTTP_NOT_FOUND:
                raise

    @property
    def _server(self) -> str:
        return f"https://{self._settings.control_ip}:6443"
