"""
Reads TensorFlow Serving's ModelServerConfig, as text or as a message: pure.

A configuration is checked as a whole; ``read`` lists everything that is wrong with it, and
``models`` raises the first.
"""

import re
from collections.abc import Iterable
from typing import Any

from google.protobuf import text_format

from modeldeploy_runtime.loaders import platforms
from modeldeploy_runtime.protos import messages
from modeldeploy_runtime.servables import errors
from modeldeploy_runtime.sources import request_logging, router
from modeldeploy_runtime.sources.models import ServedModel
from modeldeploy_runtime.sources.request_logging import RequestLogging
from modeldeploy_runtime.sources.version_policy import All, Latest, Specific, VersionPolicy

_MESSAGE = "tensorflow.serving.ModelServerConfig"
_CUSTOM = "custom_model_config"
# How protobuf says where an error is.
_PLACE = re.compile(r"^\d+:\d+ : ")
# The deprecated way of naming a platform.
_TYPES = {1: platforms.TENSORFLOW, 2: "other"}


def parse(text: str, path: str) -> list[ServedModel]:
    """
    Read the models that a configuration lists.

    Raises:
        InvalidArgumentError: The text is no configuration, or contradicts itself.
    """
    return models(message(text, path))


def message(text: str, path: str) -> Any:
    """
    Read a ModelServerConfig from text.

    Raises:
        InvalidArgumentError: The text is none; the message names line and column.
    """
    config = messages.ModelServerConfig()
    try:
        text_format.Parse(text, config)
    except text_format.ParseError as error:
        place = f"line {error.GetLine()}, column {error.GetColumn()}: " if error.GetLine() else ""
        what = _PLACE.sub("", f"{error}").rstrip(".")
        raise errors.InvalidArgumentError(
            f"Error parsing text-format {_MESSAGE}: {place}{what}. Invalid protobuf file: '{path}'"
        ) from error
    return config


def is_empty(config: Any) -> bool:
    """Tell whether a configuration says nothing at all, not even that there are no models."""
    return config.WhichOneof("config") is None


def models(config: Any) -> list[ServedModel]:
    """
    Read the models that a ModelServerConfig lists.

    Raises:
        ServingError: It contradicts itself or asks for something that is not offered.
    """
    listed, faults = read(config)
    for fault in faults:
        raise fault
    return listed


def read(config: Any) -> tuple[list[ServedModel], list[errors.ServingError]]:
    """Read a ModelServerConfig as far as one can, and list all that is wrong with it."""
    if config.WhichOneof("config") == _CUSTOM:
        return [], [
            errors.PreconditionError(
                "Cannot transition to requested config. It is only legal to transition from one "
                f"ModelConfigList to another; {_CUSTOM} is not."
            )
        ]
    listed: dict[str, ServedModel] = {}
    faults: list[errors.ServingError] = []
    for entry in config.model_config_list.config:
        try:
            model = _model(entry)
        except errors.ServingError as fault:
            faults.append(fault)
            continue
        if model.name in listed:
            faults.append(
                errors.InvalidArgumentError(
                    f"Illegal to list model {model.name} multiple times in config list"
                )
            )
        listed.setdefault(model.name, model)
    return list(listed.values()), faults


def to_message(models: Iterable[ServedModel]) -> Any:
    """Write a ModelServerConfig from which ``models`` reads the same models again."""
    config = messages.ModelServerConfig()
    config.model_config_list.SetInParent()
    for model in models:
        entry = config.model_config_list.config.add(
            name=model.name,
            base_path=model.base_path,
            model_platform=model.platform,
            version_labels=model.labels,
        )
        match model.policy:
            case Latest(count):
                entry.model_version_policy.latest.num_versions = count
            case All():
                entry.model_version_policy.all.SetInParent()
            case Specific(versions):
                entry.model_version_policy.specific.versions.extend(sorted(versions))
        if model.logging is not None:
            collector = entry.logging_config.log_collector_config
            collector.type, collector.filename_prefix = "tfrecord", model.logging.prefix
            entry.logging_config.sampling_config.sampling_rate = model.logging.rate
    return config


def _model(entry: Any) -> ServedModel:
    if not entry.name:
        raise errors.InvalidArgumentError("A model in the config list has no name.")
    path = router.check_base_path(entry.name, entry.base_path)
    platform = _platform(entry)
    if platform not in platforms.names():
        raise errors.InvalidArgumentError(
            f"Model {entry.name} requests unsupported platform {platform}"
        )
    policy = _policy(entry.model_version_policy)
    return ServedModel(
        entry.name,
        path,
        policy,
        _labels(entry, policy),
        platform,
        _logging(entry),
    )


def _logging(entry: Any) -> RequestLogging | None:
    if not entry.HasField("logging_config"):
        return None
    return request_logging.read(entry.name, entry.logging_config)


def _platform(entry: Any) -> str:
    both = "ModelServerConfig::model_type (deprecated) {} ModelServerConfig::model_platform"
    if entry.model_type and entry.model_platform:
        raise errors.InvalidArgumentError(
            f"Illegal setting both {both.format('and')}, model name is {entry.name}"
        )
    if not entry.model_type and not entry.model_platform:
        raise errors.InvalidArgumentError(
            f"Illegal setting neither {both.format('nor')}, model name is {entry.name}"
        )
    return str(entry.model_platform) or _TYPES.get(entry.model_type, str(entry.model_type))


def _policy(message: Any) -> VersionPolicy:
    match message.WhichOneof("policy_choice"):
        case "all":
            return All()
        case "specific":
            return Specific(frozenset(message.specific.versions))
        case _:
            return Latest(message.latest.num_versions or 1)


def _labels(entry: Any, policy: VersionPolicy) -> dict[str, int]:
    versions = policy.versions if isinstance(policy, Specific) else frozenset()
    for label in entry.version_labels:
        if not label:
            raise errors.InvalidArgumentError(f"Model {entry.name} has a label without a name.")
        if label in {str(version) for version in versions}:
            raise errors.InvalidArgumentError(
                f'Model {entry.name} has the label "{label}", which is one of its versions.'
            )
    return dict(entry.version_labels)
