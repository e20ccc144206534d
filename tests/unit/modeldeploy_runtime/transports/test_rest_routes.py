"""
Reading paths.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeldeploy_runtime.servables.ids import Selector
from modeldeploy_runtime.transports.rest import errors, routes
from modeldeploy_runtime.transports.rest.routes import Kind, Refusal, Route


@pytest.mark.parametrize(
    ("method", "path", "kind", "selector"),
    [
        ("POST", "/v1/models/m:predict", Kind.PREDICT, Selector("m")),
        ("POST", "/v1/models/m/versions/07:predict", Kind.PREDICT, Selector("m", 7)),
        ("POST", "/v1/models/m/labels/a%3Ab:predict", Kind.PREDICT, Selector("m", None, "a:b")),
        ("POST", "/V1/MODELS/m:classify", Kind.CLASSIFY, Selector("m")),
        ("POST", "/v1/models/m:regress", Kind.REGRESS, Selector("m")),
        ("GET", "/v1/models/a%2Fb", Kind.STATUS, Selector("a/b")),
        ("GET", "/v1/models/a+b", Kind.STATUS, Selector("a+b")),
        ("GET", "/v1/models/m/versions/1", Kind.STATUS, Selector("m", 1)),
        ("GET", "/v1/models/m/labels/l/metadata", Kind.METADATA, Selector("m", None, "l")),
        ("HEAD", "/v1/models/m/metadata", Kind.METADATA, Selector("m")),
        ("GET", "/v1/models/metadata", Kind.STATUS, Selector("metadata")),
        ("GET", "/readyz", Kind.READYZ, Selector("")),
        ("HEAD", "/healthz", Kind.HEALTHZ, Selector("")),
        ("GET", "/monitoring/prometheus/metrics", Kind.METRICS, Selector("")),
    ],
)
def test_routes(method: str, path: str, kind: Kind, selector: Selector) -> None:
    """
    Each path means this.
    """
    assert routes.parse(method, path) == Route(kind, selector)


@given(st.sampled_from(["GET", "POST", "PUT"]), st.text(st.characters(codec="ascii")))
def test_any_path(method: str, path: str) -> None:
    """
    Any path is understood or refused with a status that has a code to be counted under.
    """
    route = routes.parse(method, f"/v1/models/{path}")
    assert isinstance(route, Route) or route.status in errors.REFUSAL_CODES


def test_refusal_names_the_methods() -> None:
    """
    A wrong method is refused with the right ones.
    """
    expected = Refusal(405, "GET is not possible at /v1/models/m:predict.", "POST")
    assert routes.parse("GET", "/v1/models/m:predict") == expected


def test_the_metrics_path_is_free() -> None:
    """
    The metrics are where one wants them, before all other paths, or nowhere.
    """
    for path in ("/m", "/v1/models/m"):
        assert routes.parse("GET", path, path) == Route(Kind.METRICS, Selector(""))
    for wanted in ("/m", ""):
        assert isinstance(routes.parse("GET", routes.METRICS_PATH, wanted), Refusal)
