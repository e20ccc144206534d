"""
What the lifecycle knows of a loader, and what inference knows of a loaded model.

A new kind of model is one module that fulfils these protocols.
"""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from modeldeploy_runtime.servables.errors import Code
from modeldeploy_runtime.servables.ids import ServableId
from modeldeploy_runtime.tensors.dtypes import Array, TensorSpec


class CallQueue(Protocol):
    """Where calls of a signature wait to be computed together; safe to use from any thread."""

    def start(
        self, inputs: Mapping[str, Array], outputs: Iterable[str], deadline: float | None
    ) -> Future[dict[str, Array]] | None:
        """
        Leave a call, for somebody who cannot wait in a thread; ``help`` must be called soon after.

        The future's outputs may be more than the named ones.  A call that cannot be computed
        together with others has no future: it has to be run.
        """

    def help(self) -> None:
        """Compute in this thread what would only take longer in another one."""

    def give_up(self, future: Future[dict[str, Array]]) -> Exception:
        """Cancel a call whose deadline has passed, and say how far it came."""


class Signature(Protocol):
    """One way of calling a model; safe to use from any number of threads."""

    @property
    def name(self) -> str:
        """The signature's key in the model."""

    @property
    def definition(self) -> Any:
        """The SignatureDef message, which nobody may change."""

    @property
    def inputs(self) -> Mapping[str, TensorSpec]:
        """The inputs by alias."""

    @property
    def outputs(self) -> Mapping[str, TensorSpec]:
        """The outputs by alias."""

    @property
    def defaults(self) -> Mapping[str, Array]:
        """The values of inputs that a request may leave out."""

    @property
    def is_cheap(self) -> bool:
        """Whether a call is over so soon that handing it to a thread would cost more."""

    @property
    def queue(self) -> CallQueue | None:
        """Where calls may be left; ``None`` means that each is computed where it is made."""

    def run(
        self, inputs: Mapping[str, Array], outputs: Iterable[str], deadline: float | None = None
    ) -> dict[str, Array]:
        """
        Compute the named outputs from a value for each input.

        Only a call that waits heeds its deadline, a time of ``time.monotonic`` in seconds.
        """


class Model(Protocol):
    """One loaded version; safe to use from any number of threads until it is unloaded."""

    @property
    def signatures(self) -> Mapping[str, Signature]:
        """All signatures by name."""

    @property
    def signature_defs(self) -> Mapping[str, bytes]:
        """The serialised SignatureDef of each signature."""

    def run(
        self, feeds: Mapping[str, Array], fetches: Sequence[str], targets: Sequence[str]
    ) -> list[Array]:
        """
        Feed and fetch tensors of the model's graph by the names that they have there.

        Targets are operations that are to run as well.
        """

    def unload(self) -> None:
        """Give all memory back; nobody uses the model any more."""


class Platform(Protocol):
    """
    Loads versions of one kind of model; one instance serves all models of that kind.

    ``load`` is called from several threads at once, never twice at a time for one version.
    """

    def prepare(self) -> None:
        """Do what depends on no model, such as importing a framework; it may be called again."""

    def estimate(self, path: Path) -> int:
        """Estimate the bytes of memory that a version will need: an upper bound."""

    def load(self, servable: ServableId, path: Path) -> Model:
        """Load one version from a local folder, or raise a ``LoadError``."""


class Loader(Protocol):
    """Loads one version of one model; used by one thread at a time."""

    def estimate(self) -> int:
        """Bring the files to where they can be read, and estimate the bytes of memory needed."""

    def load(self) -> Model:
        """Load the version, warmed up and ready, or raise a ``LoadError``."""

    def clean(self) -> None:
        """Remove what was brought: the version is unloaded, or will not be loaded."""


class LoadWatch(Protocol):
    """What happens around the load of a version, in the thread that loads it."""

    def loaded(self, servable: ServableId, path: Path, code: Code, seconds: float) -> None:
        """Take note of one try of a platform to load a version, and of how long it took."""

    def warm_up(self, servable: ServableId, model: Model, path: Path) -> None:
        """Run a model, so that its first client does not wait, or raise a ``LoadError``."""


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """
    What a person may decide about loading; 0 threads means as many as the cgroup grants.

    ``session_config`` is a serialised ConfigProto, to which the other options are added.
    """

    intra_op_threads: int = 0
    inter_op_threads: int = 0
    tags: tuple[str, ...] = ("serve",)
    session_config: bytes = b""
    compile_for_cpu: bool = False
    bfloat16: bool = False
