"""
What a person may set on the command line: TensorFlow Serving's flags, and a few of ours.

A flag is one line in one of the groups; ``groups`` puts them together, ``contradictions`` finds
what cannot stand together, and ``pages`` writes the help and the reference.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from modeldeploy_runtime import flags
from modeldeploy_runtime.flags import FlagError
from modeldeploy_runtime.servables.errors import ServingError
from modeldeploy_runtime.settings import contradictions
from modeldeploy_runtime.settings.groups import Settings
from modeldeploy_runtime.sources import config_file, router
from modeldeploy_runtime.sources.models import ServedModel

__all__ = ["Settings", "models", "notices", "parse"]

_NAME, _BASE_PATH = "MODEL_NAME", "MODEL_BASE_PATH"


def parse(arguments: Sequence[str], environment: Mapping[str, str]) -> Settings:
    """
    Read the server's command line.

    Raises:
        FlagError: The flags are wrong or contradict one another.
    """
    settings = assemble(flags.read(arguments, Settings), environment)
    if not settings.version and not settings.help:
        for sentence in contradictions.find(settings):
            raise FlagError(sentence)
    return settings


def assemble(given: Mapping[str, Any], environment: Mapping[str, str]) -> Settings:
    """Add to the flags that are given what the environment says in place of others."""
    return Settings(**{**_from_environment(environment), **given})


def models(settings: Settings) -> list[ServedModel]:
    """
    Read which models are to be served; a configuration file goes before the single-model flags.

    Raises:
        FlagError: The file cannot be read or is wrong.
    """
    try:
        if not settings.model_config_file:
            base = router.check_base_path(settings.model_name, settings.model_base_path)
            return [ServedModel(settings.model_name, base)]
        path = Path(settings.model_config_file)
        return config_file.parse(path.read_text(), str(path))
    except (ServingError, OSError, UnicodeDecodeError) as error:
        raise FlagError(f"{error}") from error


def notices(arguments: Sequence[str]) -> Iterator[str]:
    """
    Name each flag that was given and has no effect, with the reason, once.

    Raises:
        FlagError: A flag is unknown or has a bad value.
    """
    return remarks(flags.read(arguments, Settings))


def remarks(given: Mapping[str, Any]) -> Iterator[str]:
    """Name each of the flags, by their values, that has no effect, with the reason."""
    declared = {field.name: field for field in dataclasses.fields(Settings)}
    for name in given:
        if unused := flags.about(declared[name]).unused:
            yield f"--{name} has no effect here: {unused}."
    if given.get("enable_per_model_batching_parameters") and not given.get("enable_batching"):
        yield "--enable_per_model_batching_parameters has no effect without --enable_batching."
    if "model_config_file" in given:
        for name in ("model_name", "model_base_path"):
            if name in given:
                yield f"--{name} has no effect beside --model_config_file."


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    """
    Read what the stock image's entry point makes of its two variables.

    It puts ``--model_name=${MODEL_NAME} --model_base_path=${MODEL_BASE_PATH}/${MODEL_NAME}`` before
    the flags of the command line, with ``model`` and ``/models`` as the image's values.
    """
    if _NAME not in environment and _BASE_PATH not in environment:
        return {}
    name = environment.get(_NAME, "model")
    folder = environment.get(_BASE_PATH, "/models")
    return {"model_name": name, "model_base_path": f"{folder}/{name}"}
