"""
Whoever makes an exception from a rule says why, on the same line.
"""

import re

import pytest

from house import repository

EXCEPTION = re.compile(
    r"#\s*(?:noqa(?::\s*[A-Z]+\d+(?:,\s*[A-Z]+\d+)*)?|type:\s*ignore(?:\[[\w,-]+\])?"
    r"|pragma:\s*no cover)(?P<reason>.*)$"
)


@pytest.mark.parametrize("name", repository.modules())
def test_an_exception_in_the_code_has_its_reason(name: str) -> None:
    """
    Each `noqa`, `type: ignore` and `no cover` is followed by a reason.
    """
    without = [
        f"{name}:{number}"
        for number, line in enumerate(repository.text(name).splitlines(), 1)
        if (match := EXCEPTION.search(line)) and not re.search(r"\w", match["reason"])
    ]
    assert not without


def test_an_exception_in_the_configuration_has_its_reason() -> None:
    """
    Each rule that is left out for a folder or for all of them is explained beside it.
    """
    text = repository.text("pyproject.toml")
    lists = re.findall(r'^(?:ignore|"[\w*/]+") = \[\n(.*?)^\]', text, re.MULTILINE | re.DOTALL)
    lines = [line for block in lists for line in block.splitlines()]
    assert len(lines) > 20
    assert not [line for line in lines if not re.search(r'^\s+"[A-Z]+\d+",\s+# \S+ \S+', line)]
