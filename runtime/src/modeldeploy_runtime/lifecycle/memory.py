"""
Memory is reserved before a load begins, as a load that outgrows the limit ends the process: pure.

What is loaded already shows in the measured use; only loads that are under way need reservations.
"""

from modeldeploy_runtime.loaders.memory import Room
from modeldeploy_runtime.servables.errors import Code, LoadError
from modeldeploy_runtime.servables.ids import ServableId


class Reservations:
    """What the loads and unloads under way will take and give; the manager's lock guards it."""

    def __init__(self) -> None:
        self._loading: dict[ServableId, int] = {}
        self._unloading: set[ServableId] = set()
        self._begun = 0

    def reserve(self, servable: ServableId, need: int, room: Room) -> bool:
        """Keep memory for a load, if there is enough."""
        if need > self.free(room):
            return False
        self._loading[servable] = need
        self._begun += 1
        return True

    def unloading(self, servable: ServableId) -> None:
        """Note that an unload is under way, which will give memory back."""
        self._unloading.add(servable)
        self._begun += 1

    def release(self, servable: ServableId) -> None:
        """Note that a load or unload is over, and shows in the measured use."""
        self._loading.pop(servable, None)
        self._unloading.discard(servable)

    @property
    def under_way(self) -> int:
        """Count the loads and unloads under way."""
        return len(self._loading) + len(self._unloading)

    @property
    def begun(self) -> int:
        """Count the loads and unloads that have ever begun."""
        return self._begun

    def free(self, room: Room) -> int:
        """Count the bytes that neither are used nor will be by the loads under way."""
        return max(0, room.limit - room.used - sum(self._loading.values()))

    def refusal(self, servable: ServableId, need: int, room: Room) -> LoadError:
        """Say that a load does not fit; it may yet, when others are gone."""
        return LoadError(
            f"Insufficient resources to load servable {servable}: it needs about "
            f"{in_mebibytes(need)} of memory, and {in_mebibytes(self.free(room))} of "
            f"{in_mebibytes(room.limit)} are free. Give the server more memory, or serve less.",
            Code.RESOURCE_EXHAUSTED,
            permanent=False,
        )


def in_mebibytes(size: int) -> str:
    """
    Write a size for people.

    >>> in_mebibytes(3 * 1024 * 1024 + 1)
    '3.0 MiB'
    """
    return f"{size / 1048576:.1f} MiB"
