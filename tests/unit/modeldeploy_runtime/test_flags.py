"""
Flags, written as TensorFlow Serving's users write them.
"""

from dataclasses import dataclass

import pytest

from modeldeploy_runtime import flags
from modeldeploy_runtime.flags import Duration, FlagError, flag


@dataclass(frozen=True, slots=True)
class _Flags:
    name: str
    port: int = 8500
    fast: bool = False
    wait: Duration = Duration(1)  # noqa: RUF009 - a float, and immutable


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--name=a"], _Flags("a")),
        (["--name", "a", "--port", "1"], _Flags("a", 1)),
        (["--name=a", "--fast"], _Flags("a", fast=True)),
        (["--name=a", "--fast=false"], _Flags("a", fast=False)),
        (["--name=a=b", "--fast", "--port=2"], _Flags("a=b", 2, fast=True)),
        (["--name="], _Flags("")),
        (["--name=a", "--wait=1500ms"], _Flags("a", wait=Duration(1.5))),
        (["--name=a", "--wait", "2m"], _Flags("a", wait=Duration(120))),
        (["--name=a", "--name=b"], _Flags("b")),
        (["--fast", "true", "--name=a"], _Flags("a", fast=True)),
        (["--fast", "false", "--name=a"], _Flags("a", fast=False)),
    ],
)
def test_right(arguments: list[str], expected: _Flags) -> None:
    """
    Values stand behind an equals sign or a space, and a bare boolean is true.
    """
    assert flags.parse(arguments, _Flags) == expected


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "--name is needed."),
        (["--name"], "--name needs a value."),
        (["--name=a", "--part=1"], "Is --port meant?"),
        (["--name=a", "--fast=perhaps"], '--fast must be true or false, not "perhaps".'),
        (["--name=a", "--port=1.5"], '--port must be a whole number, not "1.5".'),
        (["-n"], '"-n" is not a flag'),
        (["--nofast"], "--nofast is not a flag of this server. Write --fast=false."),
        (["--noname"], "--noname is not a flag of this server. Is --name meant?"),
    ],
)
def test_wrong(arguments: list[str], sentence: str) -> None:
    """
    A wrong flag is an error in a sentence that names it.
    """
    with pytest.raises(FlagError) as caught:
        flags.parse(arguments, _Flags)
    assert sentence in str(caught.value)


def test_dashes() -> None:
    """
    Dashes inside a name count as underscores.
    """

    @dataclass(frozen=True, slots=True)
    class Long:
        termination_log: str = ""

    assert flags.parse(["--termination-log=/a"], Long) == Long("/a")


@pytest.mark.parametrize(
    ("argument", "sentence"),
    [
        ("--port=-1", '--port must be at least 0, not "-1".'),
        ("--port=65536", '--port must be at most 65535, not "65536".'),
        ("--share=nan", '--share must be at least 0, not "nan".'),
        ("--share=half", '--share must be a number, not "half".'),
        ("--color=red", '--color must be green or blue, not "red".'),
    ],
)
def test_bounds(argument: str, sentence: str) -> None:
    """
    A value outside what the declaration allows is an error that says what is allowed.
    """

    @dataclass(frozen=True)
    class Bounded:
        port: int = flag(1, "A port.", least=0, most=65535)
        share: float = flag(0.5, "A share.", least=0)
        color: str = flag("", "A color.", choices=("", "green", "blue"))

    with pytest.raises(FlagError) as caught:
        flags.parse([argument], Bounded)
    assert str(caught.value) == sentence
