"""
Kubernetes events: told once when something happens, not at every pass.
"""

import logging
import uuid
from collections import OrderedDict
from collections.abc import Iterable
from datetime import UTC, datetime

from modeldeploy_operator.cluster.port import ClusterError, Kube, Manifest
from modeldeploy_operator.manifests.names import FIELD_MANAGER
from modeldeploy_operator.resource import API_VERSION, KIND
from modeldeploy_operator.rollout.decision import Note

log = logging.getLogger(__name__)

REMEMBERED = 4096


class Recorder:
    """
    Writes events. It remembers the last ones, so that a lasting trouble is told once.
    """

    def __init__(self, kube: Kube) -> None:
        self._kube = kube
        self._told: OrderedDict[tuple[str, Note], None] = OrderedDict()

    async def tell(self, body: Manifest, notes: Iterable[Note]) -> None:
        """
        Write the notes of a pass as events; an event that cannot be written is only logged.
        """
        for note in notes:
            key = (body["metadata"]["uid"], note)
            if note.warning and key in self._told:
                continue
            self._told[key] = None
            if len(self._told) > REMEMBERED:
                self._told.popitem(last=False)
            await self._write(body, note)

    async def _write(self, body: Manifest, note: Note) -> None:
        metadata = body["metadata"]
        name, namespace = metadata["name"], metadata["namespace"]
        log.info(note.message, extra={"deployment": f"{namespace}/{name}", "reason": note.reason})
        now = datetime.now(UTC)
        event = {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": f"{name}.{uuid.uuid4().hex[:16]}", "namespace": namespace},
            "eventTime": now.isoformat(timespec="microseconds").replace("+00:00", "Z"),
            "type": "Warning" if note.warning else "Normal",
            "reason": note.reason,
            "action": "Reconcile",
            "note": note.message[:1024],
            "reportingController": "serving.modeldeploy.io/operator",
            "reportingInstance": FIELD_MANAGER,
            "regarding": {
                "apiVersion": API_VERSION,
                "kind": KIND,
                "name": name,
                "namespace": namespace,
                "uid": metadata["uid"],
            },
        }
        path = f"/apis/events.k8s.io/v1/namespaces/{namespace}/events"
        try:
            await self._kube.send("POST", path, event)
        except ClusterError as error:
            log.warning("An event was lost: %s", error)
