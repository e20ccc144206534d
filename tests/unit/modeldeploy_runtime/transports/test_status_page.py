"""
The answer at ``/``: a page that may run its own style and script and nothing else.
"""

import base64
import hashlib
import re

import pytest

from modeldeploy_runtime.transports.rest import handlers, status_page


def test_the_policy_names_what_the_page_holds() -> None:
    """
    The hashes are those of the style and the script as they are sent.
    """
    reply = status_page.reply("/metrics")
    policy = dict(reply.headers)[b"content-security-policy"].decode()
    for tag in ("style", "script"):
        [content] = re.findall(f"<{tag}>(.*?)</{tag}>".encode(), reply.body, re.DOTALL)
        expected = base64.b64encode(hashlib.sha256(content).digest()).decode()
        assert f"{tag}-src 'sha256-{expected}'" in policy
    assert b"{{" not in reply.body


def test_a_path_is_no_markup() -> None:
    """
    Whatever the metrics' path is, it stays inside its attribute.
    """
    body = status_page.reply('/a"><script>').body
    assert b'content="/a&quot;&gt;&lt;script&gt;"' in body


@pytest.mark.parametrize(
    ("query", "names"),
    [
        (b"", set()),
        (b"a=b", set()),
        (b"name[]=x&name%5B%5D=y", {"x", "y"}),
        (b"name[]=%ff", {"\ufffd"}),
    ],
)
def test_metrics_are_asked_for_by_name(query: bytes, names: set[str]) -> None:
    """
    ``name[]`` may be given several times, plainly or percent-encoded.
    """
    assert handlers.wanted_metrics(query) == names
