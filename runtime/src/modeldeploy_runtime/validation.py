"""``--validate-config``: looks at everything that the command line names, and starts nothing."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from modeldeploy_runtime import flags, settings
from modeldeploy_runtime.batching import parameters
from modeldeploy_runtime.configuration import changes
from modeldeploy_runtime.flags import FlagError
from modeldeploy_runtime.servables.errors import ServingError
from modeldeploy_runtime.settings import (
    Settings,
    batching,
    contradictions,
    monitoring,
    session_config,
)
from modeldeploy_runtime.sources import config_file, router
from modeldeploy_runtime.sources.models import ServedModel
from modeldeploy_runtime.transports.control import bearer
from modeldeploy_runtime.transports.tls import Certificates, TlsError

FILES: dict[str, Callable[[str], object]] = {
    "batching_parameters_file": batching.read,
    "monitoring_config_file": monitoring.metrics_path,
    "ssl_config_file": Certificates,
    "rest_api_ssl_config_file": Certificates,
    "control_token_file": bearer.read,
    "tensorflow_session_config_file": session_config.read,
}
"""What reads the file of a flag, and raises a sentence where it is wrong."""


def is_wanted(arguments: Sequence[str]) -> bool:
    """Tell whether a command line asks for this, whatever else may be wrong with it."""
    values, _ = flags.scan(arguments, Settings)
    return bool(values.get("validate_config"))


def report(arguments: Sequence[str], environment: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """List all faults of a command line and of the files that it names, and all warnings."""
    values, faults = flags.scan(arguments, Settings)
    wanted = settings.assemble(values, environment)
    faults += contradictions.find(wanted)
    for name, read in FILES.items():
        if path := getattr(wanted, name):
            faults += _complaints(name, lambda read=read, path=path: read(path))  # type: ignore[misc]  # mypy reads no defaults here
    models, wrong = _models(wanted)
    faults += wrong
    if wanted.enable_batching and wanted.enable_per_model_batching_parameters:
        faults += _batching(models)
    warnings = [*settings.remarks(values), *_missing(models)]
    return faults, warnings


def _batching(models: Sequence[ServedModel]) -> Iterator[str]:
    """Check what the versions that are here say of how they are batched."""
    for model in models:
        path = model.base_path.removeprefix("file://")
        if not path.startswith("/"):
            continue
        for file in sorted(Path(path).glob(f"*/{parameters.MODEL_FILE}")):
            try:
                batching.read(str(file))
            except FlagError as error:
                yield f"Model {model.name} cannot be batched as {file} says: {error.__cause__}"


def _complaints(name: str, read: Callable[[], object]) -> Iterator[str]:
    try:
        read()
    except FlagError as error:
        yield f"{error}"
    except (TlsError, OSError) as error:
        yield f"--{name}: {error}"


def _models(wanted: Settings) -> tuple[list[ServedModel], list[str]]:
    try:
        if wanted.model_config_file:
            text = Path(wanted.model_config_file).read_text()
            config = config_file.message(text, wanted.model_config_file)
            models, wrong = config_file.read(config)
        elif wanted.model_base_path:
            base = router.check_base_path(wanted.model_name, wanted.model_base_path)
            models, wrong = [ServedModel(wanted.model_name, base)], []
        else:
            return [], []
    except (ServingError, OSError, UnicodeDecodeError) as error:
        return [], [f"{error}"]
    new = {model.name: model for model in models}
    any_label = wanted.allow_version_labels_for_unavailable_models
    wrong += changes.faults({}, new, lambda _: (), any_label=any_label)
    return models, [fault.message for fault in wrong]


def _missing(models: Sequence[ServedModel]) -> Iterator[str]:
    for model in models:
        path = model.base_path.removeprefix("file://")
        if path.startswith("/") and not Path(path).is_dir():
            yield f"The base path of model {model.name} is no folder now: {path}"
