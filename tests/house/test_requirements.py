"""
Each row of the mission that is claimed has a test, and each test names a row that exists.
"""

import ast
from collections.abc import Iterator

import requirements
from house import repository


def _marked() -> Iterator[tuple[str, str]]:
    """
    Find the markers in the committed tests: file and row.
    """
    for name in repository.modules():
        if not name.startswith("tests/"):
            continue
        for node in ast.walk(ast.parse(repository.text(name))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr == "requirement"
            ):
                yield from ((name, str(ast.literal_eval(argument))) for argument in node.args)


def test_every_marker_names_a_row() -> None:
    """
    A marker that names no row of tests/requirements.py proves nothing.
    """
    assert [found for found in _marked() if found[1] not in requirements.ROWS] == []


def test_every_row_has_a_test() -> None:
    """
    A row is claimed once a test shows it.
    """
    assert set(requirements.ROWS) - {row for _, row in _marked()} == set()


def test_every_row_is_a_sentence() -> None:
    """
    What a row promises can be read.
    """
    assert all(sentence.endswith(".") for sentence in requirements.ROWS.values())
