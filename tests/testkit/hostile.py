"""
Requests that mean harm: random bytes, and good requests that were damaged.

Everything follows from a seed, so that a failure can be had again.
"""

import random
import struct
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import DecodeError

from modeldeploy_runtime.protos import messages
from testkit.raw_http import post

PREDICT = "/v1/models/half_plus_two/versions/1:predict"
MODELS = (
    "half_plus_two",
    "half_plus_two",
    "sums",
    "kinds",
    "shapes",
    "heads",
    "broken",
    "nothing",
    "%00",
    "a%2Fb",
)
VERBS = (
    *[":predict"] * 8, ":classify", ":regress", "/metadata", "", ":PREDICT", "/versions/1:predict",
    "/labels/stable:predict", "/versions/99999999999999999999:predict",
)  # fmt: skip
BODIES = (
    b'{"instances": [1.0, 2.0, 5.0]}',
    b'{"inputs": {"x": [1.0, 2.0]}, "signature_name": "serving_default"}',
    b'{"instances": [{"a": [1.0, 2.0], "b": 3.0}]}',
    b'{"signature_name": "string", "instances": [{"b64": "aGVsbG8="}, "text"]}',
    b'{"signature_name": "int32", "inputs": [[1, -2], [2147483647, 0]]}',
    b'{"examples": [{"x": 1.0, "y": ["a", {"b64": "aGk="}]}], "context": {"z": 2}}',
)
PIECES = (
    b"[", b"]", b"{", b"}", b",", b":", b'"', b"\\", b"\\u12", b"\\ud800", b"\x00", b"\xff\xfe",
    b"NaN", b"-Infinity", b"Inf", b"1e999", b"-0", b"1" * 400, b"null", b"true", b'{"b64": "*"}',
    b'{"b64": 1}', b"[" * 300, b'{"a":' * 200, b"]" * 300, b"[[], [[]]]", b"99999999999999999999",
    b'"instances": 1,', b'"inputs": {}, ', b"\n" * 50, b"//", b"'x'", b"0x10",
)  # fmt: skip
HEADS = (
    b"Content-Length: 30\r\nTransfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: chunked, gzip\r\n", b"Content-Length: 30\r\nContent-Length: 3\r\n",
    b"Content-Length: -1\r\n", b"Content-Length: 1e3\r\n",
    b"Content-Length: 18446744073709551616\r\n",
    b"Expect: 100-continue\r\nContent-Length: 10\r\n", b"Expect: nonsense\r\n",
    b"Connection: close\r\n",
    b"Connection: upgrade\r\nUpgrade: websocket\r\n", b"X: " + b"y" * 9000 + b"\r\n",
    b"X: 1\r\n" * 400, b"X: \x00\r\n", b" folded\r\n", b"X : 1\r\n", b"Content-Encoding: gzip\r\n",
    b"Transfer-Encoding: \x0bchunked\r\n", b"Transfer-Encoding:\tchunked\r\n", b"\r\n",
)  # fmt: skip
CHUNKS = (
    b"0\r\n\r\n",
    b"5\r\nabc",
    b"fffffffff\r\n",
    b"-1\r\n",
    b"5;a=\x00\r\nabcde\r\n0\r\n\r\n",
    b"",
)
METHODS = (
    *["tensorflow.serving.PredictionService/Predict"] * 6,
    "tensorflow.serving.PredictionService/Classify",
    "tensorflow.serving.PredictionService/Regress",
    "tensorflow.serving.PredictionService/MultiInference",
    "tensorflow.serving.PredictionService/GetModelMetadata",
    "tensorflow.serving.ModelService/GetModelStatus",
    "tensorflow.serving.ModelService/HandleReloadConfigRequest",
    "tensorflow.serving.SessionService/SessionRun",
    "grpc.health.v1.Health/Check",
    "grpc.health.v1.Health/List",
    "Nothing/Here",
)
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Good:
    """
    A request that must be answered rightly, whatever happens around it.
    """

    numbers: tuple[float, ...]

    @property
    def expected(self) -> list[float]:
        """
        What half_plus_two makes of the numbers; all are exact.
        """
        return [number / 2 + 2 for number in self.numbers]


