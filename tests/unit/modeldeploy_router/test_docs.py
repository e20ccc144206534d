"""
What the router's README lists is what the code has.
"""

import re
from pathlib import Path

from modeldeploy_router.core import report

README = Path(__file__).resolve().parents[3] / "router" / "README.md"


def test_every_metric_is_documented() -> None:
    """
    The names in the README's table are those that are rendered.
    """
    empty = report.Report(routing=None, ready={}, servers={}, totals={}, started="")
    rendered = set(re.findall(r"# TYPE (\S+)", report.metrics_text(empty)))
    told = set(re.findall(r"^\| `(modeldeploy_router_\w+)`", README.read_text(), re.MULTILINE))
    assert told == rendered
