"""
What Jobs came to, as Kubernetes tells it.
"""

import json
from typing import Any

import pytest

from modeldeploy_operator.analysis.external import Measurement
from modeldeploy_operator.evidence.external import jobs
from modeldeploy_operator.manifests import names
from modeldeploy_operator.resource.checks.external_spec import ExternalPart, Job, Replay

PARTS: dict[str, ExternalPart] = {
    "accuracy": Job.model_validate({"template": {"spec": {"containers": [{"name": "a"}]}}}),
    "replay": Replay.model_validate({"uri": "s3://logs/mnist", "maxMismatch": 1}),
}
COMPLETE = {"type": "Complete", "status": "True"}
FAILED = {"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded", "message": "Gone."}


def _job(check: str, *conditions: dict[str, Any], revision: str = "v2") -> dict[str, Any]:
    labels = {names.CHECK_LABEL: check, names.REVISION_LABEL: revision}
    metadata = {
        "name": f"mnist-{check}",
        "uid": f"uid-{check}",
        "labels": labels,
        "annotations": {names.ASKED_ANNOTATION: "asked"},
    }
    return {"metadata": metadata, "status": {"conditions": list(conditions)}}


def _pod(check: str, state: dict[str, Any]) -> dict[str, Any]:
    return {
        "metadata": {"name": "p", "ownerReferences": [{"uid": f"uid-{check}"}]},
        "status": {"containerStatuses": [{"name": "c", "image": "i", "state": state}]},
    }


def _ended(check: str, code: int, message: str = "", at: str = "1") -> dict[str, Any]:
    ended = {"exitCode": code, "message": message, "reason": "Error", "finishedAt": at}
    return _pod(check, {"terminated": ended})


def _measure(check: str, *conditions: dict[str, Any], pods: Any = ()) -> Measurement:
    return jobs.measure("v2", [_job(check, *conditions)], pods, PARTS)[check]


def test_a_job_succeeds_or_fails() -> None:
    """
    A failure is told in the container's own words.
    """
    assert _measure("accuracy", COMPLETE).value == 1.0
    found = _measure("accuracy", FAILED, pods=[_ended("accuracy", 1, "Accuracy\n is 0.5.")])
    assert (found.asked, found.value, found.message) == ("asked", 0.0, "Accuracy is 0.5.")
    found = _measure("accuracy", FAILED, pods=[_ended("accuracy", 3)])
    assert found.message == "Error, exit status 3."
    silent = [_ended("accuracy", 0), _ended("other", 1)]
    assert _measure("accuracy", FAILED, pods=silent).message == "Gone."


def test_a_job_that_says_nothing_is_no_measurement() -> None:
    """
    One that takes too long, or whose pod cannot start, has not judged anybody.
    """
    late = {**FAILED, "reason": "DeadlineExceeded"}
    found = _measure("accuracy", late)
    assert (found.value, found.problem) == (
        None,
        "The Job mnist-accuracy did not end within its timeout.",
    )
    waiting = _pod("accuracy", {"waiting": {"reason": "ImagePullBackOff", "message": "no image"}})
    assert _measure("accuracy", pods=[waiting]).problem == (
        "The Job mnist-accuracy does not run: no image"
    )
    running = _pod("accuracy", {"running": {}})
    assert _measure("accuracy", pods=[running]).pending == "The Job mnist-accuracy is under way."
    again = {**COMPLETE, "status": "False"}
    assert _measure("accuracy", again).pending


def _told(**changes: Any) -> str:
    told = {"code": "Replayed", "compared": 200, "mismatched": 3, "message": "3 of 200."}
    return json.dumps({**told, **changes})


def test_a_replay_tells_a_share() -> None:
    """
    Of the last pod, as an earlier one may have failed on the way.
    """
    pods = [_ended("replay", 1, _told(code="AccessDenied"), "1"), _ended("replay", 0, _told())]
    pods[1]["status"]["containerStatuses"][0]["state"]["terminated"]["finishedAt"] = "2"
    found = _measure("replay", COMPLETE, pods=pods)
    assert found == Measurement("asked", 0.015, 200, "3 of 200.")


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        (_told(code="AccessDenied", message="No key."), "No key."),
        (_told(compared=19, message="19."), "19. At least 20 must be compared."),
        ("torn", "The Job mnist-replay ended and did not say what it found."),
        ("", "The Job mnist-replay ended and did not say what it found."),
        ("{}", "The Job mnist-replay ended and did not say what it found."),
    ],
)
def test_a_replay_that_says_nothing(message: str, problem: str) -> None:
    """
    No log, no right, too few requests: neither good nor bad.
    """
    found = _measure("replay", FAILED, pods=[_ended("replay", 2, message)])
    assert (found.value, found.problem) == (None, problem)


def test_jobs_of_others_say_nothing() -> None:
    """
    Not those of another revision, nor of a check that is gone.
    """
    found = jobs.measure("v2", [_job("accuracy", revision="v1"), _job("gone")], (), PARTS)
    assert found == {}
