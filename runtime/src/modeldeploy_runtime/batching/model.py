"""
A loaded model whose signatures answer many requests with one call.

Each signature looks as before to those who call it.
"""

import math
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future

from modeldeploy_runtime.batching import merging
from modeldeploy_runtime.batching.group import SignatureGroup, late_in_queue
from modeldeploy_runtime.batching.parameters import BatchingParameters
from modeldeploy_runtime.batching.rotation import Lane
from modeldeploy_runtime.batching.scheduler import Group, Scheduler
from modeldeploy_runtime.batching.stats import BatchingStats
from modeldeploy_runtime.batching.tasks import Outputs, Task
from modeldeploy_runtime.loaders.port import Model, Signature
from modeldeploy_runtime.servables import errors
from modeldeploy_runtime.tensors.dtypes import Array

# So many choices of outputs have queues of their own; a client who invents more gets his from a
# batch that computes all outputs.
MAX_GROUPS = 32


class BatchedSignature:
    """A signature whose calls share batches; safe to use from any number of threads."""

    # A call waits for others: whoever has other things to do leaves it in the queue.
    is_cheap = False

    def __init__(
        self,
        inner: Signature,
        parameters: BatchingParameters,
        scheduler: Scheduler,
        stats: BatchingStats,
    ) -> None:
        self.name = inner.name
        self.definition = inner.definition
        self.inputs = inner.inputs
        self.outputs = inner.outputs
        self.defaults = inner.defaults
        self._inner = inner
        self._parameters = parameters
        self._scheduler = scheduler
        self._stats = stats
        self._groups: dict[frozenset[str], SignatureGroup] = {}
        self._making = threading.Lock()

    @property
    def queue(self) -> "BatchedSignature":
        """The place where calls may be left: here."""
        return self

    @property
    def groups(self) -> list[Group]:
        """All groups of requests that there have been."""
        return list(self._groups.values())

    @property
    def waiting_rows(self) -> int:
        """How many rows wait now."""
        return sum(self._scheduler.rows(group) for group in self.groups)

    def run(
        self, inputs: Mapping[str, Array], outputs: Iterable[str], deadline: float | None = None
    ) -> Outputs:
        """
        Wait for a batch, and compute the named outputs in it.

        Raises:
            ResourceError: The deadline passed before a batch was computed.
            DeadlineError: The deadline passed while the batch was computed.
            UnavailableError: The queue is full.
            ServingError: The inputs cannot be batched, or the model fails on them.
        """
        wanted = tuple(outputs)
        planned = self._plan(inputs, wanted, deadline)
        if planned is None:
            self._stats.passed_by()
            return self._inner.run(inputs, wanted)
        lane, task = planned
        self._scheduler.run(lane, task)
        found = _wait(task)
        return {alias: found[alias] for alias in wanted}

    def start(
        self, inputs: Mapping[str, Array], outputs: Iterable[str], deadline: float | None
    ) -> Future[Outputs] | None:
        """
        Enqueue a call for somebody who cannot wait in a thread; ``help`` must be called soon after.

        The future's outputs may be more than those asked for, and cancelling it works until the
        batch is computed.  There is no future for a call that cannot be batched: it has to be run.

        Raises:
            UnavailableError: The queue is full.
            ServingError: The inputs cannot be batched.
        """
        planned = self._plan(inputs, tuple(outputs), deadline)
        if planned is None:
            return None
        self._scheduler.submit(*planned)
        return planned[1].future

    def help(self) -> None:
        """Compute in this thread what is ready and cheap, and leave the rest to others."""
        self._scheduler.help()

    def give_up(self, future: Future[Outputs]) -> errors.ServingError:
        """Cancel a call whose deadline has passed, and say how far it came."""
        return _give_up(future)

    def _plan(
        self, inputs: Mapping[str, Array], wanted: tuple[str, ...], deadline: float | None
    ) -> tuple[Lane[Group], Task] | None:
        if not inputs:
            return None
        merging.check_types(inputs, self.inputs)
        rows = merging.count_rows(inputs)
        padding = self._parameters.pad_variable_length_inputs
        kind = merging.kind(inputs, self.inputs, padding=padding)
        if not rows:
            return None
        until = math.inf if deadline is None else deadline
        group: Group = self._group(wanted)
        return Lane(group, kind), Task(inputs, rows, until, time.monotonic())

    def _group(self, wanted: tuple[str, ...]) -> SignatureGroup:
        key = frozenset(wanted)
        group = self._groups.get(key)
        if group is not None:
            return group
        with self._making:
            if key not in self._groups and len(self._groups) >= MAX_GROUPS:
                key = frozenset(self.outputs)
            if key not in self._groups:
                names = tuple(alias for alias in self.outputs if alias in key)
                self._groups[key] = SignatureGroup(
                    self._inner, names, self._parameters, self._stats
                )
            return self._groups[key]


def _wait(task: Task) -> Outputs:
    try:
        left = None if task.deadline == math.inf else max(0.0, task.deadline - time.monotonic())
        return task.future.result(left)
    except TimeoutError:
        if task.future.done():
            return task.future.result()
        raise _give_up(task.future) from None


def _give_up(future: Future[Outputs]) -> errors.ServingError:
    if future.cancel():
        return late_in_queue()
    return errors.DeadlineError("Timed out waiting for notification")


class BatchedModel:
    """A model with batched signatures; safe to use from any number of threads."""

    def __init__(
        self,
        inner: Model,
        parameters: BatchingParameters,
        scheduler: Scheduler,
        stats: BatchingStats,
        forget: Callable[[], None] = lambda: None,
    ) -> None:
        self._forget = forget
        self.signatures = {
            name: BatchedSignature(signature, parameters, scheduler, stats)
            for name, signature in inner.signatures.items()
        }
        self.signature_defs = inner.signature_defs
        self._inner = inner
        self._scheduler = scheduler
        self._stats = stats

    def run(
        self, feeds: Mapping[str, Array], fetches: Sequence[str], targets: Sequence[str]
    ) -> list[Array]:
        """Feed and fetch tensors of the graph, without batching."""
        self._stats.passed_by()
        return self._inner.run(feeds, fetches, targets)

    def unload(self) -> None:
        """Answer what waits, and give the model's memory back."""
        self._forget()
        groups = [group for signature in self.signatures.values() for group in signature.groups]
        self._scheduler.drain(groups)
        self.signatures.clear()
        self._inner.unload()
