"""
Options that all tests share.
"""

import hypothesis
import pytest

# How long an example takes says more about the machine than about what is tested.
hypothesis.settings.register_profile("unhurried", deadline=None)
hypothesis.settings.load_profile("unhurried")


def pytest_addoption(parser: pytest.Parser) -> None:
    """
    Let golden files be written anew: `pytest --update-golden`.
    """
    parser.addoption("--update-golden", action="store_true", help="write the golden files anew")
