"""
Batching over the wire, line by line: each model of the server is batched in a way of its own.

Its rows tell how many of them were computed at once, so that the tests see who shared a batch.
"""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from testkit.crowd_models import PARAMETERS
from testkit.model_servers import Answer, ModelServer, run_command, running

BROKEN = ("wrong", "garbled")
SERVED = [name for name in PARAMETERS if name not in BROKEN]


@pytest.fixture(scope="module")
def crowd(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelServer]:
    """
    A server with one batch thread, and a file of parameters in each model's folder.
    """
    folder = tmp_path_factory.mktemp("crowd")
    platform = 'model_platform: "tensorflow"'
    config, pool = folder / "models.config", folder / "pool.txt"
    pool.write_text('num_batch_threads { value: 1 } thread_pool_name { value: "crowd" }')
    entries = "\n".join(
        f'config {{ name: "{name}" base_path: "{models}/crowd/{name}" {platform} }}'
        for name in PARAMETERS
    )
    config.write_text(f"model_config_list {{ {entries} }}")
    flags = [f"--batching_parameters_file={pool}", "--enable_per_model_batching_parameters"]
    with running(folder, f"--model_config_file={config}", "--enable_batching", *flags) as server:
        for name in SERVED:
            server.wait_state(name, 1, "AVAILABLE")
        yield server


@pytest.fixture(scope="module")
def stub(crowd: ModelServer) -> Iterator[Any]:
    """
    The stock stub.
    """
    with grpc.insecure_channel(crowd.target) as channel:
        yield prediction_service_pb2_grpc.PredictionServiceStub(channel)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    """
    Make clients who wait.
    """
    with ThreadPoolExecutor(16) as made:
        yield made


def _request(model: str, signature: str = "", **inputs: Any) -> Any:
    request = predict_pb2.PredictRequest()
    request.model_spec.name = model
    request.model_spec.signature_name = signature
    for alias, value in inputs.items():
        request.inputs[alias].CopyFrom(tf.make_tensor_proto(value))
    return request


def _floats(*values: float) -> Any:
    return np.array(values, np.float32)


def _failure(stub: Any, request: Any, seconds: float = 30.0) -> tuple[str, str]:
    with pytest.raises(grpc.RpcError) as caught:
        stub.Predict(request, timeout=seconds)
    return caught.value.code().name, caught.value.details()


def _columns(signature: str = "serving_default", **inputs: Any) -> dict[str, Any]:
    return {"signature_name": signature, "inputs": inputs}


def _outputs(answer: Answer) -> Any:
    assert answer.status == 200, answer.body
    return answer.json["outputs"]


def test_requests_share_a_batch_over_both_transports(
    crowd: ModelServer, stub: Any, pool: ThreadPoolExecutor
) -> None:
    """
    A batch closes when its fourth row is there, whoever brings it, and each gets his own rows.
    """
    rest = [pool.submit(crowd.predict, "four", _columns(x=[value])) for value in (1.0, 2.0)]
    rpc = pool.submit(stub.Predict, _request("four", x=_floats(3.0, 4.0)), 30)
    answers = [_outputs(future.result()) for future in rest]
    assert [answer["y"] for answer in answers] == [[2.0], [4.0]]
    assert [answer["rows"] for answer in answers] == [[4], [4]]
    assert list(rpc.result().outputs["y"].float_val) == [6.0, 8.0]
    assert list(rpc.result().outputs["rows"].int_val) == [4, 4]


def test_choices_of_outputs_never_share_a_batch(
    crowd: ModelServer, stub: Any, pool: ThreadPoolExecutor
) -> None:
    """
    A request with an output_filter waits for others with the same one.
    """
    filtered = _request("four", x=_floats(1.0, 1.0))
    filtered.output_filter.append("rows")
    whole = [pool.submit(crowd.predict, "four", _columns(x=[1.0] * 2)) for _ in range(2)]
    same = [pool.submit(stub.Predict, filtered, 30) for _ in range(2)]
    assert [list(future.result().outputs) for future in same] == [["rows"], ["rows"]]
    assert [_outputs(future.result())["rows"] for future in whole] == [[4, 4], [4, 4]]


