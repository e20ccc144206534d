"""
The certificate of a mounted Secret, which the kubelet brings up to date when it is renewed.
"""

import logging
import ssl
from pathlib import Path

log = logging.getLogger(__name__)

CERTIFICATE, KEY = "tls.crt", "tls.key"


class CertificateError(RuntimeError):
    """
    There is no usable certificate at the start, so that no client could come in.
    """


class Certificate:
    """
    Reads the certificate and its key from a folder; one that becomes wrong later changes nothing.

    Raises:
        CertificateError: if they cannot be used when it is made.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._said = ""
        try:
            self._last = _read(folder)
        except (OSError, ValueError) as error:
            raise CertificateError(
                "The Secret that spec.traffic.tls.secretName names is missing or cannot be used: "
                f"give it a certificate as {CERTIFICATE} and its key as {KEY}, both as PEM "
                f"({error})."
            ) from error

    def text(self) -> str:
        """
        Read the certificate, those it was signed by, and the key, as they are now.
        """
        try:
            self._last = _read(self._folder)
            self._said = ""
        except (OSError, ValueError) as error:
            if str(error) != self._said:
                log.warning("The old certificate stays in use: the new one is wrong (%s).", error)
                self._said = str(error)
        return self._last


def _read(folder: Path) -> str:
    """
    Read both files as HAProxy takes them, without an empty line, which would end its command.
    """
    certificate, key = folder / CERTIFICATE, folder / KEY
    texts = [certificate.read_text(), key.read_text()]
    # What is tried is what was read a moment ago, or newer: the next look finds what has come.
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
    lines = "\n".join(texts).splitlines()
    return "".join(f"{line}\n" for line in lines if line.strip())
