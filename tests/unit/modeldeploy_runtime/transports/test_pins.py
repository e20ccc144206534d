"""
Pins by header: they choose where nobody else does, and contradict nobody.
"""

import pytest

from modeldeploy_runtime.servables.errors import InvalidArgumentError
from modeldeploy_runtime.servables.ids import Selector
from modeldeploy_runtime.transports import pins

VERSION, LABEL, PIN = pins.VERSION, pins.LABEL, pins.PIN


@pytest.mark.parametrize(
    ("named", "headers", "expected"),
    [
        (Selector("m"), [], Selector("m")),
        (Selector("m"), [("user-agent", "x")], Selector("m")),
        (Selector("m"), [(VERSION, "3")], Selector("m", version=3)),
        (Selector("m"), [(VERSION, "003")], Selector("m", version=3)),
        (Selector("m"), [(LABEL, "canary")], Selector("m", label="canary")),
        (Selector("m"), [(VERSION, "3"), (VERSION, "3")], Selector("m", version=3)),
        (Selector("m", version=3), [(VERSION, "3")], Selector("m", version=3)),
        (Selector("m", label="a"), [(LABEL, "a")], Selector("m", label="a")),
        (Selector("m", label="a"), [(PIN, "7 a")], Selector("m", version=7)),
        (Selector("m"), [(LABEL, "a"), (PIN, "7 a")], Selector("m", version=7)),
        (Selector("m", label="b"), [(PIN, "7 a")], Selector("m", label="b")),
        (Selector("m"), [(PIN, "7 a")], Selector("m")),
        (Selector("m", label="a"), [(PIN, "7")], Selector("m", label="a")),
        (Selector("m"), [(VERSION, "spring")], Selector.of_version("m", "spring")),
        (Selector("m", label="spring"), [(VERSION, "spring")], Selector("m", label="spring")),
        (
            Selector.of_version("m", "spring"),
            [(LABEL, "spring")],
            Selector.of_version("m", "spring"),
        ),
    ],
)
def test_choice(named: Selector, headers: list[tuple[str, str]], expected: Selector) -> None:
    """
    A header chooses where the request does not, and may repeat what it says.
    """
    assert pins.choose(named, headers) == expected


@pytest.mark.parametrize(
    ("named", "headers", "message"),
    [
        (
            Selector("m", version=2),
            [(VERSION, "3")],
            "The request asks for version 2 and for version 3; it may ask for one only.",
        ),
        (
            Selector("m", label="a"),
            [(VERSION, "3")],
            'The request asks for the label "a" and for version 3; it may ask for one only.',
        ),
        (
            Selector("m"),
            [(VERSION, "3"), (LABEL, "a")],
            'The request asks for version 3 and for the label "a"; it may ask for one only.',
        ),
        (
            Selector("m", label="3"),
            [(VERSION, "3")],
            'The request asks for the label "3" and for version 3; it may ask for one only.',
        ),
        (
            Selector.of_version("m", "spring"),
            [(VERSION, "summer")],
            "The request asks for version spring and for version summer; it may ask for one only.",
        ),
        (
            Selector("m"),
            [(VERSION, "")],
            'x-model-version must be the number or name of a version, not "".',
        ),
        (
            Selector("m"),
            [(VERSION, str(1 << 63))],
            'x-model-version must be the number or name of a version, not "9223372036854775808".',
        ),
    ],
)
def test_contradictions(named: Selector, headers: list[tuple[str, str]], message: str) -> None:
    """
    A request that asks for two versions is refused, and so is a version that can be none.
    """
    with pytest.raises(InvalidArgumentError) as caught:
        pins.choose(named, headers)
    assert caught.value.message == message
