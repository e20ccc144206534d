"""
Calls a session: by signatures, or by the names in its graph.

A callable of TensorFlow is bound to the tensors that it feeds and fetches; it is made at the first
call that needs it and kept.
"""

import functools
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from modeldeploy_runtime.loaders.runs import RUNS
from modeldeploy_runtime.protos import messages
from modeldeploy_runtime.servables import errors
from modeldeploy_runtime.tensors import dtypes, proto
from modeldeploy_runtime.tensors.dtypes import Array, DType, TensorSpec

# A call that takes less is over before another thread could have taken it.
CHEAP_SECONDS = 300e-6
# A call that takes more holds up everybody else's; so many calls after it go to threads.
COSTLY_SECONDS = 5e-3
CAREFUL_CALLS = 50

# So many choices of tensors that clients name themselves are kept.
MAX_GRAPH_CALLS = 32

# Takes the names of the tensors to feed and to fetch, and of the operations to run besides.
MakeCallable = Callable[[Iterable[str], Iterable[str], Iterable[str]], Any]


class Pace:
    """
    How long calls take, judged with care; threads may race here, as each judgement is a fair one.

    Among threads a call's time includes waiting for the interpreter, so that the best of recent
    calls tells what the model needs.  One call far above it is a reason to be careful for a while.
    """

    def __init__(self) -> None:
        # Until the first call has been timed, a signature counts as slow.
        self._best = 1.0
        self._careful = 0

    @property
    def is_cheap(self) -> bool:
        """Whether calls cost less than handing them to a thread."""
        return self._best < CHEAP_SECONDS and not self._careful

    def note(self, seconds: float) -> None:
        """Take one call into account."""
        self._best = min(seconds, 1.02 * self._best)
        if seconds > COSTLY_SECONDS:
            self._careful = CAREFUL_CALLS
        elif self._careful:
            self._careful -= 1


class SessionSignature:
    """One signature of a SavedModel; safe to call from any number of threads."""

    queue = None

    def __init__(self, name: str, serialized: bytes, make_callable: MakeCallable) -> None:
        definition = messages.SignatureDef.FromString(serialized)
        self.name = name
        self.definition = definition
        self.inputs = _specs(definition.inputs)
        self.outputs = _specs(definition.outputs)
        self.defaults: dict[str, Array] = {
            alias: proto.decode(alias, value) for alias, value in definition.defaults.items()
        }
        self._make_callable = make_callable
        self._calls: dict[tuple[str, ...], _Call] = {}
        self._making = threading.Lock()
        self._pace = Pace()

    @property
    def is_cheap(self) -> bool:
        """Whether recent calls were over at once."""
        return self._pace.is_cheap

    def prepare(self) -> None:
        """Make the callable that requests without an output filter need."""
        self._make(tuple(self.outputs))

    def run(
        self, inputs: Mapping[str, Array], outputs: Iterable[str], _deadline: float | None = None
    ) -> dict[str, Array]:
        """Compute the named outputs; errors of the model come as ``ServingError``."""
        wanted = tuple(outputs)
        call = self._calls.get(wanted) or self._make(wanted)
        feeds = [
            _fitting(index, inputs[alias], self.inputs[alias].dtype)
            for index, alias in enumerate(call.aliases)
        ]
        started = time.perf_counter()
        outputs_by_alias = call(feeds)
        self._pace.note(time.perf_counter() - started)
        return outputs_by_alias

    def _make(self, wanted: tuple[str, ...]) -> "_Call":
        with self._making:
            if wanted not in self._calls:
                self._calls[wanted] = _Call(
                    {alias: spec.tensor_name for alias, spec in self.inputs.items()},
                    {alias: self.outputs[alias].tensor_name for alias in wanted},
                    self._make_callable,
                )
            return self._calls[wanted]


