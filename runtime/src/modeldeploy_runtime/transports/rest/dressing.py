"""What is added to every reply, whatever was asked: who answered, for which origins, compressed."""

import asyncio
from collections.abc import Mapping
from typing import Any

from modeldeploy_runtime.transports import pins
from modeldeploy_runtime.transports.rest import compression, cors
from modeldeploy_runtime.transports.rest.handlers import Reply

_VERSION = pins.VERSION.encode()


async def dress(
    reply: Reply, scope: Mapping[str, Any], version: str, *, with_cors: bool, gzip_from: int
) -> Reply:
    """
    Add headers to a reply, and compress a body of at least so many bytes for who accepts that.

    No version means that none answered; 0 bytes mean that nothing is compressed.
    """
    headers = list(reply.headers)
    if version:
        headers.append((_VERSION, version.encode()))
    if with_cors and scope["raw_path"][:4].lower() == b"/v1/":
        headers.extend(cors.HEADERS)
    body = reply.body
    if gzip_from and len(body) >= gzip_from and compression.is_wanted(dict(scope["headers"])):
        body = await asyncio.to_thread(compression.compress, body)
        headers.extend(compression.HEADERS)
    return Reply(reply.status, body, reply.content_type, tuple(headers))
