"""
What of the API client can be tested without a server; the rest is shown by the contract tests.
"""

from hypothesis import given
from hypothesis import strategies as st

from modeldeploy_router.shell.kube import LONGEST_PAUSE, pause_before


@given(st.integers(min_value=1, max_value=100_000))
def test_pauses_are_bounded(attempt: int) -> None:
    """
    However long the API server is away, a router tries again within seconds, and never at once.
    """
    assert 0.1 <= pause_before(attempt) <= LONGEST_PAUSE
