"""
Answers REST requests: bytes in, a ``Reply`` out.

A prediction is answered in two steps, so that the server can choose after the first one whether
the second, which may take long, goes to a thread.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from google.protobuf import json_format

from modeldeploy_runtime.inference import describe, predict
from modeldeploy_runtime.inference.directory import Directory
from modeldeploy_runtime.inference.readiness import Readiness
from modeldeploy_runtime.lifecycle.handle import Handle
from modeldeploy_runtime.loaders.port import Model, Signature
from modeldeploy_runtime.servables import errors
from modeldeploy_runtime.servables.ids import Selector
from modeldeploy_runtime.telemetry.metrics import Call
from modeldeploy_runtime.tensors import json_columnar, json_out, json_row, json_text
from modeldeploy_runtime.tensors.json_text import Document

Headers = tuple[tuple[bytes, bytes], ...]
JSON = b"application/json"


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes back to the client."""

    status: int
    body: bytes
    content_type: bytes = JSON
    headers: Headers = ()


class Prediction:
    """
    A prediction whose body has been parsed and whose version is held.

    Either ``finish`` or ``abandon`` must be called, once: both let the version go.
    """

    def __init__(self, handle: Handle, signature: Signature, document: Document) -> None:
        self._handle = handle
        self._signature = signature
        self._document = document

    @property
    def is_cheap(self) -> bool:
        """Whether the model answers so fast that a thread would only add to it."""
        return self._signature.is_cheap

    def finish(self) -> Reply:
        """Convert, compute and write."""
        with self._handle as handle:
            value = self._document.value
            form = json_row if json_row.KEY in value else json_columnar
            inputs = form.to_arrays(self._document, self._signature.inputs)
            outputs = predict.run(self._signature, inputs)
            write = json_out.rows if form is json_row else json_out.columns
            return Reply(200, write(outputs), headers=_version_header(handle))

    def abandon(self) -> None:
        """Let the version go without an answer."""
        with self._handle:
            pass


def begin(directory: Directory, selector: Selector, body: bytes, call: Call) -> Prediction:
    """
    Parse a request and find who answers it, in the order in which TensorFlow Serving checks.

    Raises:
        ServingError: The body, the model, the signature or the form is wrong.
    """
    document = json_text.parse(body)
    name = _signature_name(document.value)
    handle = directory.acquire(selector)
    try:
        call.served_by(handle.id)
        signature = _signature(handle.model, name)
        call.signature = signature.name
        _check_keys(document.value)
        return Prediction(handle, signature, document)
    except BaseException:
        with handle:
            raise


def _signature_name(value: Any) -> str:
    if not isinstance(value, dict):
        raise errors.InvalidArgumentError(f"JSON Value: {json_text.show(value)} Is not object")
    name = value.get("signature_name", predict.DEFAULT_SIGNATURE)
    if not isinstance(name, str):
        raise errors.InvalidArgumentError(
            f"JSON Value: {json_text.show(value)} not formatted correctly. "
            "'signature_name' key must be a string value."
        )
    return name


def _signature(model: Model, name: str) -> Signature:
    signature = model.signatures.get(name or predict.DEFAULT_SIGNATURE)
    if signature is None:
        raise errors.InvalidArgumentError(
            f'Serving signature name: "{name}" not found in signature def'
        )
    if not signature.inputs:
        raise errors.InvalidArgumentError(
            f"Failed to get input map for signature: {name or 'DEFAULT'}"
        )
    return signature


def _check_keys(value: Mapping[str, Any]) -> None:
    if json_row.KEY in value and json_columnar.KEY in value:
        raise errors.InvalidArgumentError(
            f"JSON Value: {json_text.show(value)} Not formatted correctly expecting only one of "
            "'inputs' or 'instances' keys to exist "
        )
    if json_row.KEY not in value and json_columnar.KEY not in value:
        raise errors.InvalidArgumentError("Missing 'inputs' or 'instances' key")


def _version_header(handle: Handle) -> Headers:
    return ((b"x-model-version", b"%d" % handle.id.version),)


def status(directory: Directory, selector: Selector, call: Call) -> Reply:
    """Describe the versions of a model; a label does not narrow them."""
    response = describe.status(directory, selector.name, selector.version)
    call.model = selector.name
    return Reply(200, _write(response))


def metadata(directory: Directory, selector: Selector, call: Call) -> Reply:
    """Describe the signatures of a version."""
    with directory.acquire(selector) as handle:
        call.served_by(handle.id)
        body = {
            "model_spec": {
                "name": handle.id.name,
                "signature_name": "",
                "version": str(handle.id.version),
            },
            "metadata": {"signature_def": _as_dict(describe.signatures(handle))},
        }
        return Reply(200, json.dumps(body, indent=1).encode(), headers=_version_header(handle))


def readyz(readiness: Readiness) -> Reply:
    """Say whether this server should get requests."""
    reasons = readiness.reasons()
    body = orjson.dumps({"ready": not reasons, "reasons": reasons})
    return Reply(503 if reasons else 200, body)


def healthz() -> Reply:
    """Say that the process is alive."""
    return Reply(200, b'{"healthy":true}')


def _write(message: Any) -> bytes:
    return json.dumps(_as_dict(message), indent=1, ensure_ascii=False).encode(
        "utf-8", "surrogateescape"
    )


def _as_dict(message: Any) -> dict[str, Any]:
    described: dict[str, Any] = json_format.MessageToDict(
        message,
        preserving_proto_field_name=True,
        always_print_fields_with_no_presence=True,
    )
    return described