def test_a_model_without_a_file_is_not_batched(crowd: ModelServer) -> None:
    """
    The global file only makes the threads, where models have files of their own.
    """
    assert _outputs(crowd.predict("alone", _columns(x=[1.0] * 40)))["rows"] == [40] * 40


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "wrong",
            (
                "Last entry in allowed_batch_sizes must match max_batch_size; last entry was 4; "
                "expected 8"
            ),
        ),
        ("garbled", "Error parsing text-format tensorflow.serving.BatchingParameters"),
    ],
)
def test_a_wrong_file_fails_the_load(crowd: ModelServer, name: str, message: str) -> None:
    """
    The status says what is wrong with the file, and no other model notices.
    """
    crowd.wait_state(name, 1, "END")
    [status] = crowd.get(f"/v1/models/{name}").json["model_version_status"]
    assert status["status"]["error_code"] == "INVALID_ARGUMENT"
    assert message in status["status"]["error_message"]


def test_batches_are_filled_up_to_an_allowed_size(crowd: ModelServer) -> None:
    """
    Three rows become four by a copy of the first row, and the copy's outputs are dropped.
    """
    outputs = _outputs(crowd.predict("allowed", _columns(x=[5.0, 1.0, 2.0])))
    assert outputs == {"y": [10.0, 2.0, 4.0], "rows": [4] * 3, "total": [13.0] * 3}
    assert _outputs(crowd.predict("allowed", _columns(x=[1.0] * 5)))["rows"] == [8] * 5


def test_large_requests_are_split(crowd: ModelServer) -> None:
    """
    Ten rows are computed as four, four and two, of which the last are filled up to four.
    """
    values = [float(value) for value in range(10)]
    outputs = _outputs(crowd.predict("splitting", _columns(x=values)))
    assert outputs["y"] == [2 * value for value in values]
    assert outputs["rows"] == [4] * 10
    assert outputs["total"] == [6.0] * 4 + [22.0] * 4 + [33.0] * 2


def test_a_large_request_finds_no_room(
    crowd: ModelServer, stub: Any, pool: ThreadPoolExecutor
) -> None:
    """
    Where one batch may wait and nine do, who needs three is told so and takes no other's place.
    """
    message = (
        "The batch scheduling queue to which this task was submitted is full; task size is 12 but "
        "scheduling capacity is only 4 (num_enqueued_batches=9, max_enqueued_batches=10, "
        "open_batch_size=4, max_execution_batch_size=4)"
    )

    def refused() -> list[Answer]:
        toil = pool.submit(
            stub.Predict, _request("greedy", "toil", n=np.array([400_000], np.int32)), 60
        )
        depth = 'modeldeploy_batch_queue_depth{model="greedy",signature="toil",version="1"} 0'
        crowd.wait(
            lambda: depth in crowd.get("/monitoring/prometheus/metrics").body.decode(), "a run"
        )
        asked = [pool.submit(crowd.predict, "splitting", _columns(x=[1.0] * 12)) for _ in range(4)]
        toil.result()
        answers = [future.result() for future in asked]
        # The thread may have taken some of them before it met the toil.
        return [answer for answer in answers if answer.status != 200 and message in answer.error]

    [answer] = crowd.wait(refused, "a refusal")
    assert (answer.status, answer.error) == (503, message)


@pytest.mark.parametrize(
    ("model", "signature", "inputs", "code", "message"),
    [
        (
            "greedy",
            "",
            {"x": [1.0] * 50},
            "INVALID_ARGUMENT",
            "Task size 50 is larger than maximum input batch size 32",
        ),
        (
            "greedy",
            "",
            {"x": 1.0},
            "INVALID_ARGUMENT",
            "Batching Run() input tensors must have at least one dimension",
        ),
        (
            "greedy",
            "pair",
            {"x": [1.0, 2.0], "w": [1.0]},
            "INVALID_ARGUMENT",
            "Batching Run() input tensors must have equal 0th-dimension size",
        ),
        (
            "greedy",
            "scalar",
            {"x": [1.0]},
            "FAILED_PRECONDITION",
            "Batched output tensor has 0 dimensions",
        ),
        (
            "greedy",
            "doubled",
            {"x": [1.0]},
            "FAILED_PRECONDITION",
            (
                "Batched output tensor's 0th dimension does not equal the sum of the 0th dimension "
                "sizes of the input tensors"
            ),
        ),
        (
            "padded",
            "anything",
            {"x": [[[[[[[1.0]]]]]]]},
            "INVALID_ARGUMENT",
            "Only tensors with rank from 1 to 6 can be padded.",
        ),
    ],
)
def test_what_cannot_be_batched_is_refused(  # noqa: PLR0917 - a row of the table
    crowd: ModelServer,
    stub: Any,
    model: str,
    signature: str,
    inputs: dict[str, Any],
    code: str,
    message: str,
) -> None:
    """
    The codes and the messages are TensorFlow Serving's, over both transports.
    """
    arrays = {alias: np.array(value, np.float32) for alias, value in inputs.items()}
    assert _failure(stub, _request(model, signature, **arrays)) == (code, message)
    answer = crowd.predict(model, _columns(signature, **inputs))
    assert (answer.status, answer.error) == (400, message)