class Hostile:
    """
    An endless supply.
    """

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def good(self) -> Good:
        """
        Make a good request.
        """
        return Good(tuple(float(self.random.randrange(1000)) for _ in range(3)))

    def damaged(self, data: bytes) -> bytes:
        """
        Damage bytes in a few places.
        """
        chance, found = self.random, bytearray(data)
        for _ in range(chance.randrange(1, 6)):
            at = chance.randrange(len(found) + 1)
            match chance.randrange(5):
                case 0:
                    found[at:at] = chance.choice(PIECES)
                case 1:
                    del found[at : at + chance.randrange(1, 9)]
                case 2 if found:
                    found[at % len(found)] = chance.randrange(256)
                case 3:
                    found[at:at] = found[: chance.randrange(len(found) + 1)]
                case _:
                    found[at:at] = chance.randbytes(chance.randrange(1, 9))
        return bytes(found[:20_000])

    def well_framed(self) -> bytes:
        """
        Make a request that is HTTP and ends where it says, with a path and a body that are not.
        """
        chance = self.random
        path = f"/v1/models/{chance.choice(MODELS)}{chance.choice(VERBS)}"
        if chance.random() < 0.1:
            path = "/" + "".join(chance.choice("/:%.-_~AZaz09?&=") for _ in range(30))
        body = chance.randbytes(chance.randrange(200))
        if chance.random() < 0.9:
            body = self.damaged(chance.choice(BODIES))
        method = (
            "POST" if chance.random() < 0.9 else chance.choice(("GET", "PUT", "DELETE", "PATCH"))
        )
        request = (
            post(path, body, "Content-Encoding: gzip")
            if not chance.randrange(50)
            else post(path, body)
        )
        return method.encode() + request[4:]

    def badly_framed(self) -> bytes:
        """
        Make bytes of which nobody knows where they end.
        """
        chance = self.random
        match chance.randrange(5):
            case 0:
                return chance.randbytes(chance.randrange(1, 300))
            case 1:
                good = post(PREDICT, BODIES[0])
                return good[: chance.randrange(1, len(good))]
            case 2:
                head = f"POST {PREDICT} HTTP/1.1\r\nHost: a\r\n".encode() + chance.choice(HEADS)
                return (
                    head + b"\r\n" + chance.choice((*CHUNKS, BODIES[0])) + post(PREDICT, BODIES[0])
                )
            case 3:
                head = f"POST {PREDICT} HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
                return head + b"1e\r\n" + BODIES[0] + b"\r\n" + chance.choice(CHUNKS)
            case _:
                return self.damaged(post(PREDICT, BODIES[0]))

    def call(self) -> tuple[str, bytes]:
        """
        Make a gRPC call: a method and the bytes of its message.

        One that happens to be a reload without any model is left out: it unloads all, rightly.
        """
        made = self._call()
        while made[0].endswith("/HandleReloadConfigRequest") and _unloads_all(made[1]):
            made = self._call()
        return made

    def _call(self) -> tuple[str, bytes]:
        chance = self.random
        method = f"/{chance.choice(METHODS)}"
        if chance.random() < 0.1:
            return method, chance.randbytes(chance.randrange(300))
        message = self._predict().SerializeToString()
        return method, message if chance.random() < 0.5 else self.damaged(message)

    def _predict(self) -> Any:
        chance = self.random
        request = messages.PredictRequest()
        request.model_spec.name = chance.choice(
            ("half_plus_two", "kinds", "sums", "shapes", "heads")
        )
        request.model_spec.signature_name = chance.choice(("", "float32", "string", "int8", "text"))
        tensor = request.inputs[chance.choice(("x", "a", "inputs", ""))]
        tensor.dtype = chance.choice((0, 1, 3, 4, 7, 8, 10, 14, 19, 20, 21, 23, 101))
        for _ in range(chance.choice((0, 1, 1, 2, 3, 300))):
            size = chance.choice((-1, 0, 1, 2, 3, 1000, 2**31, 2**40, 2**62))
            tensor.tensor_shape.dim.add().size = size
        match chance.randrange(4):
            case 0:
                tensor.tensor_content = chance.randbytes(chance.randrange(64))
            case 1:
                tensor.float_val.extend([1.0] * chance.randrange(5))
            case 2:
                tensor.string_val.append(chance.randbytes(9))
        return request

    def stream(self) -> bytes:
        """
        Make bytes for the gRPC port that are hardly HTTP/2.
        """
        chance = self.random
        parts = [PREFACE] if chance.random() < 0.8 else []
        for _ in range(chance.randrange(1, 8)):
            payload = chance.randbytes(chance.randrange(40))
            length = len(payload) if chance.random() < 0.8 else chance.randrange(2**24)
            head = struct.pack(">I", length)[1:] + bytes(
                (chance.randrange(11), chance.randrange(256))
            )
            parts.append(head + struct.pack(">I", chance.choice((0, 1, 2, 3, 2**31 + 1))) + payload)
        return b"".join(parts)


def _unloads_all(message: bytes) -> bool:
    """
    Tell whether a message asks that no model be served.
    """
    try:
        request = messages.ReloadConfigRequest.FromString(message)
    except DecodeError:
        return False
    config = request.config
    return config.HasField("model_config_list") and not config.model_config_list.config


def predict_request(good: Good) -> bytes:
    """
    Write a good request for gRPC.
    """
    request = messages.PredictRequest()
    request.model_spec.name = "half_plus_two"
    request.model_spec.version.value = 1
    request.inputs["x"].dtype = 1
    request.inputs["x"].tensor_shape.dim.add().size = len(good.numbers)
    request.inputs["x"].float_val.extend(good.numbers)
    return bytes(request.SerializeToString())
