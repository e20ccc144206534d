"""What is left to do for an inference once its signature is known."""

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Generic, TypeVar

from modeldeploy_runtime.inference import execution
from modeldeploy_runtime.inference.answered.exchanges import Exchange
from modeldeploy_runtime.inference.execution import Question
from modeldeploy_runtime.loaders.port import CallQueue, Signature
from modeldeploy_runtime.tensors.dtypes import Array

Result = TypeVar("Result")
Outputs = dict[str, Array]


@dataclass(frozen=True, slots=True)
class Started(Generic[Result]):
    """
    An inference that waits in a queue; its version stays held until the future is done.

    ``result`` may be asked then, and raises a ``ServingError`` if the model failed.
    """

    queue: CallQueue
    future: Future[Outputs]
    result: Callable[[], Result]


@dataclass(frozen=True, slots=True)
class Plan(Generic[Result]):
    """
    How an inference is answered; ``run`` and ``start`` take the deadline.

    ``start`` leaves it in the signature's queue, where there is one.  ``exchange`` describes what
    was asked and answered to whoever records it.
    """

    run: Callable[[float | None], Result]
    is_cheap: bool = False
    exchange: Callable[[Result], Exchange] | None = None
    start: Callable[[float | None], Started[Result] | None] | None = None


def of_signature(
    signature: Signature,
    ask: Callable[[], Question],
    answer: Callable[[Question, Outputs], Result],
    exchange: Callable[[Result], Exchange],
) -> Plan[Result]:
    """Plan a call of one signature: ``ask`` makes the inputs, and ``answer`` reads the outputs."""

    def run(deadline: float | None) -> Result:
        question = ask()
        return answer(question, execution.run_signature(question, deadline))

    queue = signature.queue
    if queue is None:
        return Plan(run, signature.is_cheap, exchange)

    def start(deadline: float | None) -> Started[Result] | None:
        question = ask()
        future = execution.start_signature(question, deadline)
        if future is None:
            return None
        return Started(queue, future, lambda: answer(question, future.result()))

    return Plan(run, signature.is_cheap, exchange, start)
