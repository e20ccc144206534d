"""
Encryption for both transports, from TensorFlow Serving's SSLConfig.

The file is looked at when a client connects, and read again when it has changed: a renewed
certificate needs no restart.  A changed file that is wrong leaves the old certificate in use.
"""

import logging
import os
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import text_format

from modeldeploy_runtime.protos import messages

_log = logging.getLogger(__name__)


class TlsError(RuntimeError):
    """The file cannot be used; the message is a sentence."""


class Certificates:
    """One SSLConfig file; threads may call every method at any time."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._lock = threading.Lock()
        self._seen = self._stamp()
        self._config = self._read()
        self._context = _context(self._config, self._path)

    @property
    def asks_clients(self) -> bool:
        """Whether clients must show a certificate; a changed file does not change this."""
        return bool(self._config.client_verify)

    def for_grpc(self) -> grpc.ServerCredentials:
        """Make credentials that follow the file."""
        return grpc.dynamic_ssl_server_credentials(
            _for_grpc(self._config),
            self._fetch,
            require_client_authentication=self.asks_clients,
        )

    def for_rest(self) -> ssl.SSLContext:
        """Make a context that hands every new connection to the newest one."""
        context = _context(self._config, self._path)

        def follow(connection: ssl.SSLObject, _name: str | None, _: ssl.SSLContext) -> None:
            self._refresh()
            connection.context = self._context

        context.sni_callback = follow
        return context

    def _fetch(self) -> Any:
        return _for_grpc(self._config) if self._refresh() else None

    def _refresh(self) -> bool:
        """Read the file again if it has changed; return whether what it says is new."""
        with self._lock:
            stamp = self._stamp()
            if stamp == self._seen:
                return False
            self._seen = stamp
            try:
                config = self._read()
                self._context = _context(config, self._path)
            except TlsError as error:
                _log.error("The old certificate stays in use: %s", error)
                return False
            self._config = config
        _log.info("%s has changed: new connections get the new certificate.", self._path)
        return True

    def _stamp(self) -> tuple[int, ...]:
        try:
            found = self._path.stat()
        except OSError:
            return ()
        return (found.st_mtime_ns, found.st_size, found.st_ino)

    def _read(self) -> Any:
        try:
            config = text_format.Parse(self._path.read_text(), messages.SSLConfig())
        except (OSError, UnicodeDecodeError, text_format.ParseError) as error:
            raise TlsError(f"Invalid protobuf file: '{self._path}': {error}") from error
        if not config.server_key or not config.server_cert:
            raise TlsError(f"{self._path} must give both server_key and server_cert.")
        return config


def _for_grpc(config: Any) -> Any:
    pair = (config.server_key.encode(), config.server_cert.encode())
    return grpc.ssl_server_certificate_configuration(
        [pair], root_certificates=config.custom_ca.encode() or None
    )


def _context(config: Any, path: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        if config.custom_ca:
            context.load_verify_locations(cadata=config.custom_ca)
        with _as_file(config.server_cert + "\n" + config.server_key) as name:
            context.load_cert_chain(name)
    except (ssl.SSLError, OSError, ValueError) as error:
        raise TlsError(f"The certificates in {path} cannot be used: {error}") from error
    if config.client_verify:
        context.verify_mode = ssl.CERT_REQUIRED
    return context


@contextmanager
def _as_file(text: str) -> Iterator[str]:
    """Give text a name that never lies on a disk: ssl reads keys from files alone."""
    descriptor = os.memfd_create("certificates")
    try:
        with os.fdopen(os.dup(descriptor), "w") as file:
            file.write(text)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
