"""Reads the file of ``--model_config_file``: TensorFlow Serving's ModelServerConfig as text."""

from typing import Any

from google.protobuf import text_format

from modeldeploy_runtime.loaders import platforms
from modeldeploy_runtime.protos import messages
from modeldeploy_runtime.servables import errors
from modeldeploy_runtime.sources import router
from modeldeploy_runtime.sources.models import ServedModel
from modeldeploy_runtime.sources.version_policy import All, Latest, Specific, VersionPolicy

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
    if entry.model_platform not in platforms.names():
        raise errors.InvalidArgumentError(
            f"Model {entry.name} requests unsupported platform {entry.model_platform}"
        )
    return ServedModel(
        entry.name,
        router.check_base_path(entry.name, entry.base_path),
        _policy(entry.model_version_policy),
        dict(entry.version_labels),
        entry.model_platform,
    )


def _policy(message: Any) -> VersionPolicy:
    match message.WhichOneof("policy_choice"):
        case "all":
            return All()
        case "specific":
            return Specific(frozenset(message.specific.versions))
        case _:
            return Latest(message.latest.num_versions or 1)
