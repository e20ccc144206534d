"""
The source of base paths such as ``fixed:///folder``: the one version in a folder, and no other.
"""

from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit

from modeldeploy_runtime.servables.data import ServableData
from modeldeploy_runtime.servables.ids import ServableId
from modeldeploy_runtime.sources.models import ServedModel
from modeldeploy_runtime.sources.port import Sink, SourceOptions


class Folder:
    """
    A version that lies on the disk.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def bring(self) -> Path:
        """
        Name the folder.
        """
        return self._path

    def drop(self) -> None:
        """
        Leave it where it is.
        """


class Fixed:
    """
    Says once that version 1 is wanted, whatever the folder is called.
    """

    def __init__(self, sink: Sink, options: SourceOptions) -> None:
        self._sink = sink
        self.options = options
        self._models: dict[str, ServedModel] = {}
        self._started = False

    def set_models(self, models: Iterable[ServedModel]) -> None:
        """
        Replace the models.
        """
        before, self._models = self._models, {model.name: model for model in models}
        for name in before.keys() - self._models.keys():
            self._sink(before[name], ())
        if self._started:
            self.start()

    def start(self) -> None:
        """
        Tell what is wanted.
        """
        self._started = True
        for name, model in self._models.items():
            folder = Folder(Path(urlsplit(model.base_path).path))
            self._sink(model, [ServableData(ServableId(name, 1), folder)])

    def stop(self) -> None:
        """
        There is nothing to be stopped.
        """

    def problem(self, name: str) -> str:
        """
        Nothing goes wrong.
        """
        return "" if name in self._models else "It is not known here."
