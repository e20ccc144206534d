"""Flags about the ports, and about what clients may send and get."""

from dataclasses import dataclass

from modeldeploy_runtime.flags import Duration, flag

_PORT = {"least": 0, "most": 65535}


@dataclass(frozen=True)
class GrpcFlags:
    """gRPC: where it listens, and for whom."""

    port: int = flag(8500, "The port for gRPC; 0 turns it off.", **_PORT)
    grpc_socket_path: str = flag("", "A unix socket for gRPC, beside the port.")
    grpc_max_threads: int = flag(
        0,
        "How many gRPC requests are answered at once; 0 stands for the default.",
        least=0,
        shown="4 for each CPU, at least 8",
    )
    grpc_channel_arguments: str = flag(
        "", "Options for the gRPC server as `name=value,name=value`; unknown names are passed on."
    )
    ssl_config_file: str = flag(
        "",
        "A file with an SSLConfig as text (server_key, server_cert, custom_ca, client_verify): "
        "the connections are encrypted then.",
    )
    ssl_port: int = flag(
        0,
        "A port of its own for encrypted gRPC; --port then stays plain. It needs "
        "--ssl_config_file.",
        ours=True,
        **_PORT,
    )
    enable_grpc_healthcheck_service: bool = flag(
        default=True,
        help_text="Offer grpc.health.v1.Health. TensorFlow Serving's default is false.",
    )
    enable_serialization_as_tensor_content: bool = flag(
        default=False,
        help_text="Answer Predict over gRPC with `tensor_content` in place of the typed fields.",
    )
    enable_signature_method_name_check: bool = flag(
        default=False,
        help_text="Refuse calls of signatures whose method_name is another method's.",
    )
    enable_session_run: bool = flag(
        default=False,
        help_text="Offer SessionService.SessionRun, which reaches every operation of a model's "
        "graph, those that write files among them.",
        ours=True,
    )


@dataclass(frozen=True)
class RestFlags:
    """REST: where it listens, and its limits."""

    rest_api_port: int = flag(
        8501, "The port for REST; 0 turns it off. TensorFlow Serving's default is 0.", **_PORT
    )
    rest_api_num_threads: int = flag(
        0,
        "How many REST predictions are computed at once; 0 stands for the default.",
        least=0,
        shown="one for each CPU, at least 2",
    )
    rest_api_timeout_in_ms: int = flag(
        30_000, "A prediction that takes longer gets 504; 0 waits for ever.", least=0
    )
    status_page: bool = flag(
        default=True,
        help_text="Show models, signatures and rates to people, at `/` of the REST port.",
        ours=True,
    )
    rest_api_enable_cors_support: bool = flag(
        default=False, help_text="Let pages of other origins call the REST API."
    )
    rest_api_ssl_config_file: str = flag(
        "", "As --ssl_config_file, and the same file will do: REST is HTTPS then.", ours=True
    )
    rest_api_ssl_port: int = flag(
        0,
        "A port of its own for HTTPS; --rest_api_port then stays plain. It needs "
        "--rest_api_ssl_config_file.",
        ours=True,
        **_PORT,
    )
    rest_api_gzip_min_bytes: int = flag(
        16 * 1024,
        "Answers of at least so many bytes are compressed for clients that accept gzip; 0 never.",
        ours=True,
        least=0,
    )


@dataclass(frozen=True)
class StopFlags:
    """How the server ends after SIGTERM."""

    drain_delay: Duration = flag(
        Duration(0),
        "How long the server goes on serving while it says that it is not ready.",
        ours=True,
        shown="0s",
    )
    drain_timeout: Duration = flag(
        Duration(30),
        "How long it then waits for requests in flight.",
        ours=True,
        shown="30s",
    )
