"""
Who may ask: clients show a token, and HAProxy knows its hash alone.
"""

import hashlib
import re
from collections.abc import Mapping

TOKENS_FILE = "tokens.map"

# What may stand behind "Bearer" (RFC 6750, section 2.1).
_TOKEN = re.compile(rb"[A-Za-z0-9._~+/-]+=*")
_FALLS = {
    # A browser asks without a token whether it may send one.
    "rest": "is_known or METH_OPTIONS",
    "grpc": "is_known",
}


def token_entries(files: Mapping[str, bytes]) -> dict[str, str]:
    """
    Compute the map of tokens: the SHA-256 of each, as HAProxy writes it, to its client's name.

    Args:
        files: what a mounted Secret holds, by key; white space around a token does not count, and
            what cannot be a token is left out.
    """
    tokens = {name: content.strip() for name, content in sorted(files.items())}
    return {
        hashlib.sha256(token).hexdigest().upper(): name
        for name, token in tokens.items()
        if _TOKEN.fullmatch(token)
    }


def render_access(protocol: str, tokens_file: str) -> str:
    """
    Render the rules that refuse whoever shows no known token; no server gets to see a token.
    """
    return f"""  acl is_known http_auth_bearer,sha2(256),hex,map({tokens_file}) -m found
  http-request deny status 401 default-errorfiles unless {_FALLS[protocol]}
  http-request del-header authorization"""
