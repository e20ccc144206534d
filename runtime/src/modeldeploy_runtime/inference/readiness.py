"""Says whether the server should get requests, and if not, why."""

from collections.abc import Callable
from dataclasses import dataclass, field

from modeldeploy_runtime.inference.directory import Directory


@dataclass(slots=True)
class Readiness:
    """
    Ready means that each configured model has an available version and nobody asked us to stop.

    A server that was ready stays so while a model that is added to it later is not there yet: the
    others are served.  ``problem_of`` tells what a source found wrong with a model.
    """

    directory: Directory
    problem_of: Callable[[str], str]
    draining: bool = field(default=False)
    _was_ready: bool = field(default=False)
    _served: set[str] = field(default_factory=set)

    def reasons(self) -> dict[str, str]:
        """Name what is not ready, with the reason; nothing means ready."""
        if self.draining:
            return {"server": "The server is shutting down."}
        names = self.directory.names
        self._served.update(name for name in names if self.directory.is_available(name))
        self._was_ready |= self._served.issuperset(names)
        return {
            name: self._reason(name)
            for name in names
            if not self.directory.is_available(name)
            and (name in self._served or not self._was_ready)
        }

    def _reason(self, name: str) -> str:
        known = self.directory.versions(name)
        if not known:
            return self.problem_of(name) or "It has no version yet."
        newest = known[0]
        why = newest.error or newest.problem
        said = f": {why}" if why else ""
        return f"Version {newest.text} is in state {newest.state.value}{said}"
