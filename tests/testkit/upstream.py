"""
A small model server for the router's tests: real sockets, REST and gRPC, and no model.

`python -m testkit.upstream --address 127.0.1.1 --model mnist --version 1` answers every predict
with its version and address.
Requests steer it by headers (metadata over gRPC): `x-test-delay` seconds before the answer,
`x-test-status` another HTTP status,
`x-test-code` a gRPC status.
It runs as a process of its own, so that a test can kill it as a cluster kills a pod.
"""

import argparse
import asyncio
import json
import signal
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

REASONS = {200: "OK", 404: "Not Found", 500: "Internal Server Error", 503: "Service Unavailable"}


@dataclass(frozen=True, slots=True)
class Identity:
    """
    What this server says that it serves, and where.

    Several versions are separated by commas; a request that names none gets the last of them.
    """

    model: str
    version: str
    address: str
    state: str
    failing: bool = False

    def status(self, path: str) -> tuple[int, dict[str, Any]]:
        """
        Answer a status request as TensorFlow Serving does.
        """
        root, _, version = path.rpartition("/versions/")
        if root != f"/v1/models/{self.model}" or version not in self.version.split(","):
            return 404, {"error": f"Could not find {path}"}
        status = {"error_code": "OK", "error_message": ""}
        return 200, {
            "model_version_status": [
                {"version": version, "state": self.state, "status": status},
            ],
        }

    def prediction(self, path: str, headers: Mapping[str, str]) -> dict[str, Any]:
        """
        Answer a predict with who answered it, and what the router said of it.
        """
        pin = headers.get("x-modeldeploy-pin", "")
        asked = headers.get("x-model-version", "")
        version = asked or self.version.rpartition(",")[2]
        answer = {"version": version, "named": asked, "address": self.address}
        answer |= {"path": path, "pin": pin}
        return answer | {"authorization": headers.get("authorization", "")}


async def read_request(reader: asyncio.StreamReader) -> tuple[str, str, dict[str, str], bytes]:
    """
    Read one HTTP/1.1 request with a content length.
    """
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    line, *rest = head.split("\r\n")
    method, path, _ = line.split(" ")
    headers = {k.lower(): v.strip() for k, _, v in (item.partition(":") for item in rest if item)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return method, path, headers, body


async def answer(identity: Identity, method: str, path: str, headers: Mapping[str, str]) -> bytes:
    """
    Compute one whole HTTP/1.1 response.
    """
    await asyncio.sleep(float(headers.get("x-test-delay", "0")))
    status, body = 200, identity.prediction(path, headers)
    if method == "GET":
        status, body = identity.status(path)
    status = int(
        headers.get("x-test-status", 500 if identity.failing and method == "POST" else status)
    )
    content = json.dumps(body, indent=2).encode()
    head = (
        f"HTTP/1.1 {status} {REASONS[status]}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


async def serve_rest(identity: Identity, port: int, certificate: str) -> asyncio.Server:
    """
    Serve REST with keep-alive connections.
    """
    context = None
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                method, path, headers, _ = await read_request(reader)
                writer.write(await answer(identity, method, path, headers))
                await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            writer.close()

    return await asyncio.start_server(connected, identity.address, port, limit=1 << 20, ssl=context)


async def serve_grpc(identity: Identity, port: int, certificate: bytes) -> Any:
    """
    Serve every gRPC method there is: the request's bytes are not looked at.
    """

    async def handle(_request: bytes, context: Any) -> bytes:
        headers = dict(context.invocation_metadata())
        await asyncio.sleep(float(headers.get("x-test-delay", "0")))
        code = int(headers.get("x-test-code", 13 if identity.failing else 0))
        if code:
            codes = {code.value[0]: code for code in grpc.StatusCode}
            await context.abort(codes[code], "as the test asked")
        return json.dumps(identity.prediction("", headers)).encode()

    class Everything(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpc has no types
        """
        One handler for all methods.
        """

        def service(self, _call: Any) -> Any:
            return grpc.unary_unary_rpc_method_handler(handle)

    limits = [("grpc.max_receive_message_length", -1), ("grpc.so_reuseport", 0)]
    server = grpc.aio.server(options=limits)
    server.add_generic_rpc_handlers((Everything(),))
    place = f"{identity.address}:{port}"
    if certificate:
        pairs = [(certificate, certificate)]
        server.add_secure_port(place, grpc.ssl_server_credentials(pairs))
    else:
        server.add_insecure_port(place)
    await server.start()
    return server


async def serve(
    identity: Identity, rest_port: int, grpc_port: int, certificate: str, pem: bytes
) -> None:
    """
    Serve until SIGTERM, then finish what is in flight.
    """
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    rest = await serve_rest(identity, rest_port, certificate)
    rpc = await serve_grpc(identity, grpc_port, pem)
    print(f"serving {identity}", flush=True)  # noqa: T201  the test waits for this line
    await stopped.wait()
    rest.close()
    await rpc.stop(grace=5)


def main() -> None:
    """
    Read the flags and serve.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--address", required=True)
    parser.add_argument("--model", default="mnist")
    parser.add_argument("--version", required=True)
    parser.add_argument("--state", default="AVAILABLE")
    parser.add_argument("--rest_port", type=int, default=8501)
    parser.add_argument("--grpc_port", type=int, default=8500)
    parser.add_argument("--failing", action="store_true", help="fail every prediction")
    parser.add_argument("--certificate", default="", help="a file with key and certificate")
    flags = parser.parse_args()
    identity = Identity(flags.model, flags.version, flags.address, flags.state, flags.failing)
    file = flags.certificate
    pem = Path(file).read_bytes() if file else b""
    asyncio.run(serve(identity, flags.rest_port, flags.grpc_port, file, pem))


if __name__ == "__main__":
    main()
