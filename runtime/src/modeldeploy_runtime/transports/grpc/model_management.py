"""ModelService.HandleReloadConfigRequest: replaces the configuration, and says what came of it."""

import re
import time
from collections.abc import Mapping
from typing import Any

from modeldeploy_runtime.configuration.reload import ModelResult, Outcome, Reloader, Standing
from modeldeploy_runtime.protos import messages
from modeldeploy_runtime.servables import errors
from modeldeploy_runtime.sources import config_file
from modeldeploy_runtime.telemetry.metrics import Metrics
from modeldeploy_runtime.transports.grpc.asked import Asked

MAX_WAIT_SECONDS = 60.0
"""How long a caller without a deadline waits."""

# What a caller needs to get our answer before its own deadline cuts the call.
_MARGIN = 0.1
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_:]")


class ModelManagement:
    """Safe to call from any number of threads."""

    def __init__(self, reloader: Reloader, metrics: Metrics, *, may_reload: bool = True) -> None:
        self._reloader = reloader
        self._metrics = metrics
        self._may_reload = may_reload

    def reload(self, request: Any, asked: Asked) -> Any:
        """
        Answer HandleReloadConfigRequest.

        Raises:
            ServingError: The configuration is refused, and nothing has changed; or it is applied,
                and not every new model is available.
        """
        if not self._may_reload:
            raise errors.ServingError(
                "What this server serves cannot be replaced over gRPC: it was started with "
                "--enable_reload_config_request=false.",
                errors.Code.PERMISSION_DENIED,
            )
        if not request.config.HasField("model_config_list"):
            raise errors.InvalidArgumentError(
                "ServerModelConfig type not supported by HandleReloadConfigRequest. "
                "Only ModelConfigList is currently supported"
            )
        listed = config_file.models(request.config)
        before = self._totals(request.metric_names)
        now = time.monotonic()
        until = now + MAX_WAIT_SECONDS
        if asked.deadline is not None:
            until = asked.deadline - min(_MARGIN, (asked.deadline - now) / 10)
        results = self._reloader.apply(listed, until)
        failure = _failure(results)
        if failure is not None:
            raise failure
        response = messages.ReloadConfigResponse()
        response.status.error_code = errors.Code.OK.value
        after = self._totals(request.metric_names)
        for name in request.metric_names:
            if name in after:
                increase = after[name] - before.get(name, 0)
                response.metric.add(name=name, int64_value_increase=increase)
        return response

    def _totals(self, names: Any) -> dict[str, int]:
        if not names:
            return {}
        text = self._metrics.expose().decode()
        found = {name: total(text, name) for name in names}
        return {name: value for name, value in found.items() if value is not None}


def total(exposition: str, name: str) -> int | None:
    r"""
    Add up all series of a counter, named as TensorFlow Serving names it inside or outside.

    >>> total('a:b{x="1"} 2\na:b{x="2"} 3\n', "a/b")
    5
    """
    exposed = re.escape(_NOT_IN_NAMES.sub(":", name))
    values = re.findall(rf"^{exposed}(?:\{{.*\}})? (\S+)$", exposition, re.MULTILINE)
    return int(sum(float(value) for value in values)) if values else None


def _failure(results: Mapping[str, ModelResult]) -> errors.ServingError | None:
    """Tell which of the models that were added or moved cannot answer."""
    bad = {
        name: result.standing
        for name, result in results.items()
        if result.change.is_new and result.standing.outcome is not Outcome.AVAILABLE
    }
    if not bad:
        return None
    told = "".join(
        f"{{{_id(name, standing)} due to error: {standing.message}}}, "
        for name, standing in bad.items()
    )
    late = any(standing.outcome is Outcome.LOADING for standing in bad.values())
    return errors.ServingError(
        f"{len(bad)} servable(s) did not become available: {told}}}. The configuration is applied.",
        errors.Code.DEADLINE_EXCEEDED if late else errors.Code.UNKNOWN,
    )


def _id(name: str, standing: Standing) -> str:
    version = f" version: {standing.version}" if standing.version else ""
    return f"{{name: {name}{version}}}"
