"""
Made-up inputs.
"""

from dataclasses import dataclass, field

import numpy as np
import pytest

from modeldeploy_runtime.tensors import dtypes
from modeldeploy_runtime.tensors.dtypes import Array, TensorSpec
from modeldeploy_runtime.warmup import synthetic


@dataclass
class _Signature:
    """
    What a signature says of its inputs.
    """

    inputs: dict[str, TensorSpec]
    defaults: dict[str, Array] = field(default_factory=dict)


def _spec(dtype: str, shape: tuple[int, ...] | None) -> TensorSpec:
    return TensorSpec("x:0", dtypes.BY_NAME[dtype], shape)


@pytest.mark.parametrize(
    ("shape", "made"),
    [
        ((-1,), [(1,), (4,)]),
        ((-1, 3, -1), [(1, 3, 1), (4, 3, 1)]),
        (None, [(1,), (4,)]),
        ((2, -1), [(2, 1)]),
        ((), [()]),
    ],
)
def test_shapes(shape: tuple[int, ...] | None, made: list[tuple[int, ...]]) -> None:
    """
    A free first dimension is the batch, other free ones are 1; without a batch one size is enough.
    """
    signature = _Signature({"x": _spec("float", shape)})
    found = list(synthetic.inputs(signature, (1, 4)))  # type: ignore[arg-type]  # it reads no more
    assert [inputs["x"].shape for inputs in found] == made


def test_types_and_defaults() -> None:
    """
    Numbers are 0 and strings empty, each of its type; inputs with a default are left out.
    """
    specs = {name: _spec(name, (-1,)) for name in ("int32", "bool", "bfloat16", "string")}
    signature = _Signature({**specs, "by": _spec("float", ())}, {"by": np.array(2.0, np.float32)})
    (found,) = synthetic.inputs(signature, (2,))  # type: ignore[arg-type]  # it reads no more
    assert set(found) == set(specs)
    assert {name: dtypes.of_array(array) for name, array in found.items()} == {
        name: spec.dtype for name, spec in specs.items()
    }
    assert found["string"].tolist() == [b"", b""]
    assert not found["int32"].any()
