"""Session runs: tensors of a model's graph by name, for clients that know the graph."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from modeldeploy_runtime.inference import execution, lookup
from modeldeploy_runtime.loaders.port import Model
from modeldeploy_runtime.servables import errors
from modeldeploy_runtime.tensors.dtypes import Array, TensorSpec


@dataclass(frozen=True, slots=True)
class SessionRun:
    """
    What is fed, what is fetched, and which operations run besides.

    Where ``signature`` is given, the names of feeds and fetches are aliases of that signature.
    """

    feeds: Mapping[str, Array]
    fetches: Sequence[str]
    targets: Sequence[str] = ()
    signature: str | None = None


def run(model: Model, wanted: SessionRun, deadline: float | None) -> dict[str, Array]:
    """
    Compute the tensors that are to be fetched, by the names under which they were asked for.

    Raises:
        ServingError: A name is unknown, or the model fails.
    """
    feeds, fetches = dict(wanted.feeds), list(wanted.fetches)
    if wanted.signature is not None:
        signature = lookup.find_signature(model, wanted.signature)
        feeds = {_tensor(alias, signature.inputs): value for alias, value in feeds.items()}
        fetches = [_tensor(alias, signature.outputs) for alias in fetches]
    values = execution.run_graph(model, feeds, fetches, deadline, wanted.targets)
    return dict(zip(wanted.fetches, values, strict=True))


def _tensor(alias: str, specs: Mapping[str, TensorSpec]) -> str:
    if alias not in specs:
        raise errors.InvalidArgumentError(
            f"tensor alias not found in signature: {alias} "
            f"Expected to be in the set {{{','.join(sorted(specs))}}}."
        )
    return specs[alias].tensor_name
