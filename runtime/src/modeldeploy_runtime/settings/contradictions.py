"""What a command line must not say at once: pure."""

from collections.abc import Iterator

from modeldeploy_runtime.settings.groups import Settings


def find(settings: Settings) -> Iterator[str]:
    """Name each contradiction in a sentence."""
    yield from _listening(settings)
    if not settings.model_base_path and not settings.model_config_file:
        yield "Either --model_base_path or --model_config_file must be set."
    if settings.batching_parameters_file and not settings.enable_batching:
        yield "--batching_parameters_file needs --enable_batching."
    if settings.tensorflow_session_parallelism and (
        settings.tensorflow_intra_op_parallelism or settings.tensorflow_inter_op_parallelism
    ):
        yield (
            "--tensorflow_session_parallelism sets both --tensorflow_intra_op_parallelism and "
            "--tensorflow_inter_op_parallelism and must not be given with either."
        )


def _listening(settings: Settings) -> Iterator[str]:
    if not (settings.port or settings.rest_api_port or settings.grpc_socket_path):
        yield "Either --port, --grpc_socket_path or --rest_api_port must be set."
    for port in ("ssl_port", "rest_api_ssl_port"):
        file = port.replace("port", "config_file")
        if getattr(settings, port) and not getattr(settings, file):
            yield f"--{port} needs --{file}."
    ports = ("port", "rest_api_port", "ssl_port", "rest_api_ssl_port", "control_port")
    for index, one in enumerate(ports):
        for other in ports[index + 1 :]:
            if getattr(settings, one) and getattr(settings, one) == getattr(settings, other):
                yield f"--{one} and --{other} must differ."
