"""
The one path that every inference takes, whatever its kind and its transport.

    begin     take hold of the version, find the signature, check that it fits the kind of call
    finish    run, and let the version go
    start     or leave it in the signature's queue, where there is one, and come back for the result

The steps are apart because a transport may look at what has begun before it decides in which
thread it ends.
"""

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic

from modeldeploy_runtime.inference import (
    classify,
    execution,
    lookup,
    multi_inference,
    predict,
    regress,
    session_run,
)
from modeldeploy_runtime.inference.answered import plans
from modeldeploy_runtime.inference.answered.exchanges import (
    Classified,
    MultiInferred,
    Predicted,
    Recorder,
    Regressed,
)
from modeldeploy_runtime.inference.answered.plans import Plan, Result, Started
from modeldeploy_runtime.inference.classify import Classifications
from modeldeploy_runtime.inference.directory import Directory
from modeldeploy_runtime.inference.execution import Question
from modeldeploy_runtime.inference.multi_inference import Task
from modeldeploy_runtime.inference.session_run import SessionRun
from modeldeploy_runtime.lifecycle.handle import Handle
from modeldeploy_runtime.loaders.port import Model, Signature
from modeldeploy_runtime.servables.ids import Selector
from modeldeploy_runtime.telemetry.calls import SHADOW, Call
from modeldeploy_runtime.tensors import examples
from modeldeploy_runtime.tensors.dtypes import Array


@dataclass(frozen=True, slots=True)
class Prediction:
    """
    A prediction that is asked for, before its signature is known.

    ``read`` makes the inputs' values once it is: JSON means nothing without their types.
    """

    signature: str
    read: Callable[[Signature], Mapping[str, Array]]
    output_filter: Sequence[str] = ()
    find: Callable[[Model, str], Signature] = predict.find_signature


class Pending(Generic[Result]):
    """
    An inference that has begun: its version is held.

    One of ``finish`` and ``abandon`` must be called, once, as both let the version go; or ``start``
    before them, and none of them if that gives something.
    """

    def __init__(
        self, handle: Handle, plan: Plan[Result], call: Call, recorders: Sequence[Recorder]
    ) -> None:
        self._handle = handle
        self._plan = plan
        self._call = call
        self._recorders = recorders
        call.begun = time.perf_counter()

    @property
    def is_cheap(self) -> bool:
        """Whether the model answers so fast that a thread would only add to it."""
        return self._plan.is_cheap

    def finish(self, deadline: float | None) -> Result:
        """
        Run the model; the deadline is a time of ``time.monotonic`` in seconds.

        Raises:
            ServingError: The inputs do not fit, it is too late, or the model fails.
        """
        with self._handle:
            # Before the inputs are converted, which may take long, too.
            execution.check_deadline(deadline)
            self._call.taken = time.perf_counter()
            execution.take_run()
            try:
                result = self._plan.run(deadline)
            finally:
                self._call.run_started, self._call.run_seconds = execution.take_run()
            self._record(result)
            return result

    def abandon(self) -> None:
        """Let the version go without an answer."""
        with self._handle:
            pass

    def start(self, deadline: float | None) -> Started[Result] | None:
        """
        Leave the call in its signature's queue, where there is one that takes it.

        Raises:
            ServingError: The inputs do not fit, it is too late, or the queue is full.
        """
        if self._plan.start is None:
            return None
        began = self._call.taken = time.perf_counter()
        try:
            execution.check_deadline(deadline)
            started = self._plan.start(deadline)
        except BaseException:
            with self._handle:
                raise
        if started is None:
            return None
        started.future.add_done_callback(lambda _: self._end(began))

        def result() -> Result:
            found = started.result()
            self._record(found)
            return found

        return dataclasses.replace(started, result=result)

    def _end(self, began: float) -> None:
        with self._handle:
            self._call.run_started = began
            self._call.run_seconds = time.perf_counter() - began

    def _record(self, result: Result) -> None:
        exchange = self._plan.exchange
        if exchange is None:
            return
        for recorder in self._recorders:
            if recorder.wants(self._call.model):
                recorder.record(self._call, exchange(result))


