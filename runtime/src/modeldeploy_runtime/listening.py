"""Makes both transports from the settings."""

import os
from concurrent.futures import ThreadPoolExecutor

from modeldeploy_runtime.configuration.reload import Reloader
from modeldeploy_runtime.inference.calls import Calls
from modeldeploy_runtime.inference.directory import Directory
from modeldeploy_runtime.inference.readiness import Readiness
from modeldeploy_runtime.loaders import cpus
from modeldeploy_runtime.settings import Settings, monitoring
from modeldeploy_runtime.shadow.mirror import Mirror
from modeldeploy_runtime.telemetry.observer import Observer
from modeldeploy_runtime.transports.control import configuration, shadowing
from modeldeploy_runtime.transports.control.app import ControlApp, Part
from modeldeploy_runtime.transports.control.bearer import Bearer
from modeldeploy_runtime.transports.control.configuration import Configuration
from modeldeploy_runtime.transports.control.shadowing import Shadowing
from modeldeploy_runtime.transports.grpc.server import GrpcServer, GrpcServerOptions
from modeldeploy_runtime.transports.grpc.servicers import Methods
from modeldeploy_runtime.transports.http.limits import HttpLimits
from modeldeploy_runtime.transports.http.server import RestServer, ServerOptions
from modeldeploy_runtime.transports.rest import errors
from modeldeploy_runtime.transports.rest.app import RestApp, RestOptions
from modeldeploy_runtime.transports.rest.bodies import BodyLimits
from modeldeploy_runtime.transports.tls import Certificates

# So many requests for each CPU may wait for a thread, unless a flag says otherwise.
WAITING_PER_CPU = 64
# How many calls over gRPC are handled at once at least, without and with batching.
CALLS, BATCHED_CALLS = 8, 64


def rest_app(
    settings: Settings, directory: Directory, calls: Calls, readiness: Readiness, observer: Observer
) -> RestApp:
    """Make the REST application, whether or not it is listened for."""
    threads = settings.rest_api_num_threads or max(2, cpus.available())
    executor = ThreadPoolExecutor(threads, thread_name_prefix="predict")
    options = RestOptions(
        timeout=settings.rest_api_timeout_in_ms / 1000,
        cors=settings.rest_api_enable_cors_support,
        gzip_from=settings.rest_api_gzip_min_bytes,
        metrics_path=monitoring.metrics_path(settings.monitoring_config_file),
        status_page=settings.status_page,
        places=threads + _waiting(settings),
        bodies=BodyLimits(
            body=settings.rest_api_max_body_bytes,
            decompressed=settings.rest_api_max_decompressed_bytes,
            all_bodies=settings.rest_api_max_buffered_bytes,
        ),
    )
    return RestApp(directory, calls, readiness, observer, executor, options)


def rest_server(settings: Settings, app: RestApp) -> RestServer | None:
    """
    Make the REST server, if there is to be one.

    Raises:
        TlsError: The file with the certificates is wrong.
        OSError: The port is taken.
    """
    file, port, secure_port = (
        settings.rest_api_ssl_config_file,
        settings.rest_api_port,
        settings.rest_api_ssl_port,
    )
    if not port and not secure_port:
        return None
    tls = Certificates(file).for_rest() if file else None
    ports = {port: None, secure_port: tls} if secure_port else {port: tls}
    options = ServerOptions(
        limits=HttpLimits(
            connections=settings.rest_api_max_connections,
            request_line=settings.rest_api_max_request_line_bytes,
            headers=settings.rest_api_max_headers_bytes,
            headers_timeout=settings.rest_api_headers_timeout,
            body_timeout=settings.rest_api_body_timeout,
            keep_alive_timeout=settings.rest_api_keep_alive_timeout,
        ),
        drain_timeout=settings.drain_timeout,
        refused=app.refused,
    )
    return RestServer(app, {number: tls for number, tls in ports.items() if number}, options)


def control_server(
    settings: Settings, reloader: Reloader, directory: Directory, mirror: Mirror
) -> RestServer | None:
    """
    Make the server of the control port, if there is to be one.

    Raises:
        FlagError: The file with the token cannot be read.
        OSError: The port is taken.
    """
    if not settings.control_port:
        return None
    options = ServerOptions(
        limits=HttpLimits(connections=64),
        drain_timeout=0.0,
        refused=lambda breach: errors.body(breach.message),
        host=settings.control_host,
    )
    parts: dict[str, Part] = {
        configuration.PATH: Configuration(reloader, directory),
        shadowing.PATH: Shadowing(mirror),
    }
    file = settings.control_token_file
    app = ControlApp(parts, Bearer(file) if file else None)
    return RestServer(app, {settings.control_port: None}, options)


def grpc_server(
    settings: Settings, methods: Methods, readiness: Readiness, observer: Observer
) -> GrpcServer | None:
    """
    Make the gRPC server, if there is to be one.

    Raises:
        TlsError: The file with the certificates is wrong.
        RuntimeError: The port is taken.
    """
    plain, secure = _addresses(settings)
    if not plain and not secure:
        return None
    options = GrpcServerOptions(
        addresses=plain,
        secure=secure,
        threads=settings.grpc_max_threads or max(_calls_at_once(settings), 4 * cpus.available()),
        waiting=_waiting(settings),
        max_message=settings.grpc_max_receive_message_bytes,
        message_timeout=settings.grpc_message_timeout,
        health=settings.enable_grpc_healthcheck_service,
        arguments=channel_arguments(settings.grpc_channel_arguments),
        certificates=Certificates(settings.ssl_config_file) if settings.ssl_config_file else None,
    )
    return GrpcServer(methods, observer, readiness, options)


def channel_arguments(text: str) -> dict[str, str | int]:
    """
    Read ``name=value,name=value``; what looks like an int32 is one, as in TensorFlow Serving.

    A name without a value is left out: gRPC has no use for it.
    """
    read: dict[str, str | int] = {}
    for part in text.split(","):
        name, equals, value = part.partition("=")
        if not name.strip() or not equals:
            continue
        try:
            number = int(value)
        except ValueError:
            read[name.strip()] = value
        else:
            fits = -(2**31) <= number < 2**31
            read[name.strip()] = number if fits else value
    return read


def _calls_at_once(settings: Settings) -> int:
    """Tell how many threads gRPC has at least: a call that waits for its batch holds one."""
    return BATCHED_CALLS if settings.enable_batching else CALLS


def _waiting(settings: Settings) -> int:
    return settings.max_waiting_requests or WAITING_PER_CPU * cpus.available()


def _addresses(settings: Settings) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """List the plain addresses, and those that are encrypted."""
    addresses = [f"[::]:{settings.port}"] if settings.port else []
    if settings.grpc_socket_path:
        addresses.append(f"unix:{os.path.abspath(settings.grpc_socket_path)}")  # noqa: PTH100 - a name, and no file yet
    if settings.ssl_port:
        return tuple(addresses), (f"[::]:{settings.ssl_port}",)
    return ((), tuple(addresses)) if settings.ssl_config_file else (tuple(addresses), ())
