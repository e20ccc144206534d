"""
Recorded and made-up requests against a model.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modeldeploy_runtime.loaders import tfrecord
from modeldeploy_runtime.protos import messages
from modeldeploy_runtime.servables.errors import Code, LoadError, UnavailableError
from modeldeploy_runtime.servables.ids import ServableId
from modeldeploy_runtime.telemetry.metrics import Metrics
from modeldeploy_runtime.tensors import dtypes, proto
from modeldeploy_runtime.tensors.dtypes import Array, TensorSpec
from modeldeploy_runtime.warmup import records
from modeldeploy_runtime.warmup.warm_up import WarmUp, WarmUpOptions

M1 = ServableId("m", 1)


class _Signature:
    """
    Gives its input back, and notes the shapes that it was called with.
    """

    def __init__(self, name: str, error: Exception | None = None) -> None:
        self.name = name
        self.definition = messages.SignatureDef()
        self.inputs = {"x": TensorSpec("x:0", dtypes.BY_NAME["float"], (-1,))}
        self.outputs = {"y": TensorSpec("y:0", dtypes.BY_NAME["float"], (-1,))}
        self.defaults: dict[str, Array] = {}
        self.is_cheap = False
        self.shapes: list[tuple[int, ...]] = []
        self._error = error

    def run(self, inputs: Mapping[str, Array], outputs: Iterable[str], *_: Any) -> dict[str, Array]:
        if self._error is not None:
            raise self._error
        self.shapes.append(inputs["x"].shape)
        return dict.fromkeys(outputs, inputs["x"])


class _Model:
    """
    Signatures, and nothing behind them.
    """

    signature_defs: Mapping[str, bytes] = {}

    def __init__(self, *signatures: _Signature) -> None:
        self.signatures: Any = {signature.name: signature for signature in signatures}

    def run(self, *_: Any) -> list[Array]:
        raise AssertionError("Nobody asked for the graph.")

    def unload(self) -> None:
        raise AssertionError("The loader unloads.")


def _prediction(values: int = 1, signature: str = "") -> bytes:
    log = messages.PredictionLog()
    log.predict_log.request.model_spec.signature_name = signature
    proto.encode(np.ones(values, np.float32), log.predict_log.request.inputs["x"])
    return bytes(log.SerializeToString())


def _warm_up(
    folder: Path,
    content: bytes | None,
    *signatures: _Signature,
    sizes: Sequence[int] = (1,),
    **options: Any,
) -> Metrics:
    if content is not None:
        (folder / "assets.extra").mkdir()
        (folder / records.FILE).write_bytes(content)
    metrics = Metrics(list)
    warm_up = WarmUp(WarmUpOptions(**options), metrics, lambda _: sizes)
    warm_up.warm_up(M1, _Model(*signatures), folder)
    return metrics


def _count(metrics: Metrics, folder: Path, code: str = "OK") -> int:
    start = ":tensorflow:serving:model_warmup_records_read"
    labels = f'{{model_path="{folder}",status="{code}"}} '
    (found,) = [
        line for line in metrics.expose().decode().splitlines() if line.startswith(start + labels)
    ]
    return int(found.removeprefix(start + labels))


def test_records_are_replayed(tmp_path: Path) -> None:
    """
    Each record runs as often as is wanted, with the signature that it names.
    """
    first, other = _Signature("serving_default"), _Signature("other")
    content = tfrecord.pack(_prediction(2)) + tfrecord.pack(_prediction(3, "other"))
    metrics = _warm_up(tmp_path, content, first, other, iterations=2)
    assert (first.shapes, other.shapes) == ([(2,), (2,)], [(3,), (3,)])
    assert _count(metrics, tmp_path) == 2


@pytest.mark.parametrize("content", [None, b""])
def test_no_records(content: bytes | None, tmp_path: Path) -> None:
    """
    No file and an empty file are no fault.
    """
    _warm_up(tmp_path, content, _Signature("serving_default"))


def test_warm_up_may_be_off(tmp_path: Path) -> None:
    """
    Then nobody looks at the file.
    """
    _warm_up(tmp_path, b"no record", enabled=False)


def _of_kind(kind: str) -> bytes:
    log = messages.PredictionLog()
    getattr(log, kind).SetInParent()
    return tfrecord.pack(log.SerializeToString())


@pytest.mark.parametrize(
    ("content", "code", "message"),
    [
        (b"no record", Code.DATA_LOSS, "verify your warmup data is in TFRecord format."),
        (tfrecord.pack(b"\xff"), Code.INVALID_ARGUMENT, "Failed to parse warmup record: "),
        (_of_kind("session_run_log"), Code.UNIMPLEMENTED, "Unsupported log_type for warmup: 5"),
        (_of_kind("predict_streamed_log"), Code.UNIMPLEMENTED, "log_type for warmup: 7"),
        (tfrecord.pack(b""), Code.UNIMPLEMENTED, "Unsupported log_type for warmup: 0"),
        (
            tfrecord.pack(_prediction(1, "gone")),
            Code.FAILED_PRECONDITION,
            'Serving signature key "gone" not found.',
        ),
        (
            _of_kind("classify_log"),
            Code.INVALID_ARGUMENT,
            "No classification inputs found in SignatureDef",
        ),
        (
            tfrecord.pack(_prediction()) * 1001,
            Code.INVALID_ARGUMENT,
            (
                "Number of warmup records exceeds the maximum (1000) at {folder}/assets.extra/"
                "tf_serving_warmup_requests"
            ),
        ),
    ],
)
def test_a_bad_record_fails_the_load(
    content: bytes, code: Code, message: str, tmp_path: Path
) -> None:
    """
    The load fails with TensorFlow Serving's code and text, unless a warning is to be enough.
    """
    with pytest.raises(LoadError) as raised:
        _warm_up(tmp_path, content, _Signature("serving_default"))
    assert raised.value.code is code
    assert message.format(folder=tmp_path) in raised.value.message
    assert raised.value.permanent
    soft = tmp_path / "soft"
    soft.mkdir()
    metrics = _warm_up(soft, content, _Signature("serving_default"), is_required=False)
    assert f'status="{code.name}"' in metrics.expose().decode()


def test_what_may_pass_is_tried_again(tmp_path: Path) -> None:
    """
    A model that is only busy does not fail its load for good.
    """
    busy = _Signature("serving_default", UnavailableError("Not now."))
    with pytest.raises(LoadError) as raised:
        _warm_up(tmp_path, tfrecord.pack(_prediction()), busy)
    assert not raised.value.permanent


def test_made_up_inputs(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """
    Each signature runs with each batch size; one that cannot is named, and the others run.
    """
    good = _Signature("good")
    bad = _Signature("bad", UnavailableError("It wants something else."))
    metrics = _warm_up(tmp_path, None, bad, good, sizes=(1, 8), made_up=True)
    assert good.shapes == [(1,), (8,)]
    assert _count(metrics, tmp_path) == 2
    assert "its signature bad: It wants something else." in caplog.text


def test_made_up_inputs_only_where_nothing_is_recorded(tmp_path: Path) -> None:
    """
    Recorded requests go before made-up ones, and without being asked nothing is made up.
    """
    signature = _Signature("serving_default")
    _warm_up(tmp_path, tfrecord.pack(_prediction(5)), signature, made_up=True)
    assert signature.shapes == [(5,)]
    (tmp_path / records.FILE).unlink()
    _warm_up(tmp_path / "other", None, signature)
    assert signature.shapes == [(5,)]