class Calls:
    """
    Begins inferences; safe to use from any number of threads.

    Every method notes in ``call`` who answers, and raises a ``ServingError`` if there is no such
    version or signature, or if the signature cannot be called like that.
    """

    def __init__(
        self,
        directory: Directory,
        recorders: Sequence[Recorder] = (),
        *,
        check_method_names: bool = False,
    ) -> None:
        self._directory = directory
        self._recorders = recorders
        self._check_method_names = check_method_names

    def predict(
        self, selector: Selector, wanted: Prediction, call: Call
    ) -> Pending[dict[str, Array]]:
        """Begin a prediction: named tensors in, named tensors out."""

        def plan(model: Model) -> Plan[dict[str, Array]]:
            signature = wanted.find(model, wanted.signature)
            call.signature = signature.name
            if self._check_method_names:
                predict.check_method_name(signature)
            given: dict[str, Array] = {}

            def ask() -> Question:
                given.update(wanted.read(signature))
                return predict.ask(signature, given, wanted.output_filter)

            return plans.of_signature(
                signature,
                ask,
                predict.answer,
                lambda outputs: Predicted(given, wanted.output_filter, outputs),
            )

        return self._begin(selector, call, plan)

    def classify(
        self, selector: Selector, name: str, given: Any, call: Call
    ) -> Pending[Classifications]:
        """Begin a classification of the examples in an ``Input`` message."""

        def plan(model: Model) -> Plan[Classifications]:
            signature = lookup.find_signature(model, name)
            call.signature = signature.name
            classify.check(signature, check_method_name=self._check_method_names)
            call.examples = examples.count(given)
            return plans.of_signature(
                signature,
                lambda: classify.ask(signature, given),
                classify.answer,
                lambda found: Classified(given, found),
            )

        return self._begin(selector, call, plan)

    def regress(self, selector: Selector, name: str, given: Any, call: Call) -> Pending[Array]:
        """Begin a regression of the examples in an ``Input`` message."""

        def plan(model: Model) -> Plan[Array]:
            signature = lookup.find_signature(model, name)
            call.signature = signature.name
            regress.check(signature, check_method_name=self._check_method_names)
            call.examples = examples.count(given)
            return plans.of_signature(
                signature,
                lambda: regress.ask(signature, given),
                regress.answer,
                lambda found: Regressed(given, found),
            )

        return self._begin(selector, call, plan)

    def multi_inference(
        self, selector: Selector, tasks: Sequence[Task], given: Any, call: Call
    ) -> Pending[list[Classifications | Array]]:
        """Begin several classifications and regressions of the same examples."""

        def plan(model: Model) -> Plan[list[Classifications | Array]]:
            planned = multi_inference.plan(model, tasks, check_method_name=self._check_method_names)
            call.examples = examples.count(given)
            return Plan(
                lambda deadline: multi_inference.run(model, planned, given, deadline),
                exchange=lambda found: MultiInferred(tasks, given, found),
            )

        return self._begin(selector, call, plan)

    def session_run(
        self, selector: Selector, wanted: SessionRun, call: Call
    ) -> Pending[dict[str, Array]]:
        """Begin a run of a model's graph by the names of its tensors."""
        return self._begin(
            selector,
            call,
            lambda model: Plan(lambda deadline: session_run.run(model, wanted, deadline)),
        )

    def _begin(
        self, selector: Selector, call: Call, plan: Callable[[Model], Plan[Result]]
    ) -> Pending[Result]:
        if self._directory.knows(selector.name):
            call.model = selector.name
        call.pinned = selector.version is not None or selector.label is not None
        handle = self._directory.acquire(selector)
        try:
            call.served_by(handle.id)
            # What another server asks again is nobody's request.
            recorders = () if call.entrypoint == SHADOW else self._recorders
            return Pending(handle, plan(handle.model), call, recorders)
        except BaseException:
            with handle:
                raise
