"""
The status: put together from a decision, and written if it changed.
"""

from datetime import UTC, datetime
from typing import Any

import pydantic

from modeldeploy_operator.cluster.port import Kube, Manifest, Resource
from modeldeploy_operator.manifests.entrance import gateway
from modeldeploy_operator.manifests.names import Owner
from modeldeploy_operator.resource import API_VERSION, KIND, PLURAL, report
from modeldeploy_operator.rollout.decision import Decision, Note, Wanted
from modeldeploy_operator.rollout.snapshot import Snapshot
from modeldeploy_operator.telemetry.events import Recorder

MODEL_DEPLOYMENTS = Resource(API_VERSION, KIND, PLURAL)


def status_of(
    body: Manifest,
    decision: Decision,
    wanted: Wanted,
    seen: Snapshot,
    now: datetime,
    trouble: Note | None,
) -> dict[str, Any]:
    """
    Build the status that a decision leaves, and a trouble that stands in its way.
    """
    metadata = body["metadata"]
    before = body.get("status") or {}
    facts = {
        "generation": metadata["generation"],
        "selector": Owner(metadata["name"], metadata["namespace"], "").server_selector_text(),
        "url": gateway.url_of(body),
        "now": now,
    }
    status = report.build_status(decision, wanted, seen, before, facts)
    if trouble is None:
        return status
    return report.with_stalled(status, trouble.reason, trouble.message, before, now)


async def write_status(kube: Kube, body: Manifest, status: dict[str, Any]) -> Manifest:
    """
    Write the status if it changed.

    Raises:
        ConflictError: Somebody wrote the object since it was read.
        ClusterError: The API server refused or could not be reached.

    """
    if status == (body.get("status") or {}):
        return body
    metadata = body["metadata"]
    path = MODEL_DEPLOYMENTS.path(metadata["namespace"], metadata["name"])
    return await kube.send("PUT", f"{path}/status", {**body, "status": status})


async def refuse_spec(
    kube: Kube, recorder: Recorder, body: Manifest, error: pydantic.ValidationError
) -> None:
    """
    Say which field of a stored spec this operator cannot read; what runs goes on as it is.
    """
    first = error.errors()[0]
    field = ".".join(["spec", *map(str, first["loc"])])
    message = f"The field {field} cannot be read by this operator: {first['msg']}."
    before = {"conditions": [], **(body.get("status") or {})}
    status = {**before, "observedGeneration": body["metadata"]["generation"]}
    now = datetime.now(UTC)
    status = report.with_stalled(status, "InvalidSpec", message, before, now)
    body = await write_status(kube, body, status)
    await recorder.tell(body, (Note("InvalidSpec", message, warning=True),))
