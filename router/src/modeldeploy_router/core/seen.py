"""
What HAProxy says about itself on the runtime socket, as values.
"""

import csv
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from modeldeploy_router.core.config import FALLBACK


@dataclass(frozen=True, slots=True)
class Server:
    """
    One server of a backend.

    `out`: taken out by hand; `up`: gets traffic; `checked`: its health check has answered.
    """

    out: bool
    up: bool
    checked: bool


@dataclass(frozen=True, slots=True)
class Seen:
    """
    HAProxy's present state: the servers by backend and name, and the routing map.
    """

    servers: dict[str, dict[str, Server]] = field(default_factory=dict)
    entries: dict[str, str] = field(default_factory=dict)


def servers_in(rows: Iterable[Mapping[str, str]]) -> dict[str, dict[str, Server]]:
    """
    Find the servers that are ours to add and remove, by backend and name.
    """
    servers: dict[str, dict[str, Server]] = {}
    for row in rows:
        name = row["svname"]
        if name in ("FRONTEND", "BACKEND", FALLBACK):
            continue
        servers.setdefault(row["pxname"], {})[name] = Server(
            out=row["status"].startswith("MAINT"),
            up=row["status"].startswith("UP"),
            checked=row.get("check_status", "").strip("* ") not in ("", "INI"),
        )
    return servers


def stat_rows(text: str) -> Iterator[dict[str, str]]:
    """
    Read the comma-separated table that `show stat` prints.
    """
    yield from csv.DictReader(text.strip().removeprefix("# ").splitlines())


def parse_map(text: str) -> dict[str, str]:
    """
    Read `show map`: a reference, a key and a value on each line.

    >>> parse_map("0x55d0 split a:b:1000:7")
    {'split': 'a:b:1000:7'}
    """
    entries = {}
    for line in text.splitlines():
        fields = line.split(" ", 2)
        if len(fields) == 3:
            entries[fields[1]] = fields[2]
    return entries


def parse_table(text: str) -> dict[str, int]:
    r"""
    Read `show table` of a table that stores `gpc0`, by key.

    >>> parse_table("# table: t, type: string\n0x1: key=grpc_a use=0 exp=0 gpc0=5")
    {'grpc_a': 5}
    """
    counts = {}
    for line in text.splitlines():
        fields = dict(f.split("=", 1) for f in line.split() if "=" in f)
        if "key" in fields:
            counts[fields["key"]] = int(fields.get("gpc0", "0"))
    return counts
