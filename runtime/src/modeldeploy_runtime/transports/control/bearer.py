"""The secret that a request to the control port carries."""

import hmac
import logging
from collections.abc import Mapping
from pathlib import Path

from modeldeploy_runtime.flags import FlagError

_SCHEME = b"bearer "

_log = logging.getLogger(__name__)


class Bearer:
    """Compares with a file that is read at each request, so that it may be replaced."""

    def __init__(self, file: str) -> None:
        """
        Begin to guard.

        Raises:
            FlagError: The file cannot be read, or holds no secret.
        """
        read(file)
        self._file = file

    def admits(self, headers: Mapping[bytes, bytes]) -> bool:
        """Tell whether a request carries the secret; nobody does while it cannot be read."""
        given = headers.get(b"authorization", b"")
        try:
            secret = read(self._file).encode()
        except FlagError as error:
            _log.warning("The control port admits nobody: %s", error)
            return False
        is_bearer = given[: len(_SCHEME)].lower() == _SCHEME
        return is_bearer and hmac.compare_digest(given[len(_SCHEME) :].strip(), secret)


def read(file: str) -> str:
    """
    Read the secret; white space around it does not count.

    Raises:
        FlagError: The file cannot be read, or holds nothing that a header can carry.
    """
    try:
        secret = Path(file).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise FlagError(f"--control_token_file cannot be read: {error}") from error
    if not secret or not secret.isascii() or not secret.isprintable() or " " in secret:
        raise FlagError(f"--control_token_file must hold one word of printable ASCII: {file}")
    return secret
