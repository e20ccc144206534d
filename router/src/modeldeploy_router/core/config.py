"""
HAProxy's configuration, written once when HAProxy starts, and never changed after that.

All that changes goes over the runtime socket: one map says which slot is stable, which is canary,
and how much the canary gets; servers are added to and removed from the backends of the slots.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from modeldeploy_router.core.access import TOKENS_FILE, render_access
from modeldeploy_router.core.choice import (
    FALLBACK_HEADER,
    LUA_FILE,
    SPLIT,
    VERSION_HEADER,
    render_choice,
    render_named,
)
from modeldeploy_router.core.errors import NOT_GRPC_FILE, router_errors
from modeldeploy_router.core.routing import SLOTS
from modeldeploy_router.core.servers import (
    KINDS,
    PROTOCOLS,
    Trust,
    backend_name,
    render_trust,
    server_arguments,
    server_name,
)

FALLBACK = "fallback"
BUFFER_BYTES = 65_536
_ALPN = {"rest": "h2,http/1.1", "grpc": "h2"}


@dataclass(frozen=True, slots=True)
class Frame:
    """
    What the configuration depends on.

    `asks_tokens` tells whether clients must show one, `is_encrypted` whether they come by TLS;
    `trust` is how servers are known that encrypt.
    """

    run: str
    threads: int
    max_connections: int
    drain_seconds: float
    stop_seconds: float
    asks_tokens: bool = False
    is_encrypted: bool = False
    trust: Trust | None = None

    @property
    def map_file(self) -> str:
        """
        Return the file that gives the routing map its name, and its first entries.
        """
        return f"{self.run}/routing.map"

    @property
    def tokens_file(self) -> str:
        """
        Return the file that gives the map of tokens its name, and its first entries.
        """
        return f"{self.run}/{TOKENS_FILE}"

    @property
    def certificate_file(self) -> str:
        """
        Return the file that gives the certificate and its key their name, and their first text.
        """
        return f"{self.run}/certificate.pem"

    @property
    def socket(self) -> str:
        """
        Return the path of HAProxy's runtime socket.
        """
        return f"{self.run}/haproxy.sock"


@dataclass(frozen=True, slots=True)
class Content:
    """
    What HAProxy starts with: a new router with tokens and certificate, another with all it knows.

    `entries` is the routing map, `servers` the addresses by slot, `secure` the slots whose servers
    encrypt, and `certificate` stands with its key.
    """

    entries: Mapping[str, str] = field(default_factory=dict)
    servers: Mapping[str, frozenset[str]] = field(default_factory=dict)
    secure: frozenset[str] = frozenset()
    tokens: Mapping[str, str] = field(default_factory=dict)
    certificate: str = ""


def map_text(entries: Mapping[str, str]) -> str:
    """
    Write a map as HAProxy reads it from a file: a key and its value on each line.
    """
    return "".join(f"{key} {value}\n" for key, value in entries.items())


def render_config(frame: Frame, listeners: Mapping[str, int], content: Content) -> str:
    """
    Render the whole configuration.

    Args:
        frame: what stays the same for the router's life.
        listeners: the file descriptors of the listening sockets, by protocol.
        content: the servers to start with.
    """
    parts = [_global(frame), _defaults(), _errors(frame)]
    for protocol in PROTOCOLS:
        parts += [_frontend(frame, protocol, listeners[protocol]), _fallback(frame, protocol)]
        for slot in SLOTS:
            trust = frame.trust if slot in content.secure else None
            for kind in KINDS:
                servers = _servers(protocol, kind, content.servers.get(slot, ()), trust)
                parts.append(_backend(frame, protocol, slot, kind, servers))
    parts.append("backend grpc_failures\n  stick-table type string len 16 size 1k store gpc0\n")
    if frame.trust:
        parts.append(render_trust(frame.trust))
    return "\n".join(parts)


def _global(frame: Frame) -> str:
    return f"""global
  nbthread {frame.threads}
  maxconn {frame.max_connections}
  stats socket {frame.socket} mode 600 level admin
  stats timeout 1m
  grace {round(frame.drain_seconds * 1000)}ms
  hard-stop-after {round((frame.drain_seconds + frame.stop_seconds) * 1000)}ms
  tune.bufsize {BUFFER_BYTES}
  lua-load {frame.run}/{LUA_FILE}
  ssl-default-bind-options ssl-min-ver TLSv1.2
"""


def _defaults() -> str:
    # Predictions may take minutes, so the server's time is long; a lost peer is found by keep-alive
    # probes and checks.
    return """defaults
  mode http
  balance roundrobin
  http-reuse safe
  option clitcpka
  option srvtcpka
  srvtcpka-idle 10s
  srvtcpka-intvl 5s
  srvtcpka-cnt 3
  timeout connect 1500ms
  timeout check 4s
  timeout http-request 30s
  timeout http-keep-alive 15m
  timeout client 15m
  timeout server 10m
  timeout queue 30s
  retries 5
  option redispatch 1
  retry-on conn-failure empty-response
