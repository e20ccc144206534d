"""The gRPC methods: messages in, messages out, errors as ``ServingError``."""

import time
from dataclasses import dataclass
from typing import Any

from modeldeploy_runtime.inference import describe
from modeldeploy_runtime.inference.answered import results
from modeldeploy_runtime.inference.calls import Calls, Prediction
from modeldeploy_runtime.inference.directory import Directory
from modeldeploy_runtime.inference.multi_inference import Task
from modeldeploy_runtime.inference.session_run import SessionRun
from modeldeploy_runtime.protos import messages
from modeldeploy_runtime.servables import errors
from modeldeploy_runtime.servables.ids import Selector
from modeldeploy_runtime.tensors import proto
from modeldeploy_runtime.transports import pins
from modeldeploy_runtime.transports.grpc import asked as asked_of
from modeldeploy_runtime.transports.grpc.asked import Asked
from modeldeploy_runtime.transports.grpc.model_management import ModelManagement

METADATA_FIELD = "signature_def"


@dataclass(frozen=True, slots=True)
class GrpcOptions:
    """What a person may decide about the methods."""

    tensor_content: bool = False
    session_run: bool = False


class Methods:
    """What this server offers over gRPC; safe to call from any number of threads."""

    def __init__(
        self,
        directory: Directory,
        calls: Calls,
        options: GrpcOptions,
        management: ModelManagement,
    ) -> None:
        self._directory = directory
        self.reload = management.reload
        self._calls = calls
        self._options = options
        self._encode = proto.encode_content if options.tensor_content else proto.encode

    def predict(self, request: Any, asked: Asked) -> Any:
        """Answer PredictionService.Predict."""
        wanted = Prediction(
            request.model_spec.signature_name,
            lambda _: {
                alias: proto.decode(alias, value) for alias, value in request.inputs.items()
            },
            request.output_filter,
        )
        selector = asked.selector(request)
        outputs = self._calls.predict(selector, wanted, asked.call).finish(asked.deadline)
        response = messages.PredictResponse()
        asked.fill(response.model_spec)
        for alias, array in outputs.items():
            self._encode(array, response.outputs[alias])
        return response

    def classify(self, request: Any, asked: Asked) -> Any:
        """Answer PredictionService.Classify."""
        name = request.model_spec.signature_name
        pending = self._calls.classify(asked.selector(request), name, request.input, asked.call)
        response = messages.ClassificationResponse()
        results.fill_classification(response.result, pending.finish(asked.deadline))
        asked.fill(response.model_spec)
        return response

    def regress(self, request: Any, asked: Asked) -> Any:
        """Answer PredictionService.Regress."""
        name = request.model_spec.signature_name
        pending = self._calls.regress(asked.selector(request), name, request.input, asked.call)
        response = messages.RegressionResponse()
        results.fill_regression(response.result, pending.finish(asked.deadline))
        asked.fill(response.model_spec)
        return response

    def multi_inference(self, request: Any, asked: Asked) -> Any:
        """Answer PredictionService.MultiInference; the first task chooses the version for all."""
        specs = [task.model_spec for task in request.tasks]
        selector = asked.pinned(asked_of.read(specs[0]) if specs else Selector(""))
        tasks = [
            Task(task.model_spec.name, task.model_spec.signature_name, task.method_name)
            for task in request.tasks
        ]
        _check_versions(specs)
        pending = self._calls.multi_inference(selector, tasks, request.input, asked.call)
        response = messages.MultiInferenceResponse()
        for task, result in zip(tasks, pending.finish(asked.deadline), strict=True):
            filled = response.results.add()
            asked.fill(filled.model_spec)
            results.fill_task(filled, task, result)
        return response

    def session_run(self, request: Any, asked: Asked) -> Any:
        """Answer SessionService.SessionRun."""
        if not self._options.session_run:
            raise errors.UnimplementedError(
                "This server does not offer SessionRun; --enable_session_run turns it on."
            )
        selector = asked.selector(request)
        wanted = SessionRun(
            {feed.name: proto.decode(feed.name, feed.tensor) for feed in request.feed},
            tuple(request.fetch),
            tuple(request.target),
            request.model_spec.signature_name if request.tensor_name_is_alias else None,
        )
        deadline = _sooner(asked.deadline, request.options)
        fetched = self._calls.session_run(selector, wanted, asked.call).finish(deadline)
        response = messages.SessionRunResponse()
        for name, array in fetched.items():
            self._encode(array, response.tensor.add(name=name).tensor)
        asked.fill(response.model_spec)
        return response

    def get_model_metadata(self, request: Any, asked: Asked) -> Any:
        """Answer PredictionService.GetModelMetadata."""
        selector = asked.selector(request)
        if not request.metadata_field:
            raise errors.InvalidArgumentError(
                "GetModelMetadataRequest must specify at least one metadata_field"
            )
        for field in request.metadata_field:
            if field != METADATA_FIELD:
                raise errors.InvalidArgumentError(f"Metadata field {field} is not supported")
        with self._directory.acquire(selector) as handle:
            asked.call.served_by(handle.id)
            response = messages.GetModelMetadataResponse()
            response.metadata[METADATA_FIELD].Pack(describe.signatures(handle))
        asked.fill(response.model_spec)
        return response

    def get_model_status(self, request: Any, asked: Asked) -> Any:
        """Answer ModelService.GetModelStatus; a label does not narrow the versions."""
        if not request.HasField("model_spec"):
            raise errors.InvalidArgumentError("Missing ModelSpec")
        selector = pins.choose(asked_of.read(request.model_spec), asked.metadata)
        response = describe.status(self._directory, selector)
        asked.call.model = selector.name
        return response


def _sooner(deadline: float | None, options: Any) -> float | None:
    """Shorten a deadline by RunOptions, of which this server knows nothing else."""
    known = messages.RunOptions(timeout_in_ms=options.timeout_in_ms)
    if options.SerializeToString(deterministic=True) != known.SerializeToString(deterministic=True):
        raise errors.UnimplementedError(
            "Of the options of a SessionRun, this server knows timeout_in_ms only."
        )
    if not options.timeout_in_ms:
        return deadline
    timeout: float = time.monotonic() + options.timeout_in_ms / 1000
    return timeout if deadline is None else min(deadline, timeout)


def _check_versions(specs: list[Any]) -> None:
    """Refuse tasks that choose a version that the first one does not, as it would not answer."""
    for spec in specs[1:]:
        chosen, first = asked_of.read(spec), asked_of.read(specs[0])
        is_chosen = chosen.version is not None or chosen.label is not None
        if is_chosen and (chosen.version, chosen.label) != (first.version, first.label):
            raise errors.InvalidArgumentError(
                "All ModelSpecs in a MultiInferenceRequest must access the same version."
            )
