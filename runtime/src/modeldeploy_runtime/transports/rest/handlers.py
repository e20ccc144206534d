"""
Answers REST requests: bytes in, a ``Reply`` out.

An inference is answered in two steps, so that the server can choose after the first one whether
the second, which may take long, goes to a thread.
"""

import functools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

import orjson
from google.protobuf import json_format

from modeldeploy_runtime.inference import describe, lookup
from modeldeploy_runtime.inference.calls import Calls, Pending, Prediction
from modeldeploy_runtime.inference.directory import Directory
from modeldeploy_runtime.inference.readiness import Readiness
from modeldeploy_runtime.loaders.port import Model, Signature
from modeldeploy_runtime.servables import errors
from modeldeploy_runtime.servables.ids import Selector
from modeldeploy_runtime.telemetry.calls import Call
from modeldeploy_runtime.tensors import json_columnar, json_examples, json_out, json_row, json_text
from modeldeploy_runtime.tensors.dtypes import Array
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


@dataclass(frozen=True, slots=True)
class Begun:
    """
    An inference whose body has been parsed and whose version is held.

    ``finish`` must be called, once, as it lets the version go, or its ``pending`` started.
    """

    pending: Pending[Any]
    write: Callable[[Any], bytes]

    def finish(self, deadline: float | None) -> Reply:
        """Convert, compute and write."""
        return self.reply(self.pending.finish(deadline))

    def reply(self, result: Any) -> Reply:
        """Write a result."""
        return Reply(200, self.write(result))


def predict(calls: Calls, selector: Selector, body: bytes, call: Call) -> Begun:
    """
    Parse a request and find who answers it, in the order in which TensorFlow Serving checks.

    Raises:
        ServingError: The body, the model, the signature or the form is wrong.
    """
    document = json_text.parse(body)
    wanted = Prediction(
        _signature_name(document.value), functools.partial(_read, document), find=_signature
    )
    pending = calls.predict(selector, wanted, call)
    is_rows = json_row.KEY in document.value
    return Begun(pending, json_out.rows if is_rows else json_out.columns)


def classify(calls: Calls, selector: Selector, body: bytes, call: Call) -> Begun:
    """
    Parse a classification and find who answers it; its examples are read before that.

    Raises:
        ServingError: The body, the model or the signature is wrong.
    """
    name, given = _examples(body)
    pending = calls.classify(selector, name, given, call)
    return Begun(pending, lambda found: json_out.classifications(found.labels, found.scores))


def regress(calls: Calls, selector: Selector, body: bytes, call: Call) -> Begun:
    """
    Parse a regression and find who answers it; its examples are read before that.

    Raises:
        ServingError: The body, the model or the signature is wrong.
    """
    name, given = _examples(body)
    return Begun(calls.regress(selector, name, given, call), json_out.regressions)


def _examples(body: bytes) -> tuple[str, Any]:
    value = json_text.parse(body).value
    name = _signature_name(value)
    return name, json_examples.to_input(value)


def _read(document: Document, signature: Signature) -> Mapping[str, Array]:
    _check_keys(document.value)
    if json_row.KEY in document.value:
        return json_row.to_arrays(document, signature.inputs)
    return json_columnar.to_arrays(document, signature.inputs)


def _signature_name(value: Any) -> str:
    if not isinstance(value, dict):
        raise errors.InvalidArgumentError(f"JSON Value: {json_text.show(value)} Is not object")
    name = value.get("signature_name", "")
    if not isinstance(name, str):
        raise errors.InvalidArgumentError(
            f"JSON Value: {json_text.show(value)} not formatted correctly. "
            "'signature_name' key must be a string value."
        )
    return name


def _signature(model: Model, name: str) -> Signature:
    key = name or lookup.DEFAULT_SIGNATURE
    signature = model.signatures.get(key)
    if signature is None:
        raise errors.InvalidArgumentError(
            f'Serving signature name: "{key}" not found in signature def'
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


def status(directory: Directory, selector: Selector, query: bytes, call: Call) -> Reply:
    """
    Describe the versions of a model; a label does not narrow them.

    With ``view=full`` in the query they are described as in the list of all models.
    """
    if _query(query).get("view") == ["full"]:
        described = describe.model(directory, selector)
    else:
        described = _as_dict(describe.status(directory, selector))
    call.model = selector.name
    return Reply(200, _dump(described))


def models(directory: Directory) -> Reply:
    """List all configured models with their versions, also those that have none yet."""
    return Reply(200, _dump({"models": describe.models(directory)}))


def metadata(directory: Directory, selector: Selector, call: Call) -> Reply:
    """Describe the signatures of a version."""
    with directory.acquire(selector) as handle:
        call.served_by(handle.id)
        body = {
            "model_spec": {
                "name": handle.id.name,
                "signature_name": "",
                "version_label" if handle.id.is_named else "version": call.version,
            },
            "metadata": {"signature_def": _as_dict(describe.signatures(handle))},
        }
        return Reply(200, _dump(body))


def readyz(readiness: Readiness) -> Reply:
    """Say whether this server should get requests."""
    reasons = readiness.reasons()
    body = orjson.dumps({"ready": not reasons, "reasons": reasons})
    return Reply(503 if reasons else 200, body)


def healthz() -> Reply:
    """Say that the process is alive."""
    return Reply(200, b'{"healthy":true}')


def wanted_metrics(query: bytes) -> frozenset[str]:
    """Read which metrics are asked for: ``?name[]=NAME&name[]=NAME``, as Prometheus' own do."""
    return frozenset(_query(query).get("name[]", []))


def _query(query: bytes) -> dict[str, list[str]]:
    # As text: of bytes, parse_qs takes only what is ASCII after decoding, too.
    return parse_qs(query.decode("latin-1"))


def _dump(value: Any) -> bytes:
    text = json.dumps(value, indent=1, ensure_ascii=False)
    return text.encode("utf-8", "surrogateescape")


def _as_dict(message: Any) -> dict[str, Any]:
    described: dict[str, Any] = json_format.MessageToDict(
        message,
        preserving_proto_field_name=True,
        always_print_fields_with_no_presence=True,
    )
    return described
