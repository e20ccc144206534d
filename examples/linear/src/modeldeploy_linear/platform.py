"""
The platform ``linear``: a version is a file ``model.json`` with a slope and an offset.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from modeldeploy_runtime.loaders.port import CallQueue, LoadOptions, Signature
from modeldeploy_runtime.protos import messages
from modeldeploy_runtime.servables.errors import LoadError, UnimplementedError
from modeldeploy_runtime.servables.ids import ServableId
from modeldeploy_runtime.tensors.dtypes import BY_NUMBER, Array, TensorSpec

NAME = "serving_default"
FLOAT = BY_NUMBER[1]


class Line:
    """
    The only signature: y = slope * x + offset.
    """

    name = NAME
    is_cheap = True
    # Each call is computed where it is made; with batching on, the server puts a queue around.
    queue: CallQueue | None = None

    def __init__(self, slope: float, offset: float) -> None:
        self._slope, self._offset = np.float32(slope), np.float32(offset)
        self.inputs = {"x": TensorSpec("x", FLOAT, (-1,))}
        self.outputs = {"y": TensorSpec("y", FLOAT, (-1,))}
        self.defaults: Mapping[str, Array] = {}
        self.definition = messages.SignatureDef(method_name="tensorflow/serving/predict")
        for info in (self.definition.inputs["x"], self.definition.outputs["y"]):
            info.dtype = FLOAT.number
            info.tensor_shape.dim.add(size=-1)

    def run(
        self,
        inputs: Mapping[str, Array],
        outputs: Iterable[str],
        deadline: float | None = None,  # noqa: ARG002 - it never waits
    ) -> dict[str, Array]:
        """
        Compute the line, which takes less than any deadline.
        """
        return dict.fromkeys(outputs, inputs["x"] * self._slope + self._offset)


class LinearModel:
    """
    One loaded version.
    """

    def __init__(self, line: Line) -> None:
        self.signatures: dict[str, Signature] = {NAME: line}
        self.signature_defs = {NAME: line.definition.SerializeToString()}

    def run(
        self, feeds: Mapping[str, Array], fetches: Sequence[str], targets: Sequence[str]
    ) -> list[Array]:
        """
        Refuse: there is no graph.
        """
        names = ", ".join([*feeds, *fetches, *targets])
        raise UnimplementedError(f"A linear model has no graph, and so no tensors {names}.")

    def unload(self) -> None:
        """
        Forget the line.
        """
        self.signatures.clear()


class Linear:
    """
    What ``model_platform: "linear"`` leads to.
    """

    def __init__(self, options: LoadOptions) -> None:
        self.options = options

    def prepare(self) -> None:
        """
        Nothing is to be prepared.
        """

    def estimate(self, path: Path) -> int:
        """
        Two numbers take next to nothing.
        """
        return (path / "model.json").stat().st_size

    def load(self, servable: ServableId, path: Path) -> LinearModel:
        """
        Read the file.
        """
        try:
            values: Any = json.loads((path / "model.json").read_text())
            return LinearModel(Line(values["slope"], values["offset"]))
        except (KeyError, ValueError) as error:
            raise LoadError(f"{servable} is no line: {error}", permanent=True) from error
