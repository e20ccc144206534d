"""Which requests are computed together: the flags about batching, and the file that they name."""

from pathlib import Path

from modeldeploy_runtime.batching import parameters
from modeldeploy_runtime.batching.parameters import BatchingParameters
from modeldeploy_runtime.flags import FlagError
from modeldeploy_runtime.servables.errors import InvalidArgumentError
from modeldeploy_runtime.settings.groups import Settings


def for_all_models(settings: Settings) -> BatchingParameters | None:
    """
    Read how requests are batched; ``None`` means not at all.

    Raises:
        FlagError: The file cannot be read or is wrong.
    """
    if not settings.enable_batching:
        return None
    if not settings.batching_parameters_file:
        return BatchingParameters(thread_pool_name=parameters.POOL_NAME_WITHOUT_FILE)
    return read(settings.batching_parameters_file)


def read(file: str) -> BatchingParameters:
    """
    Read a file of parameters for all models.

    Raises:
        FlagError: It cannot be read or is wrong.
    """
    path = Path(file)
    try:
        return parameters.parse(path.read_text(), str(path))
    except (OSError, UnicodeDecodeError, InvalidArgumentError) as error:
        raise FlagError(f"--batching_parameters_file: {error}") from error
