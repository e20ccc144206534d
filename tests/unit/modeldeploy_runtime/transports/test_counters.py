"""
Counters that a reload is asked about.
"""

import pytest

from modeldeploy_runtime.transports.grpc.model_management import total

TEXT = """# TYPE :a:b counter
:a:b{x="1"} 2
:a:b{x="2"} 3
:a:bc 7
plain_total 1.0
"""


@pytest.mark.parametrize(
    ("name", "expected"),
    [("/a/b", 5), (":a:b", 5), (":a:bc", 7), ("plain_total", 1), (":a", None), ("/no/such", None)],
)
def test_total(name: str, expected: int | None) -> None:
    """
    A counter is found by either of its names, and its series are added up.
    """
    assert total(TEXT, name) == expected
