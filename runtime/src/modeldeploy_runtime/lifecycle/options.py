"""What a person may decide about loading and unloading."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from modeldeploy_runtime.lifecycle import availability_preserving
from modeldeploy_runtime.lifecycle.policy import Policy

SignatureDefs = Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class Retries:
    """
    How often a load that may succeed yet is tried again, and the longest wait in seconds.

    The waits double until the last one is the whole interval, so that what passes soon is noticed
    soon; a negative interval means no wait.  Five tries and 60 s give:

    >>> [Retries(5, 60.0).wait(number) for number in range(1, 6)]
    [3.75, 7.5, 15.0, 30.0, 60.0]
    """

    count: int = 5
    interval: float = 60.0

    def wait(self, number: int) -> float:
        """Tell how many seconds pass before the try again with this number, from 1 on."""
        return max(0.0, self.interval) / 2.0 ** max(0, self.count - number)


@dataclass(frozen=True, slots=True)
class Options:
    """
    How versions come and go.

    Attributes:
        policy: How a version takes the place of another.
        retries: How often a load is tried again.
        first_load_threads: Loads at a time of models that answer nothing yet.
        load_threads: Loads at a time of versions that replace others.
        unload_threads: Unloads at a time.
        unload_timeout: Seconds for which an unload waits for requests; 0 waits for ever.
        check: Says what the signatures of a new model break of those that serve now, or nothing.
    """

    policy: Policy = availability_preserving.next_action
    retries: Retries = Retries()
    first_load_threads: int = 8
    load_threads: int = 4
    unload_threads: int = 4
    unload_timeout: float = 0.0
    check: Callable[[SignatureDefs, SignatureDefs], Sequence[str]] | None = None
