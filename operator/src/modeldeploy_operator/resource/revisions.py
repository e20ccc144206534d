"""
Revisions: which edits of a spec reach a serving pod.

The hash covers what the user set, not what the operator renders from it, so that an upgrade of the
operator starts no rollout. Its recipe is versioned and never changes: golden hashes stand in the
tests for ever.
"""

import hashlib
import json
from typing import Any

from modeldeploy_operator.resource.spec import ModelDeploymentSpec
from modeldeploy_operator.rollout.memory import Revision


def _without_defaults(value: Any) -> Any:
    """
    Leave out what is empty, so that a field that gains a default later changes no hash.
    """
    if isinstance(value, dict):
        kept = {key: _without_defaults(item) for key, item in value.items()}
        return {key: item for key, item in kept.items() if item not in (None, {}, [], "")}
    return value


def ingredients(spec: ModelDeploymentSpec, object_name: str) -> dict[str, Any]:
    """
    Collect what a revision is made of, by the recipe of version 1.
    """
    model = spec.model
    return {
        "recipe": 1,
        **_without_defaults(
            {
                "model": {
                    "name": spec.model_name(object_name),
                    "uri": model.uri,
                    "version": str(model.version),
                    "digest": model.digest,
                    "platform": model.platform,
                    "secretName": model.secret_name,
                    "cache": {"claimName": model.cache.claim_name} if model.cache else None,
                },
                "resources": {
                    "requests": {k: str(v) for k, v in spec.resources.requests.items()},
                    "limits": {k: str(v) for k, v in spec.resources.limits.items()},
                },
                "server": {"image": spec.server.image, "args": list(spec.server.args)},
            }
        ),
    }


def mould(made_of: dict[str, Any]) -> str:
    """
    Hash the ingredients without the version and its digest: what pods that change it are made of.
    """
    model = {k: v for k, v in made_of["model"].items() if k not in ("version", "digest")}
    return digest({**made_of, "model": model})


def digest(made_of: dict[str, Any]) -> str:
    """
    Hash the ingredients into ten hexadecimal digits.
    """
    canonical = json.dumps(made_of, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:10]


def revision_of(spec: ModelDeploymentSpec, object_name: str) -> Revision:
    """
    Return the revision that a spec asks for.
    """
    made_of = ingredients(spec, object_name)
    return Revision(revision=digest(made_of), version=str(spec.model.version))


def also_specs(spec: ModelDeploymentSpec) -> list[ModelDeploymentSpec]:
    """
    Return the spec of each version of `alsoServe`, as if it were the wanted one.
    """
    model = spec.model
    return [
        spec.model_copy(
            update={"model": model.model_copy(update={"version": entry.version, "digest": None})}
        )
        for entry in model.also_serve
    ]
