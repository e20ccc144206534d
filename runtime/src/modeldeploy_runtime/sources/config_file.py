"""Reads the file of ``--model_config_file``: TensorFlow Serving's ModelServerConfig as text."""

from pathlib import Path
from typing import Any

from google.protobuf import text_format

from modeldeploy_runtime.protos import messages
from modeldeploy_runtime.servables import errors
from modeldeploy_runtime.sources.models import ServedModel
from modeldeploy_runtime.sources.version_policy import All, Latest, Specific, VersionPolicy

PLATFORM = "tensorflow"
_MESSAGE = "tensorflow.serving.ModelServerConfig"


def parse(text: str, path: str) -> list[ServedModel]:
    """
    Read the models that a configuration lists.

    Raises:
        InvalidArgumentError: The text is no configuration, or contradicts itself.
    """
    config = messages.ModelServerConfig()
    try:
        text_format.Parse(text, config)
    except text_format.ParseError as error:
        raise errors.InvalidArgumentError(
            f"Error parsing text-format {_MESSAGE}: {path}: {error}"
        ) from error
    models: dict[str, ServedModel] = {}
    for entry in config.model_config_list.config:
        model = _model(entry)
        if model.name in models:
            raise errors.InvalidArgumentError(
                f"Illegal to list model {model.name} multiple times in config list"
            )
        models[model.name] = model
    return list(models.values())


def _model(entry: Any) -> ServedModel:
    if not entry.name:
        raise errors.InvalidArgumentError("A model in the config list has no name.")
    if not entry.model_platform:
        raise errors.InvalidArgumentError(
            "Illegal setting neither ModelServerConfig::model_type (deprecated) nor "
            f"ModelServerConfig::model_platform, model name is {entry.name}"
        )
    if entry.model_platform != PLATFORM:
        raise errors.InvalidArgumentError(
            f"Model {entry.name} requests unsupported platform {entry.model_platform}"
        )
    return ServedModel(
        entry.name,
        base_path(entry.name, entry.base_path),
        _policy(entry.model_version_policy),
        dict(entry.version_labels),
    )


def base_path(name: str, text: str) -> Path:
    """
    Read a base path, which must be absolute.

    Raises:
        InvalidArgumentError: The path is relative or on a storage that is not a file system.
    """
    path = text.removeprefix("file://")
    if not path.startswith("/"):
        raise errors.InvalidArgumentError(
            f"Expected model {name} to have an absolute path or URI; got base_path()={text}"
        )
    return Path(path)


def _policy(message: Any) -> VersionPolicy:
    match message.WhichOneof("policy_choice"):
        case "all":
            return All()
        case "specific":
            return Specific(frozenset(message.specific.versions))
        case _:
            return Latest(message.latest.num_versions or 1)
