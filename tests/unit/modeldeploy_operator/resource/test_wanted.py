"""
What a rollout must know of an object.
"""

from modeldeploy_operator.resource.wanted import read_wanted
from testkit.objects import a_spec, an_object


def test_the_wish_is_read_from_spec_and_annotation() -> None:
    """
    What a rollout must know of an object is its revision, size, steps, clock, pause and action.
    """
    body = an_object(replicas=3, rollout={"progressDeadline": "1m", "paused": True})
    wanted = read_wanted(body, a_spec(**{k: v for k, v in body["spec"].items() if k != "model"}))
    assert (wanted.replicas, wanted.progress_deadline, wanted.paused) == (3, 60.0, True)
    assert wanted.action == ""
    body["metadata"]["annotations"] = {"serving.modeldeploy.io/action": "retry@v1"}
    assert read_wanted(body, a_spec()).action == "retry@v1"
