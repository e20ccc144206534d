"""The gRPC methods: messages in, messages out, errors as ``ServingError``."""

from typing import Any

from modeldeploy_runtime.inference import describe
from modeldeploy_runtime.inference.calls import Calls, Prediction
from modeldeploy_runtime.inference.directory import Directory
from modeldeploy_runtime.protos import messages
from modeldeploy_runtime.servables import errors
from modeldeploy_runtime.servables.ids import Selector
from modeldeploy_runtime.telemetry.metrics import Call
from modeldeploy_runtime.tensors import proto

METADATA_FIELD = "signature_def"


class Methods:
    """What this server offers over gRPC; safe to call from any number of threads."""

    def __init__(self, directory: Directory, calls: Calls) -> None:
        self._directory = directory
        self._calls = calls

    def predict(self, request: Any, call: Call, deadline: float | None) -> Any:
        """Answer PredictionService.Predict."""
        wanted = Prediction(
            request.model_spec.signature_name,
            lambda _: {
                alias: proto.decode(alias, value) for alias, value in request.inputs.items()
            },
            request.output_filter,
        )
        outputs = self._calls.predict(_selector(request), wanted, call).finish(deadline)
        response = messages.PredictResponse()
        _fill_spec(response.model_spec, call)
        for alias, array in outputs.items():
            proto.encode(array, response.outputs[alias])
        return response

    def get_model_metadata(self, request: Any, call: Call, _deadline: float | None) -> Any:
        """Answer PredictionService.GetModelMetadata."""
        selector = _selector(request)
        if not request.metadata_field:
            raise errors.InvalidArgumentError(
                "GetModelMetadataRequest must specify at least one metadata_field"
            )
        for field in request.metadata_field:
            if field != METADATA_FIELD:
                raise errors.InvalidArgumentError(f"Metadata field {field} is not supported")
        with self._directory.acquire(selector) as handle:
            call.served_by(handle.id)
            response = messages.GetModelMetadataResponse()
            response.metadata[METADATA_FIELD].Pack(describe.signatures(handle))
        _fill_spec(response.model_spec, call)
        return response

    def get_model_status(self, request: Any, call: Call, _deadline: float | None) -> Any:
        """Answer ModelService.GetModelStatus; a label does not narrow the versions."""
        if not request.HasField("model_spec"):
            raise errors.InvalidArgumentError("Missing ModelSpec")
        spec = request.model_spec
        version = spec.version.value if spec.HasField("version") else None
        response = describe.status(self._directory, spec.name, version)
        call.model = spec.name
        return response


def _selector(request: Any) -> Selector:
    if not request.HasField("model_spec"):
        raise errors.InvalidArgumentError("Missing ModelSpec")
    spec = request.model_spec
    if not spec.name:
        raise errors.InvalidArgumentError("ModelSpec has no name specified.")
    match spec.WhichOneof("version_choice"):
        case "version":
            return Selector(spec.name, version=spec.version.value)
        case "version_label":
            return Selector(spec.name, label=spec.version_label)
        case _:
            return Selector(spec.name)


def _fill_spec(spec: Any, call: Call) -> None:
    spec.name = call.model
    spec.version.value = int(call.version)
    spec.signature_name = call.signature
