"""
The tokens of a mounted Secret, which the kubelet brings up to date.
"""

import logging
from pathlib import Path

from modeldeploy_router.core.access import token_entries

log = logging.getLogger(__name__)


class TokensError(RuntimeError):
    """
    There is no token at the start, so that a router would let nobody in.
    """


class Tokens:
    """
    Reads the tokens from a folder with a file for each client.

    Raises:
        TokensError: if there is none when it is made.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._last: dict[str, str] = {}
        if not self.entries():
            raise TokensError(
                "The Secret that spec.traffic.auth.tokensSecretName names is missing or holds no "
                "token: give it a key for each client, with the token as its value."
            )

    def entries(self) -> dict[str, str]:
        """
        Read the map of tokens as it is now.
        """
        try:
            # A Secret's files are links into a folder whose name begins with two dots.
            paths = [path for path in self._folder.glob("[!.]*") if path.is_file()]
            self._last = token_entries({path.name: path.read_bytes() for path in paths})
        except OSError as error:
            # A file went between two steps; the next look finds what has come.
            log.info("The tokens cannot be read now: %s", error)
        return self._last
