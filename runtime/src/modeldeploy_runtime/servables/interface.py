"""
Compares what clients may ask of two versions: pure, and without TensorFlow.

A new version fits when whoever spoke to the old one notices nothing: everything that was sent is
still taken, and everything that was read is still there, of the same type.  So shapes of inputs may
only be loosened and shapes of outputs only be narrowed.  REST has two rules of its own: it knows no
defaults, so that a further input is one more that must be sent; and it writes a single output
without its name, so that a second one changes the answers.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

Shape = tuple[int, ...] | None
"""The sizes of the dimensions, -1 for any; ``None`` for any number of dimensions."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """An input or output: the name of its type, such as ``float``, and its shape."""

    dtype: str
    shape: Shape


@dataclass(frozen=True, slots=True)
class Interface:
    """What one signature takes and gives; ``defaults`` names the inputs that may be left out."""

    method: str
    inputs: Mapping[str, Tensor]
    outputs: Mapping[str, Tensor]
    defaults: frozenset[str] = field(default_factory=frozenset)


def differences(before: Mapping[str, Interface], after: Mapping[str, Interface]) -> list[str]:
    """Name everything, in a sentence each, by which a client of the old version would notice."""
    found: list[str] = []
    for name, old in sorted(before.items()):
        new = after.get(name)
        if new is None:
            found.append(f'The signature "{name}" is gone.')
            continue
        found += [f'In the signature "{name}" {what}.' for what in _of_signature(old, new)]
    return found


def _of_signature(old: Interface, new: Interface) -> Iterator[str]:
    if old.method != new.method:
        yield f'the method is "{new.method}" and was "{old.method}"'
    yield from _of_inputs(old, new)
    yield from _of_outputs(old, new)


def _of_inputs(old: Interface, new: Interface) -> Iterator[str]:
    for alias, tensor in sorted(old.inputs.items()):
        if alias not in new.inputs:
            yield f'the input "{alias}" is gone'
            continue
        yield from _of_type(f'the input "{alias}"', tensor, new.inputs[alias])
        if not takes(new.inputs[alias].shape, tensor.shape):
            yield (
                f'the input "{alias}" takes the shape {shown(new.inputs[alias].shape)}, '
                f"and took {shown(tensor.shape)}"
            )
        if alias in old.defaults - new.defaults:
            yield f'the input "{alias}" can no longer be left out'
    for alias in sorted(new.inputs.keys() - old.inputs.keys()):
        who = "over REST" if alias in new.defaults else "always"
        yield f'there is a new input "{alias}", which must be sent {who}'


def _of_outputs(old: Interface, new: Interface) -> Iterator[str]:
    for alias, tensor in sorted(old.outputs.items()):
        if alias not in new.outputs:
            yield f'the output "{alias}" is gone'
            continue
        yield from _of_type(f'the output "{alias}"', tensor, new.outputs[alias])
        if not takes(tensor.shape, new.outputs[alias].shape):
            yield (
                f'the output "{alias}" has the shape {shown(new.outputs[alias].shape)}, '
                f"and had {shown(tensor.shape)}"
            )
    if len(old.outputs) == 1 and len(new.outputs) > 1:
        (only,) = old.outputs
        added = ", ".join(f'"{alias}"' for alias in sorted(new.outputs.keys() - old.outputs.keys()))
        if only in new.outputs:
            yield f'the output "{only}" was alone, and beside {added} REST answers look different'


def _of_type(what: str, old: Tensor, new: Tensor) -> Iterator[str]:
    if old.dtype != new.dtype:
        yield f"{what} has the type {new.dtype}, and had {old.dtype}"


def takes(wide: Shape, narrow: Shape) -> bool:
    """
    Tell whether every tensor of the second shape has the first one, too.

    >>> takes((-1, 3), (2, 3)), takes(None, (2,)), takes((2, 3), (-1, 3)), takes((-1,), None)
    (True, True, False, False)
    """
    if wide is None:
        return True
    if narrow is None or len(wide) != len(narrow):
        return False
    return all(one in (-1, other) for one, other in zip(wide, narrow, strict=True))


def shown(shape: Shape) -> str:
    """
    Write a shape for people.

    >>> shown((-1, 3)), shown(()), shown(None)
    ('[?, 3]', '[]', 'of any rank')
    """
    if shape is None:
        return "of any rank"
    return "[" + ", ".join("?" if size < 0 else str(size) for size in shape) + "]"