def test_a_wrong_type_fails_before_it_meets_anybody(stub: Any, pool: ThreadPoolExecutor) -> None:
    """
    Who sends integers is told at once, and those who wait go on waiting for the right ones.
    """
    waits = pool.submit(stub.Predict, _request("four", x=_floats(1.0)), 30)
    wrong = _request("four", x=np.array([1, 2, 3], np.int32))
    assert _failure(stub, wrong)[0] == "INVALID_ARGUMENT"
    last = stub.Predict(_request("four", x=_floats(2.0, 3.0, 4.0)), timeout=30)
    assert list(last.outputs["y"].float_val) == [4.0, 6.0, 8.0]
    assert list(waits.result().outputs["rows"].int_val) == [4]


def test_one_bad_request_fails_alone(crowd: ModelServer, pool: ThreadPoolExecutor) -> None:
    """
    A batch that the model refuses is computed again in parts, and only the culprit is told.
    """
    values = (1.0, -1.0, 2.0, 3.0)
    asked = [pool.submit(crowd.predict, "four", _columns("picky", x=[v])) for v in values]
    answers = [future.result() for future in asked]
    assert [answer.status for answer in answers] == [200, 400, 200, 200]
    assert "negative" in answers[1].error
    good = [_outputs(answer)["y"] for answer in answers if answer.status == 200]
    assert good == [[2.0], [4.0], [6.0]]


def test_rows_of_different_length_are_padded_and_outputs_trimmed(
    crowd: ModelServer, pool: ThreadPoolExecutor
) -> None:
    """
    The shorter request shares the batch of the longer one, and sees nothing of it.
    """
    rows = [[[7, 8]], [[1, 2, 3]]]
    asked = [pool.submit(crowd.predict, "padded", _columns("sequences", tokens=r)) for r in rows]
    answers = [_outputs(future.result()) for future in asked]
    assert [answer["same"] for answer in answers] == rows
    assert [answer["rows"] for answer in answers] == [[2], [2]]


def test_an_empty_row_cannot_be_padded(stub: Any, pool: ThreadPoolExecutor) -> None:
    """
    Its sender is told so, and the other one is answered.
    """
    empty = _request("padded", "sequences", tokens=np.zeros((1, 0), np.int32))
    asked = pool.submit(_failure, stub, empty)
    full = _request("padded", "sequences", tokens=np.array([[1, 2]], np.int32))
    answer = stub.Predict(full, timeout=30)
    assert list(answer.outputs["same"].int_val) == [1, 2]
    assert asked.result() == (
        "INVALID_ARGUMENT",
        "Got empty tensor in batch of non-empty tensors.",
    )


def test_without_padding_different_shapes_wait_apart(
    crowd: ModelServer, pool: ThreadPoolExecutor
) -> None:
    """
    Where TensorFlow Serving fails both, each shape has batches of its own.
    """
    lengths = (2, 3, 2, 3)
    asked: list[Future[Answer]] = [
        pool.submit(crowd.predict, "four", _columns("sequences", tokens=[[1] * n] * 2))
        for n in lengths
    ]
    answers = [_outputs(future.result()) for future in asked]
    assert [len(answer["same"][0]) for answer in answers] == list(lengths)
    assert [answer["rows"] for answer in answers] == [[4, 4]] * 4


def test_a_full_queue_says_when_to_come_again(
    crowd: ModelServer, stub: Any, pool: ThreadPoolExecutor
) -> None:
    """
    UNAVAILABLE over gRPC, and 503 with Retry-After over REST, until there is room again.
    """

    def insist() -> Answer:
        # The probes below fill the queue, too, for as long as they are not taken.
        while (answer := crowd.predict("two", _columns(x=[1.0]))).status == 503:
            pass
        return answer

    first = pool.submit(insist)
    message = (
        "The batch scheduling queue to which this task was submitted is full; currently 1 batches "
        "enqueued and max_enqueued_batches is 1"
    )

    def refused() -> Answer | None:
        # A full batch does not wait, so that it is answered for as long as the first is not there.
        answer = crowd.predict("two", _columns(x=[2.0, 2.0]))
        return None if answer.status == 200 else answer

    answer = crowd.wait(refused, "a refusal")
    assert (answer.status, answer.error) == (503, message)
    assert int(answer.headers["retry-after"]) >= 1
    assert _failure(stub, _request("two", x=_floats(2.0, 2.0))) == ("UNAVAILABLE", message)
    assert _outputs(crowd.predict("two", _columns(x=[3.0])))["rows"] == [2]
    assert _outputs(first.result())["y"] == [2.0]


