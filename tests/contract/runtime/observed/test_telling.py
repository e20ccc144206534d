"""
What a running server writes of its requests: access log, traces, and files for the next warm-up.
"""

import shutil
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import (
    classification_pb2,
    inference_pb2,
    predict_pb2,
    prediction_log_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

from testkit.model_servers import ModelServer, running

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{PARENT}-01"
ONE = {"instances": [1.0]}


def test_access_log(watched: Any) -> None:
    """
    Each request is one line of JSON: who asked what of whom, how it ended, and how large it was.
    """
    server = watched.server
    server.request("POST", "/v1/models/half:predict", ONE, traceparent=TRACEPARENT)
    server.predict("nobody", ONE)
    line = server.wait(lambda: _find(watched, trace_id=TRACE), "a line of the access log")
    assert line["peer"].startswith("127.0.0.1:")
    assert (line["entrypoint"], line["method"], line["code"]) == ("REST", "predict", "OK")
    assert (line["model"], line["version"]) == ("half", "2")
    assert line["signature"] == "serving_default"
    assert line["request_bytes"] == len('{"instances": [1.0]}')
    assert line["response_bytes"] == len('{"predictions":[3.5]}')
    assert 0 < line["run_ms"] < line["ms"]
    refused = server.wait(lambda: _find(watched, method="predict", code="NOT_FOUND"), "the other")
    assert refused["model"] == "_unknown"
    assert not _find(watched, method="readyz")


def _find(watched: Any, **wanted: str) -> dict[str, Any] | None:
    for line in watched.lines():
        if wanted.items() <= line.items():
            found: dict[str, Any] = line
            return found
    return None


@pytest.mark.parametrize("entrypoint", ["REST", "GRPC"])
def test_traces(entrypoint: str, watched: Any) -> None:
    """
    A request is a span of the client's trace, and holds a span of its wait and one of the model.
    """
    trace = TRACE[::-1] if entrypoint == "REST" else TRACE.replace("0", "1")
    header = f"00-{trace}-{PARENT}-01"
    server = watched.server
    if entrypoint == "REST":
        server.request("POST", "/v1/models/half:predict", ONE, traceparent=header)
    else:
        with grpc.insecure_channel(server.target) as channel:
            stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
            stub.Predict(_prediction("half"), metadata=[("traceparent", header)])

    def spans() -> dict[str, Any]:
        return {span.name: span for span in watched.collector.spans if span.trace_id.hex() == trace}

    names = {f"{entrypoint} predict", "queue", "run"}
    found = server.wait(lambda: spans() if spans().keys() == names else None, "three spans")
    whole, queue, run = found[f"{entrypoint} predict"], found["queue"], found["run"]
    assert whole.parent_span_id.hex() == PARENT
    assert queue.parent_span_id == run.parent_span_id == whole.span_id
    moments = [
        whole.start_time_unix_nano,
        queue.start_time_unix_nano,
        queue.end_time_unix_nano,
        run.start_time_unix_nano,
        run.end_time_unix_nano,
        whole.end_time_unix_nano,
    ]
    assert moments == sorted(moments)
    attributes = {item.key: item.value for item in whole.attributes}
    assert attributes["modeldeploy.model"].string_value == "half"
    assert attributes["modeldeploy.code"].string_value == "OK"
    assert watched.collector.services == {"modeldeploy-server"}


def _prediction(model: str) -> Any:
    request = predict_pb2.PredictRequest()
    request.model_spec.name = model
    request.inputs["x"].CopyFrom(tf.make_tensor_proto(np.array([4.0, 6.0], np.float32)))
    return request


def _ask_everything(server: ModelServer) -> None:
    """
    Send one request of each kind, over gRPC, and what REST offers over REST.
    """
    example = tf.train.Example()
    example.features.feature["x"].float_list.value.append(4.0)
    with grpc.insecure_channel(server.target) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        classify = classification_pb2.ClassificationRequest()
        regress = regression_pb2.RegressionRequest()
        several = inference_pb2.MultiInferenceRequest()
        classify.model_spec.name = regress.model_spec.name = "heads"
        regress.model_spec.signature_name = "regress"
        for name, verb in (("serving_default", "classify"), ("regress", "regress")):
            task = several.tasks.add(method_name=f"tensorflow/serving/{verb}")
            task.model_spec.name, task.model_spec.signature_name = "heads", name
        for request in (classify, regress, several):
            request.input.example_list.examples.add().ParseFromString(example.SerializeToString())
        stub.Classify(classify)
        stub.Regress(regress)
        stub.MultiInference(several)
        wanted = predict_pb2.PredictRequest()
        wanted.model_spec.name, wanted.model_spec.signature_name = "heads", "predict"
        value = tf.make_tensor_proto(np.array([example.SerializeToString()], object))
        wanted.inputs["inputs"].CopyFrom(value)
        stub.Predict(wanted)


def _read(paths: list[Path]) -> list[Any]:
    """
    Read a log with TensorFlow's own reader and the stock messages.
    """
    return [
        prediction_log_pb2.PredictionLog.FromString(record.numpy())
        for path in paths
        for record in tf.data.TFRecordDataset(str(path))
    ]


def test_a_log_is_a_warm_up_file(watched: Any, models: Path, tmp_path: Path) -> None:
    """
    Every kind of request is logged as asked and answered, and the file warms the next version up.
    """
    server = watched.server

    def logged() -> list[Path]:
        return [path for path in watched.files() if path.name.startswith("heads-")]

    before = len(_read(logged()))
    _ask_everything(server)
    server.predict("heads", {"instances": [{"x": 1.0}]})
    server.wait(lambda: len(_read(logged())) >= before + 4, "the log of four requests")
    records = {log.WhichOneof("log_type"): log for log in _read(logged())}
    assert records.keys() >= {
        "classify_log",
        "regress_log",
        "multi_inference_log",
        "predict_log",
    }
    predict = records["predict_log"].predict_log
    assert predict.response.outputs["y"].tensor_content == np.array([4.0], np.float32).tobytes()
    assert records["regress_log"].regress_log.response.result.regressions[0].value == 4.0
    metadata = records["classify_log"].log_metadata
    assert (metadata.model_spec.name, metadata.model_spec.version.value) == ("heads", 1)
    assert metadata.sampling_config.sampling_rate == 1.0
    assert list(metadata.saved_model_tags) == ["serve"]
    counts = watched.metrics()[":tensorflow:serving:request_log_count"]
    written = [
        sample.value
        for sample in counts.samples
        if sample.labels == {"model_name": "heads", "status_code": "OK"}
    ]
    assert written == [len(_read(logged()))]

    extra = tmp_path / "heads" / "1" / "assets.extra"
    shutil.copytree(models / "heads" / "1", extra.parent)
    extra.mkdir()
    shutil.copy(logged()[-1], extra / "tf_serving_warmup_requests")
    count = len(_read([logged()[-1]]))
    with running(tmp_path, "--model_name=heads", f"--model_base_path={tmp_path}/heads") as warm:
        warm.wait_state("heads", 1, "AVAILABLE")
        assert f"Replayed {count} warm-up records" in warm.log


def test_the_end_is_flushed_and_a_dead_storage_costs_no_request(
    models: Path, tmp_path: Path
) -> None:
    """
    Records reach their file on SIGTERM; where they cannot, requests do not notice.
    """
    (tmp_path / "file").write_text("This is no folder.")
    config = tmp_path / "models.config"
    rows = (("good", f"{tmp_path}/good/"), ("down", f"{tmp_path}/file/x/"))
    config.write_text(
        "model_config_list {"
        + "".join(
            f'config {{ name: "{name}" base_path: "{models}/half_plus_two" '
            'model_platform: "tensorflow" logging_config { '
            f'log_collector_config {{ type: "tfrecord" filename_prefix: "{prefix}" }} '
            "sampling_config { sampling_rate: 1.0 } } }"
            for name, prefix in rows
        )
        + "}"
    )
    flags = [f"--model_config_file={config}", "--request_logging_file_bytes=1"]
    with running(tmp_path, *flags) as server:
        for name, _ in rows:
            server.wait_state(name, 2, "AVAILABLE")
            for _ in range(3):
                assert server.predict(name, ONE).status == 200
        server.wait(lambda: "cannot be written" in server.log, "a warning")
        server.terminate()
        assert server.process.wait(30) == 0
        assert server.log.count("The request log of down cannot be written") == 1
    assert len(_read(sorted((tmp_path / "good").glob("*.tfrecord")))) == 3
