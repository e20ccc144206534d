"""
One model has one interface, whether its files or its metadata route tell of it.
"""

import json
from typing import Any

import pytest
from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st

from modeldeploy_runtime.loaders import interfaces
from modeldeploy_runtime.protos import messages
from modeldeploy_runtime.servables.interface import Interface, Tensor

_SHAPES = st.none() | st.lists(st.integers(-1, 2**62), max_size=3)
_TENSORS = st.dictionaries(
    st.text(max_size=3), st.tuples(st.sampled_from([1, 7, 9, 11, 23, 101]), _SHAPES), max_size=3
)
_SIGNATURES = st.dictionaries(
    st.text(max_size=3), st.tuples(st.text(max_size=3), _TENSORS, _TENSORS), max_size=3
)


def _definition(method: str, inputs: Any, outputs: Any) -> Any:
    definition = messages.SignatureDef(method_name=method)
    for infos, tensors in ((definition.inputs, inputs), (definition.outputs, outputs)):
        for alias, (dtype, shape) in tensors.items():
            infos[alias].dtype = dtype
            infos[alias].tensor_shape.unknown_rank = shape is None
            for size in shape or ():
                infos[alias].tensor_shape.dim.add(size=size)
    for alias in list(inputs)[:1]:
        definition.defaults[alias].dtype = inputs[alias][0]
    return definition


def _answer(definitions: dict[str, Any]) -> Any:
    described = messages.SignatureDefMap()
    for name, definition in definitions.items():
        described.signature_def[name].CopyFrom(definition)
    as_dict = json_format.MessageToDict(
        described, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return json.loads(json.dumps({"model_spec": {}, "metadata": {"signature_def": as_dict}}))


@given(_SIGNATURES)
def test_both_sources_give_equal_values(signatures: Any) -> None:
    """
    SignatureDefs as a file holds them and as the metadata route writes them mean the same.
    """
    definitions = {name: _definition(*signature) for name, signature in signatures.items()}
    serialized = {name: one.SerializeToString() for name, one in definitions.items()}
    assert interfaces.of_metadata(_answer(definitions)) == interfaces.read(serialized)


def test_what_is_read() -> None:
    """
    Types have their short names, open sizes are -1, and an open rank is no shape.
    """
    definition = _definition("m", {"x": (1, [-1, 3])}, {"y": (7, None), "z": (11, [])})
    found = interfaces.of_metadata(_answer({"s": definition, "__saved_model_init_op": definition}))
    outputs = {"y": Tensor("string", None), "z": Tensor("type 11", ())}
    inputs = {"x": Tensor("float", (-1, 3))}
    assert found == {"s": Interface("m", inputs, outputs, frozenset({"x"}))}


def test_answers_of_other_servers() -> None:
    """
    Fields that only other servers know change nothing.
    """
    answer = _answer({"s": _definition("m", {"x": (1, [])}, {})})
    expected = interfaces.of_metadata(answer)
    signature = answer["metadata"]["signature_def"]["signature_def"]["s"]
    signature["further"] = {"a": 1}
    assert interfaces.of_metadata(answer) == expected


@pytest.mark.parametrize(
    "answer",
    [
        None,
        [],
        {},
        {"error": "Servable not found for request: Latest(m)"},
        {"metadata": {"signature_def": {"signature_def": {"s": {"inputs": 1}}}}},
        {"metadata": {"signature_def": 1}},
    ],
)
def test_other_answers(answer: Any) -> None:
    """
    What the metadata route never says is refused.
    """
    with pytest.raises(ValueError, match="This is no answer of the metadata route"):
        interfaces.of_metadata(answer)
