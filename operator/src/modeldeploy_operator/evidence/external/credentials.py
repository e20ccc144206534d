"""
Credentials from a Secret as the header that carries them. A pure module.
"""

import base64
from collections.abc import Awaitable, Callable, Mapping

from modeldeploy_operator.evidence.external.asking import AskError

KEYS = ("token", "username", "password")
"""The keys of a Secret that are looked at; no other one is."""

Secrets = Callable[[str, str], Awaitable[Mapping[str, str]]]
"""Reads these keys of the Secret of a namespace and a name; raises `AskError` where it cannot."""


def header(name: str, found: Mapping[str, str]) -> dict[str, str]:
    """
    Build the header: of a bearer token, or of a user name and a password.

    Raises:
        AskError: The Secret has neither.

    """
    if "token" in found:
        value = f"Bearer {found['token'].strip()}"
    elif "username" in found and "password" in found:
        both = f"{found['username']}:{found['password']}"
        value = f"Basic {base64.b64encode(both.encode()).decode()}"
    else:
        raise AskError(f"The Secret {name} has no key token, and not both username and password.")
    if not value.isprintable() or not value.isascii():
        raise AskError(f"What the Secret {name} holds cannot be sent in a header.")
    return {"Authorization": value}
