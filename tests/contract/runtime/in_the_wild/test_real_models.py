"""
SavedModels that other people made and published: they load and compute what they should.
"""

from collections.abc import Iterator
from typing import Any

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import (
    classification_pb2,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from testkit import wheels
from testkit.model_servers import ModelServer, running

CONFIG = """
model_config_list {{
  config {{ name: "basic_pitch" base_path: "{folder}/basic_pitch" model_platform: "tensorflow" }}
  config {{ name: "guesslang" base_path: "{folder}/guesslang" model_platform: "tensorflow" }}
}}
"""
RATE = 22_050
SAMPLES = 43_844
LOWEST_MIDI_NOTE = 21
LANGUAGES = 54
PROGRAMS = {
    "py": """import os

for name in sorted(os.listdir(".")):
    if name.endswith(".py"):
        print(name)
""",
    "go": """package main

import "fmt"

func main() {
	for i := 0; i < 10; i++ {
		fmt.Println(i)
	}
}
""",
    "c": """#include <stdio.h>

int main(int argc, char **argv)
{
    puts(argv[0]);
    return 0;
}
""",
}


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelServer]:
    """
    A server of an audio model, and of one that tells programming languages apart.
    """
    folder = tmp_path_factory.mktemp("published")
    pitch = "basic_pitch/saved_models/icassp_2022/nmp/"
    wheels.unpack("basic-pitch==0.4.0", pitch, folder / "basic_pitch" / "1")
    wheels.unpack("guesslang==2.2.1", "guesslang/data/model/", folder / "guesslang" / "1")
    config = folder / "models.config"
    config.write_text(CONFIG.format(folder=folder))
    with running(folder, f"--model_config_file={config}") as server:
        server.wait_ready()
        yield server


def test_basic_pitch(published: ModelServer) -> None:
    """
    A pure tone of 440 Hz is heard as the note a', number 69; TensorFlow 2 cannot load the model.
    """
    tone = np.sin(2 * np.pi * 440 * np.arange(SAMPLES) / RATE).astype(np.float32)
    body = {"inputs": tone.reshape(1, SAMPLES, 1).tolist()}
    answer = published.predict("basic_pitch", body)
    assert answer.status == 200, answer.body[:500]
    notes = np.array(answer.json["outputs"]["note"])[0]
    assert int(np.argmax(notes.mean(axis=0))) + LOWEST_MIDI_NOTE == 69


@pytest.mark.parametrize("signature", ["serving_default", "predict"])
def test_guesslang_predicts(published: ModelServer, signature: str) -> None:
    """
    Programs are given as plain text, to a signature for classification as well.
    """
    body = {"signature_name": signature, "instances": list(PROGRAMS.values())}
    answer = published.predict("guesslang", body)
    assert answer.status == 200, answer.body[:500]
    for language, row in zip(PROGRAMS, answer.json["predictions"], strict=True):
        if signature == "predict":
            assert row["classes"] == [language]
            assert sum(row["probabilities"]) == pytest.approx(1.0, abs=1e-5)
        else:
            assert row["classes"][int(np.argmax(row["scores"]))] == language


def test_guesslang_classifies_over_rest(published: ModelServer) -> None:
    """
    A feature's text is classified, as pairs of a language and its score.
    """
    examples = [{"content": program} for program in PROGRAMS.values()]
    answer = published.request("POST", "/v1/models/guesslang:classify", {"examples": examples})
    assert answer.status == 200, answer.body[:500]
    results = answer.json["results"]
    assert [len(pairs) for pairs in results] == [LANGUAGES] * len(PROGRAMS)
    assert [max(pairs, key=lambda pair: pair[1])[0] for pairs in results] == list(PROGRAMS)


def _classified(published: ModelServer, examples: list[Any]) -> Any:
    request = classification_pb2.ClassificationRequest()
    request.model_spec.name = "guesslang"
    request.input.example_list.examples.extend(examples)
    with grpc.insecure_channel(published.target) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        return stub.Classify(request, timeout=30)


def _predicted(published: ModelServer, texts: list[bytes]) -> Any:
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "guesslang"
    request.inputs["inputs"].CopyFrom(tf.make_tensor_proto(texts))
    with grpc.insecure_channel(published.target) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        return stub.Predict(request, timeout=30)


def test_guesslang_classifies(published: ModelServer) -> None:
    """
    Classify gives the model each example as it is on the wire, and every class with its score.

    The model reads any text, so that the few bytes around a program's text do not mislead it.
    """
    examples = []
    for program in PROGRAMS.values():
        example = tf.train.Example()
        example.features.feature["content"].bytes_list.value.append(program.encode())
        examples.append(example)
    response = _classified(published, examples)
    assert response.model_spec.version.value == 1
    outputs = _predicted(published, [e.SerializeToString() for e in examples]).outputs
    scores = tf.make_ndarray(outputs["scores"])
    labels = tf.make_ndarray(outputs["classes"])
    found = response.result.classifications
    assert scores.shape == labels.shape == (len(found), LANGUAGES)
    for row, example in enumerate(found):
        assert [c.label.encode() for c in example.classes] == labels[row].tolist()
        np.testing.assert_allclose([c.score for c in example.classes], scores[row], rtol=1e-5)
    best = [max(example.classes, key=lambda c: c.score).label for example in found]
    assert best == list(PROGRAMS)
