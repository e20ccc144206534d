"""
From the object to what a rollout must know of it.
"""

from typing import Any

from modeldeploy_operator.resource import ACTION_ANNOTATION, revisions
from modeldeploy_operator.resource.latest.following import Following
from modeldeploy_operator.resource.parts import seconds
from modeldeploy_operator.resource.spec import ModelDeploymentSpec
from modeldeploy_operator.resource.traffic_spec import rules_of, share_of
from modeldeploy_operator.rollout.decision import Wanted
from modeldeploy_operator.rollout.memory import Standing, clip


def read_wanted(
    body: dict[str, Any], spec: ModelDeploymentSpec, following: Following | None = None
) -> Wanted:
    """
    Read what a rollout must know of the object.
    """
    schedule = spec.rollout.schedule()
    name = body["metadata"]["name"]
    also = tuple(
        Standing(
            revisions.revision_of(each, name), entry.replicas, tuple(entry.labels), share_of(entry)
        )
        for entry, each in zip(spec.model.also_serve, revisions.also_specs(spec), strict=True)
    )
    wanted = Wanted(
        revision=revisions.revision_of(spec, name),
        also=also,
        keep=spec.model.keep_versions,
        rules=rules_of(spec.traffic.match, spec.traffic.sticky),
        replicas=spec.replicas,
        steps=schedule.steps,
        surge=schedule.surge,
        preview=schedule.preview,
        otherwise=schedule.otherwise,
        mould=revisions.mould(revisions.ingredients(spec, name)),
        progress_deadline=seconds(spec.rollout.progress_deadline),
        paused=spec.rollout.paused,
        criteria=spec.rollout.criteria(),
        action=clip((body["metadata"].get("annotations") or {}).get(ACTION_ANNOTATION, "")),
    )
    return following.hold(wanted) if following else wanted
