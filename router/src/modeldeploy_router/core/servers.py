"""
The servers behind the router: what HAProxy calls them, and how it reaches and checks them.
"""

from dataclasses import dataclass

PROTOCOLS = ("rest", "grpc")
# Each slot has two backends for a protocol: pinned requests are counted apart, and nobody else
# answers them.
KINDS = ("", "_pinned")
UPSTREAM_PORTS = {"rest": 8501, "grpc": 8500}
SECURE_PORTS = {"rest": 8507, "grpc": 8506}

# HAProxy closes an idle connection at once to a server that was added while it runs, unless it is
# told to keep some. Few will do, and a lost node answers on none of them: each costs a request.
# Over HTTP/2 it cannot be told (ADR 0004).
IDLE_CONNECTIONS = 4

# A server that refuses a connection is out at once, and back within 100 ms of its recovery.
# Only connections count: an answer with status 500 is the model's answer, not a dead server.
SERVER_OPTIONS = {
    kind: f"check inter {inter} fastinter 500ms downinter 100ms rise 1 fall 3"
    " observe layer4 error-limit 1 on-error mark-down"
    for kind, inter in zip(KINDS, ("2s", "5s"), strict=True)
}


@dataclass(frozen=True, slots=True)
class Trust:
    """
    How servers are known that encrypt: by who has signed their certificate, and for which host.
    """

    file: str
    host: str

    @property
    def arguments(self) -> str:
        """
        Return what makes a connection encrypted, and the server's certificate a condition of it.
        """
        return f"ssl check-ssl verify required ca-file {self.file} verifyhost {self.host}"


def render_trust(trust: Trust) -> str:
    """
    Render a backend that nobody uses: HAProxy reads such a file at its start, and then alone.
    """
    return f"backend trusted\n  server none 127.0.0.1:1 {trust.arguments} disabled\n"


def server_name(address: str, *, is_secure: bool = False) -> str:
    """
    Return the name of the server for an address.

    It is made of the address alone, so that an endpoint has the same name whether DNS or the API
    told of it; one that encrypts is another server than one that does not.

    >>> server_name("10.0.0.5"), server_name("fd00::5", is_secure=True)
    ('ip-10.0.0.5', 'tls-fd00_5')
    """
    kind = "tls" if is_secure else "ip"
    return f"{kind}-" + address.replace("::", "_").replace(":", "-")


def backend_name(protocol: str, slot: str, kind: str = "") -> str:
    """
    Return the name of a backend.

    >>> backend_name("rest", "a"), backend_name("grpc", "b", "_pinned")
    ('rest_a', 'grpc_b_pinned')
    """
    return f"{protocol}_{slot}{kind}"


def server_arguments(
    protocol: str, address: str, kind: str = "", trust: Trust | None = None
) -> str:
    """
    Return what `add server` needs besides the name, for one endpoint; with `trust` it encrypts.

    >>> server_arguments("rest", "10.0.0.5").split(" check ")[0]
    '10.0.0.5:8501'
    """
    host = f"[{address}]" if ":" in address else address
    ports = SECURE_PORTS if trust else UPSTREAM_PORTS
    options = f"{trust.arguments} {SERVER_OPTIONS[kind]}" if trust else SERVER_OPTIONS[kind]
    place = f"{host}:{ports[protocol]}"
    if protocol == "rest":
        return f"{place} pool-max-conn {IDLE_CONNECTIONS} pool-purge-delay 5s {options}"
    alpn = " alpn h2" if trust else ""
    return f"{place} proto h2{alpn} {options} port {ports['rest']} check-proto h1"
