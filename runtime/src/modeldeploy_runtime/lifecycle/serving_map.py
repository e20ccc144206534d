"""The versions that requests may reach: read by every request, replaced as a whole at a change."""

from collections.abc import Iterable
from dataclasses import dataclass

from modeldeploy_runtime.lifecycle.handle import Handle, Lease
from modeldeploy_runtime.lifecycle.harness import Harness
from modeldeploy_runtime.loaders.port import Model
from modeldeploy_runtime.servables import errors
from modeldeploy_runtime.servables.ids import Selector, ServableId
from modeldeploy_runtime.servables.states import State


@dataclass(frozen=True, slots=True)
class Serving:
    """What requests need of an available version."""

    id: ServableId
    lease: Lease[Model]


class ServingMap:
    """Readers take no lock; only the manager, under its own, publishes."""

    def __init__(self) -> None:
        self._models: dict[str, dict[int, Serving]] = {}

    def publish(self, name: str, harnesses: Iterable[Harness]) -> None:
        """Replace what requests find of one model; the oldest version comes first."""
        available = [
            Serving(harness.id, harness.lease)
            for harness in harnesses
            if harness.state is State.AVAILABLE and harness.lease is not None
        ]
        found = {serving.id.version: serving for serving in reversed(available)}
        self._models = {**self._models, name: found}

    def newest(self, name: str) -> Serving | None:
        """Find the version that answers those who name none."""
        return next(iter(self._models.get(name, {}).values()), None)

    def acquire(self, selector: Selector) -> Handle:
        """
        Take hold of an available version.

        Raises:
            NotFoundError: No such version is available.
        """
        while True:
            if selector.version is None:
                serving = self.newest(selector.name)
            else:
                serving = self._models.get(selector.name, {}).get(selector.version)
            if serving is None:
                raise errors.NotFoundError(f"Servable not found for request: {selector}")
            # A version that closed since the map was read is no longer in the map: look again.
            if serving.lease.enter():
                return Handle(serving.id, serving.lease)
