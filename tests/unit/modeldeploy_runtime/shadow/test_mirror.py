"""
A sample of the answered requests is asked of a real gRPC server again, within bounds.
"""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import numpy as np
import pytest

from modeldeploy_runtime.inference.answered.exchanges import MultiInferred, Predicted, Regressed
from modeldeploy_runtime.protos import messages
from modeldeploy_runtime.shadow.mirror import Limits, Mirror
from modeldeploy_runtime.shadow.target import Target
from modeldeploy_runtime.telemetry.calls import RUN_SECONDS, SHADOW_MARK, Call
from modeldeploy_runtime.tensors import proto
from testkit.loading import until

LIMITS = Limits(pause=0.0)
X = np.array([1.0, 2.0], np.float32)
ASKED = Predicted({"x": X}, (), {"y": X})


class _Peer:
    """
    A server whose Predict answers what it is told to.
    """

    def __init__(self) -> None:
        self.outputs: dict[str, Any] = {"y": X}
        self.code: grpc.StatusCode | None = None
        self.let = threading.Event()
        self.let.set()
        self.seen: list[Any] = []

    def answer(self, request: Any, context: grpc.ServicerContext) -> Any:
        """
        Answer one request.
        """
        self.let.wait()
        self.seen.append((request, dict(context.invocation_metadata())))
        if self.code:
            context.abort(self.code, "no")
        context.set_trailing_metadata(((RUN_SECONDS, "0.25"),))
        response = messages.PredictResponse()
        for alias, array in self.outputs.items():
            proto.encode(array, response.outputs[alias])
        return response


@pytest.fixture
def peer() -> _Peer:
    """
    What the other server answers.
    """
    return _Peer()


@pytest.fixture
def address(peer: _Peer) -> Iterator[str]:
    """
    Where the other server listens.
    """
    server = grpc.server(ThreadPoolExecutor(4))
    handler = grpc.unary_unary_rpc_method_handler(
        peer.answer,
        request_deserializer=messages.PredictRequest.FromString,
        response_serializer=lambda response: response.SerializeToString(),
    )
    service = "tensorflow.serving.PredictionService"
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler(service, {"Predict": handler})]
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    peer.let.set()
    server.stop(0).wait()


def _call(*, pinned: bool = False) -> Call:
    return Call("REST", "predict", "m", "1", "serving_default", run_seconds=0.5, pinned=pinned)


def _answer(mirror: Mirror, exchange: Any = ASKED, *, pinned: bool = False) -> None:
    call = _call(pinned=pinned)
    mirror.record(call, exchange)
    assert call.after is not None
    call.after()


def _counts(mirror: Mirror) -> dict[str, Any]:
    return {
        f"{family.definition.name.removeprefix('modeldeploy_shadow_')}{'/'.join(labels[:-1])}": n
        for family in mirror.families()
        for labels, n in family.series.items()
    }


def _until(mirror: Mirror, name: str, count: int = 1) -> dict[str, Any]:
    until(lambda: _counts(mirror)[name] >= count)
    return _counts(mirror)


@pytest.fixture
def mirror(address: str) -> Iterator[Mirror]:
    """
    A mirror that asks the other server everything.
    """
    mirror = Mirror(LIMITS)
    mirror.aim(Target("t", "m", address, 100, 1e-3))
    yield mirror
    mirror.close()


def test_without_a_target_nothing_is_wanted() -> None:
    """
    And nothing is told.
    """
    mirror = Mirror()
    assert not mirror.wants("m")
    mirror.record(_call(), ASKED)
    assert (list(mirror.families()), mirror.last_mismatch, mirror.target) == ([], "", None)


def test_a_request_is_asked_again_with_its_mark(mirror: Mirror, peer: _Peer) -> None:
    """
    The other server gets the same tensors, and tells how long its model took.
    """
    assert mirror.wants("m")
    assert not mirror.wants("n")
    _answer(mirror)
    counted = _until(mirror, "compared_total")
    (request, metadata) = peer.seen[0]
    assert request.model_spec.signature_name == "serving_default"
    assert proto.decode("x", request.inputs["x"]).tolist() == [1.0, 2.0]
    assert metadata[SHADOW_MARK] == "1"
    assert counted["duration_secondshere"].total == 0.5
    assert counted["duration_secondstarget"].total == 0.25
    assert counted["mismatched_totaldifferent"] == 0


