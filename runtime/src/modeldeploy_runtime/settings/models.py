"""Flags about which models and versions are served."""

from dataclasses import dataclass

from modeldeploy_runtime.flags import Duration, flag


@dataclass(frozen=True)
class ModelFlags:
    """What is served, and how that is changed while the server runs."""

    model_name: str = flag(
        "default",
        "The model's name, where one model is served. "
        "The environment variable `MODEL_NAME` stands in for it.",
    )
    model_base_path: str = flag(
        "",
        "The folder with the model's version folders: an absolute path or a URI that fsspec reads. "
        "`${MODEL_BASE_PATH}/${MODEL_NAME}` of the environment stands in for it.",
    )
    model_config_file: str = flag(
        "",
        "A file with a ModelServerConfig as text: the models to be served. "
        "It goes before the two flags for one model.",
    )
    model_config_file_poll_wait_seconds: int = flag(
        0, "How often that file is read anew and applied if it changed; 0 reads it once.", least=0
    )
    control_port: int = flag(
        0,
        "The port at which the configuration is read and replaced over HTTP; 0 turns it off. "
        "Whoever reaches it may change what is served.",
        ours=True,
        least=0,
        most=65535,
    )
    control_host: str = flag(
        "127.0.0.1", "The address at which the control port listens.", ours=True
    )
    control_token_file: str = flag(
        "",
        "A file with a secret: every request to the control port must carry it as "
        "`Authorization: Bearer SECRET`. The file is read at each request.",
        ours=True,
    )
    enable_reload_config_request: bool = flag(
        default=True,
        help_text="Let ModelService.HandleReloadConfigRequest replace what is served. Without it, "
        "the method answers PERMISSION_DENIED.",
        ours=True,
    )
    allow_version_labels_for_unavailable_models: bool = flag(
        default=False,
        help_text="Let a new label name a version that nothing tells to be there or to come.",
    )


@dataclass(frozen=True)
class SourceFlags:
    """How versions are found below the base paths."""

    file_system_poll_wait_seconds: int = flag(
        1,
        "Seconds between two looks at the folders; "
        "0 looks until every version is judged, and a negative number never.",
    )
    storage_poll_longest_wait: Duration = flag(
        Duration(60),
        "The longest time between two looks at a storage elsewhere: "
        "while nothing changes there, the waits double up to it.",
        ours=True,
        shown="60s",
    )
    version_names: str = flag(
        "numbers",
        "`numbers` serves only folders whose names are numbers, `any` those with other names, too.",
        ours=True,
        choices=("numbers", "any"),
    )
    model_cache_dir: str = flag(
        "",
        "The folder for versions that are brought from a storage elsewhere, and kept there for the "
        "next start; without it a temporary one is made.",
        ours=True,
    )
