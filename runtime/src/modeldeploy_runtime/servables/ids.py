"""Names of servables, and the ways in which a client may choose one."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class ServableId:
    """One version of one model."""

    name: str
    version: int

    def __str__(self) -> str:
        return f"{{name: {self.name} version: {self.version}}}"


@dataclass(frozen=True, slots=True)
class Selector:
    """
    What a request asks for: a model, and perhaps a version or a label.

    Where neither is given, the newest available version is meant.
    """

    name: str
    version: int | None = None
    label: str | None = None

    def __str__(self) -> str:
        if self.version is None:
            return f"Latest({self.name})"
        return f"Specific({self.name}, {self.version})"
