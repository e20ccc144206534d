"""
Which URLs and addresses may be asked. A pure module.

Whoever may write a ModelDeployment may have the operator send requests from where it stands, so
that an administrator says where to.
"""

import re
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address

from yarl import URL

_ENTRY = re.compile(
    r"^(?P<scheme>https?)://(?P<host>(\*\.)?[A-Za-z0-9._-]+|\[[0-9a-fA-F:]+\])"
    r"(:(?P<port>\d{1,5}))?(?P<path>/[^?#\s]*)?$"
)
_PORTS = {"http": 80, "https": 443}

Address = IPv4Address | IPv6Address


def is_entry(text: str) -> bool:
    """
    Tell whether a text can stand in the list of allowed URLs.
    """
    return _ENTRY.match(text) is not None


def why_not(url: URL, allowed: Sequence[str]) -> str:
    """
    Say why a URL may not be asked; nothing where it may.
    """
    if url.scheme not in _PORTS or not url.host:
        return f"{url} is no http:// or https:// URL"
    if url.user is not None or url.password is not None:
        return "a URL may not hold a user name; name a Secret in secretName"
    if ".." in url.path.split("/"):
        return f"the path of {url} leads upwards"
    if not allowed:
        return (
            f"the operator may ask no URL, so not {url.origin()} either; an administrator allows "
            "URLs by the chart's value checks.allowedUrls"
        )
    if any(_covers(entry, url) for entry in allowed):
        return ""
    return (
        f"{url.origin()}{url.path} is not among the URLs that the operator may ask; an "
        "administrator allows more by the chart's value checks.allowedUrls"
    )


def _covers(entry: str, url: URL) -> bool:
    match = _ENTRY.match(entry)
    if match is None or match["scheme"] != url.scheme:
        return False
    port = int(match["port"] or _PORTS[url.scheme])
    path = (match["path"] or "/").rstrip("/")
    below = url.path == path or url.path.startswith(f"{path}/")
    host = (url.host or "").lower().rstrip(".")
    return port == url.port and below and _names(match["host"].strip("[]").lower(), host)


def _names(pattern: str, host: str) -> bool:
    if pattern.startswith("*."):
        return host.endswith(pattern[1:])
    return host == pattern


def why_forbidden(address: Address) -> str:
    """
    Say why an address may never be asked, whatever its name; nothing where it may.

    Clouds give credentials away at link-local addresses, and at loopback the operator asks itself.
    """
    mapped = getattr(address, "ipv4_mapped", None)
    if mapped is not None:
        return why_forbidden(mapped)
    if address.is_link_local:
        return f"{address} is a link-local address"
    if address.is_loopback:
        return f"{address} is the operator itself"
    if address.is_unspecified or address.is_multicast:
        return f"{address} is no server's address"
    return ""


def literal(host: str) -> Address | None:
    """
    Read a host that is an address; None where it is a name.
    """
    try:
        return ip_address(host.partition("%")[0])
    except ValueError:
        return None
