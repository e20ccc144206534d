"""Connections to other servers, plain or encrypted."""

from collections.abc import Iterable

import grpc


def connect(
    address: str,
    options: Iterable[tuple[str, str | int]],
    root_certificates: str = "",
    server_name: str = "",
) -> grpc.Channel:
    """
    Make a gRPC channel.

    Args:
        address: Where the server is, as ``HOST:PORT``.
        options: grpcio's own.
        root_certificates: Who signed the server's certificate, as PEM; plain without.
        server_name: The host that the certificate is for; empty for that of the address.
    """
    if not root_certificates:
        return grpc.insecure_channel(address, options=tuple(options))
    named = [("grpc.ssl_target_name_override", server_name)] if server_name else []
    credentials = grpc.ssl_channel_credentials(root_certificates.encode())
    return grpc.secure_channel(address, credentials, options=(*options, *named))