"""


def _errors(frame: Frame) -> str:
    lines = []
    for protocol in PROTOCOLS:
        lines.append(f"http-errors {protocol}")
        lines += [
            f"  errorfile {error.status} {frame.run}/{protocol}-{error.status}.http"
            for error in router_errors("")
        ]
    return "\n".join(lines) + "\n"


def _frontend(frame: Frame, protocol: str, listener: int) -> str:
    tls = f" ssl crt {frame.certificate_file} alpn {_ALPN[protocol]}" if frame.is_encrypted else ""
    return f"""frontend {protocol}
  bind fd@{listener}{tls}
  errorfiles {protocol}
{_refusals(frame, protocol)}
  http-after-response set-header connection close if {{ stopping }}
{render_choice(protocol, frame.map_file)}"""


def _refusals(frame: Frame, protocol: str) -> str:
    """
    Render what comes before the split: refusals, and the wait for the body.

    The whole of a small request is waited for before it is sent on, since only such a request can
    be sent a second time.
    The map is read after that, so that a request that trickles in goes by the newest weight.
    """
    access = render_access(protocol, frame.tokens_file) if frame.asks_tokens else ""
    if protocol == "rest":
        return f"""{access}
  http-request deny status 404 default-errorfiles unless {{ path_beg -i /v1/ }}
  http-request wait-for-body time 30s if METH_POST"""
    kind = f"content-type application/json file {frame.run}/{NOT_GRPC_FILE}"
    return f"""  acl is_grpc req.hdr(content-type) -m beg application/grpc
  acl is_reload path /tensorflow.serving.ModelService/HandleReloadConfigRequest
  http-request return status 415 {kind} unless is_grpc
{access}
  http-request deny status 403 default-errorfiles if is_reload
  http-request wait-for-body time 30s unless {{ path_beg /grpc.reflection. }}"""


def _fallback(frame: Frame, protocol: str) -> str:
    """
    Render the way to stable for requests that no server of their slot can take.

    Each backend has one static backup server that leads here.
    So a request whose canary died under it, and is tried again, may still be answered by stable;
    and one of a dead stable by a canary that has traffic. Nobody comes here twice.
    """
    mux = " proto h2" if protocol == "grpc" else ""
    binds = "\n".join(
        f"  bind unix@{_fallback_socket(frame, protocol, slot)} mode 600 name {slot}{mux}"
        for slot in SLOTS
    )
    return f"""frontend {protocol}_{FALLBACK}
{binds}
  errorfiles {protocol}
  http-request wait-for-body time 30s
  acl is_second req.hdr({FALLBACK_HEADER}) -m found
  http-request deny status 503 default-errorfiles if is_second
  http-request set-header {FALLBACK_HEADER} 1
  http-request set-var(txn.split) str({SPLIT}),map({frame.map_file})
  http-request set-var(txn.slot) var(txn.split),field(1,:)
  acl from_stable so_name,strcmp(txn.slot) -m int 0
  acl has_canary var(txn.split),field(3,:),add(0) -m int gt 0
  http-request deny status 503 default-errorfiles if from_stable !has_canary
  http-request set-var(txn.slot) var(txn.split),field(2,:) if from_stable
  http-request deny status 503 default-errorfiles unless {{ var(txn.slot) -m len gt 0 }}
  http-request del-header {VERSION_HEADER}
{render_named(frame.map_file)}
  use_backend {protocol}_%[var(txn.slot)]
"""


def _fallback_socket(frame: Frame, protocol: str, slot: str) -> str:
    return f"{frame.run}/{FALLBACK}-{protocol}-{slot}.sock"


def _servers(protocol: str, kind: str, addresses: Iterable[str], trust: Trust | None) -> list[str]:
    name = partial(server_name, is_secure=trust is not None)
    return [
        f"  server {name(address)} {server_arguments(protocol, address, kind, trust)}"
        for address in sorted(addresses)
    ]


def _backend(frame: Frame, protocol: str, slot: str, kind: str, servers: Sequence[str]) -> str:
    mux = " proto h2" if protocol == "grpc" else ""
    version = " ver HTTP/1.1 hdr host modeldeploy-router"
    lines = [
        f"backend {backend_name(protocol, slot, kind)}",
        "  option httpchk",
        f'  http-check send meth GET uri-lf "%[str({slot}),map({frame.map_file},/)]"{version}',
        "  http-check expect status 200",
        '  http-check expect rstring "\\"state\\": *\\"AVAILABLE\\""',
        *servers,
    ]
    if kind:
        return "\n".join(lines) + "\n"
    lines.append(f"  server {FALLBACK} unix@{_fallback_socket(frame, protocol, slot)}{mux} backup")
    if protocol == "grpc":
        # HAProxy counts an answer by its HTTP status, which is 200 for a failed call too.
        lines += [
            "  acl at_fault res.hdr(grpc-status) -m str 2 4 8 12 13 14 15",
            f"  acl by_stable srv_name -m str {FALLBACK}",
            "  http-response track-sc0 be_name table grpc_failures if at_fault !by_stable",
            "  http-response sc-inc-gpc0(0) if at_fault !by_stable",
        ]
    return "\n".join(lines) + "\n"