class GraphCalls:
    """Calls a session by the names in its graph; safe to use from any number of threads."""

    def __init__(self, make_callable: MakeCallable) -> None:
        def make(
            feeds: tuple[str, ...], fetches: tuple[str, ...], targets: tuple[str, ...]
        ) -> _Call:
            names = dict.fromkeys(fetches)
            return _Call(
                {name: name for name in feeds},
                {name: name for name in names},
                make_callable,
                targets,
            )

        self._call = functools.lru_cache(MAX_GRAPH_CALLS)(make)

    def run(
        self, feeds: Mapping[str, Array], fetches: Sequence[str], targets: Sequence[str]
    ) -> list[Array]:
        """Feed and fetch tensors; errors of the model come as ``ServingError``."""
        try:
            call = self._call(tuple(feeds), tuple(fetches), tuple(targets))
        except Exception as error:
            _raise_translated(error)
            raise
        outputs = call([feeds[alias] for alias in call.aliases])
        return [outputs[name] for name in fetches]


class _Call:
    """
    A callable for one choice of inputs, outputs and targets, aliases with their tensors' names.

    TensorFlow refuses to feed or fetch one tensor twice, and to fetch what is fed, while signatures
    may well give one tensor two aliases.
    """

    def __init__(
        self,
        inputs: Mapping[str, str],
        outputs: Mapping[str, str],
        make_callable: MakeCallable,
        targets: Sequence[str] = (),
    ) -> None:
        by_tensor = {name: alias for alias, name in inputs.items()}
        self.aliases = tuple(by_tensor.values())
        feeds = list(by_tensor)
        fetches = list(dict.fromkeys(name for name in outputs.values() if name not in by_tensor))
        needed = fetches or targets
        self._function = make_callable(feeds, fetches, targets) if needed else lambda *_: ()
        self._sources = [
            (alias, name in by_tensor, (feeds if name in by_tensor else fetches).index(name))
            for alias, name in outputs.items()
        ]

    def __call__(self, feeds: list[Array]) -> dict[str, Array]:
        """Compute the outputs from a value for each of ``aliases``, in their order."""
        started = time.perf_counter()
        try:
            results = self._function(*feeds)
        except Exception as error:
            _raise_translated(error)
            raise
        finally:
            RUNS.note(time.perf_counter() - started)
        return {
            alias: feeds[index] if is_fed else _as_array(results[index])
            for alias, is_fed, index in self._sources
        }


def _raise_translated(error: Exception) -> None:
    translated = translate(error)
    if translated is not None:
        raise translated from error


def _fitting(index: int, array: Array, expected: DType) -> Array:
    given = dtypes.of_array(array)
    if given is not expected:
        name = given.name if given else str(array.dtype)
        raise errors.InvalidArgumentError(
            f"Expects arg[{index}] to be {expected.name} but {name} is provided"
        )
    return array


def _as_array(result: Any) -> Array:
    """Make an array of a scalar, which TensorFlow gives back as a number or as bytes."""
    if isinstance(result, np.ndarray):
        return result
    return np.array(result, dtype=object if isinstance(result, bytes) else None)


def _specs(infos: Mapping[str, Any]) -> dict[str, TensorSpec]:
    specs = {}
    for alias, info in sorted(infos.items()):
        dtype = dtypes.BY_NUMBER.get(info.dtype)
        if dtype is None:
            dtype = DType(f"type {info.dtype}", info.dtype, dtypes.STRING.numpy, "")
        shape = info.tensor_shape
        dims = None if shape.unknown_rank else tuple(dim.size for dim in shape.dim)
        specs[alias] = TensorSpec(info.name, dtype, dims)
    return specs


def translate(error: Exception) -> errors.ServingError | None:
    """Turn an error of TensorFlow into one of ours, known by its code; others give ``None``."""
    code = getattr(error, "error_code", None)
    if not isinstance(code, int):
        return None
    message = str(getattr(error, "message", error))
    return errors.ServingError(message, errors.Code(code))