@pytest.mark.parametrize(
    ("outputs", "words"),
    [
        ({"y": X + 1}, "the output y is 2 at [0] instead of 1"),
        ({"y": X.astype(np.float64)}, "the output y is of type DT_DOUBLE instead of DT_FLOAT"),
        ({"z": X}, "the output y is missing"),
        ({"y": X[:1]}, "the output y has the shape [1] instead of [2]"),
    ],
)
def test_another_answer_is_a_mismatch(
    mirror: Mirror, peer: _Peer, outputs: dict[str, Any], words: str
) -> None:
    """
    It is told in words, too.
    """
    peer.outputs = outputs
    _answer(mirror)
    _until(mirror, "mismatched_totaldifferent")
    assert mirror.last_mismatch == words


def test_a_version_that_refuses_what_was_answered_is_worse(mirror: Mirror, peer: _Peer) -> None:
    """
    A server that is busy or away says nothing of its version.
    """
    peer.code = grpc.StatusCode.INVALID_ARGUMENT
    _answer(mirror)
    counted = _until(mirror, "mismatched_totalrefused")
    assert counted["compared_total"] == 1
    assert "refused with INVALID_ARGUMENT" in mirror.last_mismatch
    peer.code = grpc.StatusCode.RESOURCE_EXHAUSTED
    _answer(mirror)
    counted = _until(mirror, "skipped_totaltarget_failed")
    assert counted["compared_total"] == 1
    peer.code = None
    _answer(mirror)
    _until(mirror, "compared_total", 2)


def test_what_cannot_be_asked_is_skipped(mirror: Mirror) -> None:
    """
    Several inferences at once, a version that was chosen, and an answer that is none.
    """
    _answer(mirror, MultiInferred((), messages.Input(), ()))
    _answer(mirror, pinned=True)
    _answer(mirror, Regressed(messages.Input(), X))
    counted = _until(mirror, "skipped_totalunsupported")
    assert counted["skipped_totalpinned"] == 1
    # The other server has no Regress.
    _until(mirror, "skipped_totaltarget_failed")


def test_the_queue_is_bounded_by_requests_and_bytes(address: str, peer: _Peer) -> None:
    """
    Those that are being asked count, too; what does not fit is skipped at once.
    """
    peer.let.clear()
    mirror = Mirror(Limits(queued=3, queued_bytes=64, request_bytes=32, pause=0.0))
    mirror.aim(Target("t", "m", address, 100, 0))
    for _ in range(5):
        _answer(mirror)
    assert _counts(mirror)["skipped_totalqueue_full"] == 2
    _answer(mirror, Predicted({"x": np.zeros(9, np.float32)}, (), {}))
    assert _counts(mirror)["skipped_totaltoo_large"] == 1
    peer.let.set()
    _until(mirror, "compared_total", 3)
    mirror.close()


def test_another_target_begins_anew(mirror: Mirror, address: str) -> None:
    """
    The same one again changes nothing; without one the last counts stay.
    """
    _answer(mirror)
    _until(mirror, "compared_total")
    mirror.aim(mirror.target)
    assert _counts(mirror)["compared_total"] == 1
    late = _call()
    mirror.record(late, ASKED)
    mirror.aim(None)
    assert late.after is not None
    late.after()
    assert _counts(mirror)["skipped_totalqueue_full"] == 1
    assert _counts(mirror)["compared_total"] == 1
    mirror.aim(Target("u", "m", address, 100, 0))
    assert _counts(mirror)["compared_total"] == 0


def test_an_answer_that_cannot_be_read_ends_nothing(mirror: Mirror, peer: _Peer) -> None:
    """
    It is skipped, and the next one is compared.
    """
    peer.outputs = {"y": np.array([1], np.int32)}
    broken: Any = Predicted({"x": np.array([1], dtype="M8[s]")}, (), {"y": X})
    _answer(mirror, broken)
    _until(mirror, "skipped_totalunsupported")
    _answer(mirror)
    _until(mirror, "compared_total")
