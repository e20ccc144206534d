"""
Which URLs may be asked, and which addresses never.
"""

from ipaddress import ip_address

import pytest
from yarl import URL

from modeldeploy_operator.evidence.external.addresses import (
    is_entry,
    literal,
    why_forbidden,
    why_not,
)

ALLOWED = ("http://prometheus.monitoring:9090", "https://*.example.com/api/", "http://[fd00::1]")


@pytest.mark.parametrize(
    "url",
    [
        "http://prometheus.monitoring:9090/api/v1/query?query=up",
        "http://PROMETHEUS.monitoring:9090/",
        "https://a.example.com/api/x",
        "https://a.b.example.com:443/api/",
        "http://[fd00::1]/x",
    ],
)
def test_allowed_urls(url: str) -> None:
    """
    Below an entry's path, at its port; an entry may stand for all names below a domain.
    """
    assert why_not(URL(url), ALLOWED) == ""


@pytest.mark.parametrize(
    "url",
    [
        "http://prometheus.monitoring/",
        "https://prometheus.monitoring:9090/",
        "http://prometheus.monitoring.evil:9090/",
        "https://example.com/api/",
        "https://evilexample.com/api/",
        "https://a.example.com/apis",
        "https://a.example.com/other",
        "https://a.example.com.evil/api/",
    ],
)
def test_other_urls(url: str) -> None:
    """
    The sentence says who allows more, and how.
    """
    assert why_not(URL(url), ALLOWED).endswith("by the chart's value checks.allowedUrls")


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("ftp://a.example.com/api/", "is no http:// or https:// URL"),
        ("/api", "is no http:// or https:// URL"),
        ("https://user@a.example.com/api/", "may not hold a user name"),
        ("https://:secret@a.example.com/api/", "may not hold a user name"),
        ("https://a.example.com/api/%2e%2e/%2e%2e/x", "leads upwards"),
        ("https://a.example.com/api/..%2Fx", "leads upwards"),
    ],
)
def test_urls_that_hide_where_they_lead(url: str, why: str) -> None:
    """
    Neither another scheme, nor a name before the host, nor a way out of the allowed path.
    """
    refusal = why_not(URL(url), ALLOWED)
    assert why in refusal or "not among" in refusal
    assert refusal


def test_an_empty_list_allows_nothing() -> None:
    """
    And the sentence says what an administrator can do.
    """
    why = why_not(URL("http://prometheus.monitoring:9090/x"), ())
    assert why.startswith("the operator may ask no URL, so not http://prometheus.monitoring:9090")
    assert "checks.allowedUrls" in why


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("169.254.169.254", "link-local"),
        ("fe80::1", "link-local"),
        ("::ffff:169.254.169.254", "link-local"),
        ("127.0.0.1", "the operator itself"),
        ("::1", "the operator itself"),
        ("::ffff:127.0.0.9", "the operator itself"),
        ("0.0.0.0", "no server's address"),
        ("::", "no server's address"),
        ("224.0.0.1", "no server's address"),
    ],
)
def test_forbidden_addresses(address: str, words: str) -> None:
    """
    Where clouds give credentials away, and where the operator would ask itself.
    """
    assert words in why_forbidden(ip_address(address))


@pytest.mark.parametrize("address", ["10.0.0.1", "93.184.216.34", "fd00::1", "2606:2800::1"])
def test_other_addresses(address: str) -> None:
    """
    Addresses of the cluster and of the world may be asked, if their names are allowed.
    """
    assert why_forbidden(ip_address(address)) == ""


def test_hosts_that_are_addresses() -> None:
    """
    A host may be an address, with a zone behind it.
    """
    assert literal("10.0.0.1") == ip_address("10.0.0.1")
    assert literal("fe80::1%eth0") == ip_address("fe80::1")
    assert literal("example.com") is None


@pytest.mark.parametrize(
    ("entry", "good"),
    [
        ("http://prometheus.monitoring:9090", True),
        ("https://*.example.com/api/", True),
        ("https://*", False),
        ("prometheus:9090", False),
        ("https://user@example.com", False),
        ("https://example.com/?x", False),
    ],
)
def test_entries(entry: str, good: bool) -> None:  # noqa: FBT001 - a table
    """
    An entry is the beginning of a URL.
    """
    assert is_entry(entry) is good
    assert good or why_not(URL("https://example.com/"), (entry,))