def test_a_deadline_that_passes_in_the_queue(
    crowd: ModelServer, stub: Any, pool: ThreadPoolExecutor
) -> None:
    """
    Who waits longer than he wants to is told at his deadline, and the model is not asked.
    """
    toil = pool.submit(
        stub.Predict, _request("greedy", "toil", n=np.array([150_000], np.int32)), 60
    )
    late = _request("greedy", x=_floats(1.0))

    def refused() -> tuple[str, str] | None:
        try:
            stub.Predict(late, timeout=0.1)
        except grpc.RpcError as error:
            return error.code().name, error.details()
        return None

    assert crowd.wait(refused, "a refusal") in {
        (
            "RESOURCE_EXHAUSTED",
            "Run() timeout exceeded while waiting in batching queue",
        ),
        ("DEADLINE_EXCEEDED", "Deadline Exceeded"),
    }
    toil.result()
    assert list(stub.Predict(late, timeout=30).outputs["y"].float_val) == [2.0]


def test_a_batch_does_not_wait_past_a_deadline(crowd: ModelServer, stub: Any) -> None:
    """
    A lone request is computed before its deadline, though its batch might wait for a minute.
    """

    def answer() -> Any:
        try:
            return stub.Predict(_request("four", x=_floats(1.0)), timeout=1.5)
        except grpc.RpcError as error:
            # A machine that is busy enough may spend all of the margin elsewhere.
            assert error.code().name in {"DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED"}  # noqa: PT017 - waited for
            return None

    found = crowd.wait(answer, "an answer in time", 20)
    assert list(found.outputs["rows"].int_val) == [1]


def test_what_batching_does_is_counted(crowd: ModelServer) -> None:
    """
    TensorFlow Serving's metrics of batching, and the rows that wait.
    """
    assert crowd.predict("allowed", _columns(x=[1.0] * 3)).status == 200
    text = crowd.get("/monitoring/prometheus/metrics").body.decode()
    for name in (
        ':tensorflow:serving:batching_session:queuing_latency_count{thread_pool_name=""} ',
        ":tensorflow:serving:batching_session:input_batch_size_count{} ",
        ":tensorflow:serving:batching_session:processed_batch_size_count{} ",
        ':tensorflow:serving:batching_session:padding_size_sum{execution_batch_size="4"} ',
        ":tensorflow:serving:batching_session:wrapped_run_count{} ",
        'modeldeploy_batch_queue_depth{model="allowed",signature="picky",version="1"} 0',
    ):
        assert name in text


def test_parameters_for_all_models(models: Path, tmp_path: Path) -> None:
    """
    Without files of their own, all models are batched as the one file says.
    """
    file = tmp_path / "parameters.txt"
    file.write_text("max_batch_size { value: 4 } allowed_batch_sizes: 4")
    base = ["--model_name=m", f"--model_base_path={models}/crowd/alone"]
    with running(tmp_path, *base, "--enable_batching", f"--batching_parameters_file={file}") as one:
        one.wait_ready()
        assert _outputs(one.predict("m", _columns(x=[1.0])))["rows"] == [4]
        one.terminate()
        assert one.process.wait(30) == 0


@pytest.mark.parametrize(
    ("text", "flags", "message"),
    [
        (
            "allowed_batch_sizes: 4",
            ["--enable_batching"],
            (
                "Last entry in allowed_batch_sizes must match max_batch_size; last entry was 4; "
                "expected 1000"
            ),
        ),
        ("max_batch_size 4", ["--enable_batching"], "Error parsing text-format"),
        ("", [], "--batching_parameters_file needs --enable_batching."),
    ],
)
def test_a_wrong_file_for_all_ends_the_server(
    tmp_path: Path, text: str, flags: list[str], message: str
) -> None:
    """
    A server that would batch otherwise than it was told does not start.
    """
    file = tmp_path / "parameters.txt"
    file.write_text(text)
    ended = run_command(
        f"--model_base_path={tmp_path}", f"--batching_parameters_file={file}", *flags
    )
    assert ended.returncode == 255
    assert message in ended.stderr
