"""
The search for the latest version, as far as people see it; and when to look again.
"""

from datetime import datetime, timedelta
from typing import Any

from modeldeploy_operator.cluster.port import Manifest
from modeldeploy_operator.resource import report
from modeldeploy_operator.resource.latest.findings import Findings
from modeldeploy_operator.resource.latest.following import Following
from modeldeploy_operator.rollout.decision import Note


def tell(
    status: dict[str, Any],
    body: Manifest,
    following: Following | None,
    findings: Findings,
    now: datetime,
) -> tuple[dict[str, Any], tuple[Note, ...], datetime | None]:
    """
    Add to a status what `latest` stands for after these findings.

    Returns:
        The status; the event of a version that was found; and when to look again, which is at once
        where a version was found, because it is wanted from the next pass on.

    """
    if following is None:
        return status, (), None
    found = following.learn(findings)
    status = report.with_following(status, found, findings, body.get("status") or {}, now)
    if found.version == following.version:
        return status, (), now + timedelta(seconds=following.wait(findings))
    sentence = f"Version {found.version} was found below {found.uri}, and is wanted from now on."
    return status, (Note("VersionFound", sentence),), now


def earlier(one: datetime | None, other: datetime | None) -> datetime | None:
    """
    Return the earlier of two times, where there is any.
    """
    return min((time for time in (one, other) if time), default=None)
