"""
Reads paths: pure.

    GET   /v1/models
    GET   /v1/models/NAME[/versions/N|/labels/L][/metadata]
    POST  /v1/models/NAME[/versions/N|/labels/L]:predict  :classify  :regress
    OPTIONS  everything below /v1/
    GET   /  /readyz  /healthz  and the metrics' path
"""

import enum
import functools
import re
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from modeldeploy_runtime.servables import ids
from modeldeploy_runtime.servables.ids import Selector

_PLACE = r"(?:/versions/(?P<version>[^/:]+)|/labels/(?P<label>[^/:]+))?"
_POST = re.compile(
    rf"(?i:/v1/models/(?P<name>[^/:]+){_PLACE}):(?P<verb>predict|classify|regress)", re.ASCII
)
_GET = re.compile(rf"(?i:/v1/models(?:/(?P<name>[^/:]+))?{_PLACE}(?P<verb>/metadata)?)", re.ASCII)

METRICS_PATH = "/monitoring/prometheus/metrics"


class Kind(enum.Enum):
    """What a path asks for."""

    PREDICT = "predict"
    CLASSIFY = "classify"
    REGRESS = "regress"
    METADATA = "metadata"
    STATUS = "status"
    MODELS = "models"
    PREFLIGHT = "preflight"
    READYZ = "readyz"
    HEALTHZ = "healthz"
    METRICS = "metrics"
    STATUS_PAGE = "status_page"


_PLAIN = {"/": Kind.STATUS_PAGE, "/readyz": Kind.READYZ, "/healthz": Kind.HEALTHZ}


@dataclass(frozen=True, slots=True)
class Route:
    """A path that was understood."""

    kind: Kind
    selector: Selector


@dataclass(frozen=True, slots=True)
class Refusal:
    """A path that was not: the HTTP status, the reason, and the methods that would have done."""

    status: int
    message: str
    allow: str = ""


@functools.lru_cache(maxsize=1024)
def parse(method: str, path: str, metrics_path: str = METRICS_PATH) -> Route | Refusal:
    """
    Read a method and a path without its query.

    The metrics are at a path of one's choice, which goes before all others; at ``""`` they are
    nowhere.
    """
    if path == metrics_path or path in _PLAIN:
        kind = Kind.METRICS if path == metrics_path else _PLAIN[path]
        return _check(method, ("GET", "HEAD"), Route(kind, Selector("")), path)
    if not path.lower().startswith("/v1/"):
        return Refusal(404, f"There is nothing at {path}.")
    return _parse_v1(method, path)


def _parse_v1(method: str, path: str) -> Route | Refusal:
    if method == "OPTIONS":
        return Route(Kind.PREFLIGHT, Selector(""))
    if path.lower() == "/v1/models":
        return _check(method, ("GET", "HEAD"), Route(Kind.MODELS, Selector("")), path)
    if match := _POST.fullmatch(path):
        return _check(method, ("POST",), _route(match, Kind(match["verb"])), path)
    if match := _GET.fullmatch(path):
        kind = Kind.METADATA if match["verb"] else Kind.STATUS
        return _check(method, ("GET", "HEAD"), _route(match, kind), path)
    return Refusal(400, f"Malformed request: {method} {path}")


def _check(
    method: str, allowed: tuple[str, ...], route: Route | Refusal, path: str
) -> Route | Refusal:
    if method in allowed:
        return route
    return Refusal(405, f"{method} is not possible at {path}.", ", ".join(allowed))


def _route(match: re.Match[str], kind: Kind) -> Route | Refusal:
    if match["name"] is None:
        return Refusal(400, "Missing model name in request.")
    try:
        name = _decode(match["name"])
        version = None if match["version"] is None else _decode(match["version"])
        label = None if match["label"] is None else _decode(match["label"])
    except UnicodeDecodeError:
        return Refusal(400, f"Failed to decode model name:{match['name']}")
    if version is None:
        return Route(kind, Selector(name, label=label))
    if ids.is_too_large(version):
        return Refusal(400, f"Failed to convert version: {version} to numeric.")
    return Route(kind, Selector.of_version(name, version))


def _decode(text: str) -> str:
    return unquote_to_bytes(text).decode()
