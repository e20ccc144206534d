"""
Options that all tests share.
"""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """
    Let golden files be written anew: `pytest --update-golden`.
    """
    parser.addoption("--update-golden", action="store_true", help="write the golden files anew")
