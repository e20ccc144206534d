"""
Calling signatures, with a callable that stands in for TensorFlow's.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest

from modeldeploy_runtime.loaders import signatures
from modeldeploy_runtime.loaders.signatures import GraphCalls, Pace, SessionSignature
from modeldeploy_runtime.protos import messages
from modeldeploy_runtime.servables.errors import Code, InvalidArgumentError, ServingError


class _Session:
    """
    Notes what it was asked to feed and fetch, and doubles what it is fed.
    """

    def __init__(self) -> None:
        self.made: list[tuple[list[str], list[str]]] = []
        self.targets: list[str] = []

    def __call__(
        self, feeds: Iterable[str], fetches: Iterable[str], targets: Iterable[str] = ()
    ) -> Any:
        feeds, fetches = list(feeds), list(fetches)
        self.targets += targets
        self.made.append((feeds, fetches))
        return lambda *arrays: [2 * arrays[0] for _ in fetches]


def _definition(inputs: dict[str, str], outputs: dict[str, str]) -> bytes:
    definition = messages.SignatureDef()
    for aliases, infos in ((inputs, definition.inputs), (outputs, definition.outputs)):
        for alias, name in aliases.items():
            infos[alias].name = name
            infos[alias].dtype = 1
    serialized: bytes = definition.SerializeToString()
    return serialized


def test_callables_are_kept() -> None:
    """
    A callable is made once for each choice of outputs.
    """
    session = _Session()
    signature = SessionSignature("s", _definition({"x": "x:0"}, {"y": "y:0", "z": "z:0"}), session)
    x = np.ones(1, np.float32)
    for _ in range(3):
        assert signature.run({"x": x}, ["y"])["y"].tolist() == [2.0]
        assert sorted(signature.run({"x": x}, signature.outputs)) == ["y", "z"]
    assert session.made == [(["x:0"], ["y:0"]), (["x:0"], ["y:0", "z:0"])]


def test_shared_tensors() -> None:
    """
    A tensor with two names is fed and fetched once, and what is fed is given back unasked.
    """
    session = _Session()
    definition = _definition({"a": "x:0", "b": "x:0"}, {"p": "y:0", "q": "y:0", "r": "x:0"})
    signature = SessionSignature("s", definition, session)
    x = np.ones(1, np.float32)
    outputs = signature.run({"a": x, "b": x}, signature.outputs)
    assert session.made == [(["x:0"], ["y:0"])]
    assert {alias: array.tolist() for alias, array in outputs.items()} == {
        "p": [2.0],
        "q": [2.0],
        "r": [1.0],
    }
    assert signature.run({"a": x, "b": x}, ["r"])["r"].tolist() == [1.0]


def test_calls_by_name() -> None:
    """
    Tensors of the graph come in the order in which they are fetched, one twice, one as it was fed.
    """
    session = _Session()
    graph = GraphCalls(session)
    x = np.ones(1, np.float32)
    for _ in range(2):
        fetched = graph.run({"x:0": x}, ["y:0", "x:0", "y:0"], [])
        assert [array.tolist() for array in fetched] == [[2.0], [1.0], [2.0]]
    graph.run({"x:0": x}, [], ["step"])
    assert session.made == [(["x:0"], ["y:0"]), (["x:0"], [])]
    assert session.targets == ["step"]


def test_wrong_type() -> None:
    """
    An array of another type than the signature's is refused before the model sees it.
    """
    signature = SessionSignature("s", _definition({"x": "x:0"}, {"y": "y:0"}), _Session())
    with pytest.raises(InvalidArgumentError) as caught:
        signature.run({"x": np.ones(1)}, ["y"])
    assert caught.value.message == "Expects arg[0] to be float but double is provided"


class _TensorFlowError(Exception):
    error_code = 8
    message = "Too much."


def test_errors_of_the_model() -> None:
    """
    An error of TensorFlow keeps its code and its words; any other one is nobody's business here.
    """

    def fail(error: Exception) -> Any:
        def make(*_: Any) -> Any:
            def call(*_: Any) -> Any:
                raise error

            return call

        return make

    definition = _definition({"x": "x:0"}, {"y": "y:0"})
    x = np.ones(1, np.float32)
    with pytest.raises(ServingError) as caught:
        SessionSignature("s", definition, fail(_TensorFlowError())).run({"x": x}, ["y"])
    assert (caught.value.code, caught.value.message) == (Code.RESOURCE_EXHAUSTED, "Too much.")
    with pytest.raises(KeyError):
        SessionSignature("s", definition, fail(KeyError())).run({"x": x}, ["y"])


def test_pace() -> None:
    """
    A signature is cheap once a call was over at once, and for a while not after a costly one.
    """
    pace = Pace()
    assert not pace.is_cheap
    pace.note(1e-3)
    assert not pace.is_cheap
    pace.note(1e-5)
    assert pace.is_cheap
    pace.note(1.0)
    assert not pace.is_cheap
    for _ in range(signatures.CAREFUL_CALLS):
        pace.note(1e-5)
    assert pace.is_cheap
    for _ in range(1000):
        pace.note(1e-3)
    assert not pace.is_cheap
