"""
Events are told when something happens, and a lasting trouble only once.
"""

from datetime import datetime

import pytest

from modeldeploy_operator.cluster.port import ClusterError
from modeldeploy_operator.rollout.decision import Note
from modeldeploy_operator.telemetry import events
from modeldeploy_operator.telemetry.events import Recorder
from testkit.fake_kube import FakeKube
from testkit.objects import an_object

PROMOTED = Note("Promoted", "Version 2 was promoted.")
FAILED = Note("AccessDenied", "403", warning=True)
EVENTS = "/apis/events.k8s.io/v1/namespaces/vision/events"


async def test_an_event_is_about_its_object() -> None:
    """
    An event names the object, who reports it, what happened and when.
    """
    kube = FakeKube()
    await Recorder(kube).tell(an_object(), [PROMOTED])
    [event] = kube.objects.values()
    assert (event["type"], event["reason"]) == ("Normal", "Promoted")
    assert event["regarding"]["kind"] == "ModelDeployment"
    assert event["regarding"]["uid"] == "uid-1"
    assert event["reportingController"] == "serving.modeldeploy.io/operator"
    assert event["eventTime"].endswith("Z")
    assert datetime.fromisoformat(event["eventTime"]).microsecond >= 0


async def test_a_lasting_trouble_is_told_once() -> None:
    """
    The same warning about the same object is told once; good news whenever it happens.
    """
    kube = FakeKube()
    recorder = Recorder(kube)
    for _ in range(3):
        await recorder.tell(an_object(), [FAILED, PROMOTED])
    reasons = [event["reason"] for event in kube.objects.values()]
    assert (reasons.count("AccessDenied"), reasons.count("Promoted")) == (1, 3)


async def test_only_so_many_are_remembered() -> None:
    """
    The memory of what was told is bounded.
    """
    recorder = Recorder(FakeKube())
    notes = [Note("X", str(number), warning=True) for number in range(events.REMEMBERED + 5)]
    await recorder.tell(an_object(), notes)
    assert len(recorder._told) == events.REMEMBERED


async def test_a_lost_event_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """
    An event that cannot be written is logged, and the pass goes on.
    """
    kube = FakeKube()
    kube.refuse("POST", EVENTS, ClusterError("forbidden"))
    await Recorder(kube).tell(an_object(), [PROMOTED])
    assert "An event was lost: forbidden" in caplog.text


async def test_a_note_is_cut_to_what_an_event_holds() -> None:
    """
    Kubernetes takes 1,024 characters.
    """
    kube = FakeKube()
    await Recorder(kube).tell(an_object(), [Note("X", "x" * 5_000)])
    [event] = kube.objects.values()
    assert len(event["note"]) == 1_024
