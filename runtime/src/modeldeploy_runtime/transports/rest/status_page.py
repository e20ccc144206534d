"""
The page at ``/``: what the server serves, for people.

It is one file without anything from elsewhere, and asks the routes that everybody may ask.  Its
Content-Security-Policy names the very style and script that it holds, so that nothing else runs,
whatever a model is called.
"""

import base64
import hashlib
import html
import re
from importlib import resources

from modeldeploy_runtime.transports.rest.handlers import Reply

FILE = "status_page.html"


def reply(metrics_path: str) -> Reply:
    """Make the answer to ``GET /``; the page reads rates at ``metrics_path``, if there is one."""
    text = resources.files(__package__).joinpath(FILE).read_text(encoding="utf-8")
    page = text.replace("{{metrics_path}}", html.escape(metrics_path)).encode()
    headers = (
        (b"content-security-policy", policy(page)),
        (b"x-content-type-options", b"nosniff"),
        (b"referrer-policy", b"no-referrer"),
        (b"cache-control", b"no-cache"),
    )
    return Reply(200, page, b"text/html; charset=utf-8", headers)


def policy(page: bytes) -> bytes:
    """
    Write the Content-Security-Policy that lets a page use its own style and script alone.

    >>> policy(b"<style></style><script></script>").split(b"; ")[0]
    b"default-src 'none'"
    """
    return b"; ".join(
        (
            b"default-src 'none'",
            b"style-src " + _hash(page, b"style"),
            b"script-src " + _hash(page, b"script"),
            b"connect-src 'self'",
            b"img-src data:",
            b"base-uri 'none'",
            b"form-action 'none'",
            b"frame-ancestors 'none'",
        )
    )


def _hash(page: bytes, tag: bytes) -> bytes:
    [content] = re.findall(rb"<%b>(.*?)</%b>" % (tag, tag), page, re.DOTALL)
    return b"'sha256-" + base64.b64encode(hashlib.sha256(content).digest()) + b"'"
