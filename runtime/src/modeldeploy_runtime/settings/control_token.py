"""Reads the file of ``--control_token_file``: a secret that requests to the control port carry."""

from pathlib import Path

from modeldeploy_runtime.flags import FlagError


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
