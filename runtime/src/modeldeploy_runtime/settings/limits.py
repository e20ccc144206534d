"""Flags about how much the server bears of its clients."""

from dataclasses import dataclass

from modeldeploy_runtime.flags import Duration, flag


@dataclass(frozen=True)
class LimitFlags:
    """How much the server bears of its clients."""

    max_waiting_requests: int = flag(
        0,
        "How many requests wait for a thread, for REST and gRPC each; more get 429 or "
        "RESOURCE_EXHAUSTED. 0 stands for the default.",
        ours=True,
        least=0,
        shown="64 for each CPU",
    )
    grpc_max_receive_message_bytes: int = flag(
        2**31 - 1, "A larger gRPC message gets RESOURCE_EXHAUSTED.", ours=True, least=1
    )
    rest_api_max_body_bytes: int = flag(
        256 * 1024 * 1024, "A larger body gets 413.", ours=True, least=0
    )
    rest_api_max_decompressed_bytes: int = flag(
        100 * 1024 * 1024,
        "A compressed body that grows beyond this gets 413.",
        ours=True,
        least=0,
    )
    rest_api_max_buffered_bytes: int = flag(
        1024 * 1024 * 1024,
        "All bodies that are held at once; one that finds no place gets 429.",
        ours=True,
        least=0,
    )
    rest_api_max_request_line_bytes: int = flag(
        16 * 1024, "A longer path gets 414.", ours=True, least=1
    )
    rest_api_max_headers_bytes: int = flag(64 * 1024, "Longer headers get 431.", ours=True, least=1)
    rest_api_max_connections: int = flag(
        4096, "A connection beyond this gets 503 and is closed.", ours=True, least=1
    )
    rest_api_headers_timeout: Duration = flag(
        Duration(30),
        "Headers that are not complete after this get 408.",
        ours=True,
        shown="30s",
    )
    rest_api_body_timeout: Duration = flag(
        Duration(30),
        "A body that is slower than 1024 bytes a second after this gets 408, and a client that "
        "does not read its answer is cut off.",
        ours=True,
        shown="30s",
    )
    rest_api_keep_alive_timeout: Duration = flag(
        Duration(75), "An idle connection is closed after this.", ours=True, shown="75s"
    )
    grpc_message_timeout: Duration = flag(
        Duration(30),
        "A gRPC call whose message has not come after this is cancelled.",
        ours=True,
        shown="30s",
    )
