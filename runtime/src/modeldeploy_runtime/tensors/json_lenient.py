"""
A JSON parser that is slow, never recursive, and says what is wrong in TensorFlow Serving's words.

Only bodies that faster parsers refuse come here.
"""

import json
import math
import re
from typing import Any, NoReturn

# Each level costs memory, and no tensor has so many.
MAX_DEPTH = 10_000

_SPACE = re.compile(r"[ \t\n\r]*")
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?", re.ASCII)
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*"', re.DOTALL)
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|.)", re.DOTALL)
_CONSTANTS = {
    "null": None,
    "true": True,
    "false": False,
    "NaN": math.nan,
    "Infinity": math.inf,
    "Inf": math.inf,
    "-Infinity": -math.inf,
    "-Inf": -math.inf,
}
_CONSTANT = re.compile("|".join(sorted(_CONSTANTS, key=len, reverse=True)))


class JSONTextError(ValueError):
    """The text is not JSON; the message says why and where."""


def parse(text: str) -> Any:
    """Parse the first JSON value of a text and ignore what follows it."""
    return _Parser(text).parse()


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0

    def parse(self) -> Any:
        """Read values until the outermost one is complete."""
        if not self._text:
            raise JSONTextError("The document is empty")
        self._skip_space()
        if self._position == len(self._text):
            self._fail("The document is empty.")
        # Each open container with the key that waits for its value.
        open_containers: list[tuple[Any, str | None]] = []
        while True:
            value = self._open_or_read(open_containers)
            if value is _OPENED:
                continue
            while open_containers:
                container, key = open_containers.pop()
                _put(container, key, value)
                if self._next_member(container, open_containers):
                    break
                value = container
            else:
                return value

    def _open_or_read(self, open_containers: list[tuple[Any, str | None]]) -> Any:
        """Read one value; a container that is not empty is left open."""
        self._skip_space()
        character = self._text[self._position : self._position + 1]
        if character not in {"{", "["}:
            return self._scalar(character)
        self._position += 1
        self._skip_space()
        is_object = character == "{"
        if self._take("}" if is_object else "]"):
            return {} if is_object else []
        if len(open_containers) == MAX_DEPTH:
            self._fail(f"The document is nested more than {MAX_DEPTH} deep.")
        open_containers.append(({}, self._key()) if is_object else ([], None))
        return _OPENED

    def _next_member(self, container: Any, open_containers: list[tuple[Any, str | None]]) -> bool:
        """Move past a member; return whether another one follows."""
        self._skip_space()
        if isinstance(container, dict):
            if self._take(","):
                self._skip_space()
                open_containers.append((container, self._key()))
                return True
            if not self._take("}"):
                self._fail("Missing a comma or '}' after an object member.")
            return False
        if self._take(","):
            open_containers.append((container, None))
            return True
        if not self._take("]"):
            self._fail("Missing a comma or ']' after an array element.")
        return False

    def _key(self) -> str:
        if self._text[self._position : self._position + 1] != '"':
            self._fail("Missing a name for object member.")
        key = self._string()
        self._skip_space()
        if not self._take(":"):
            self._fail("Missing a colon after a name of object member.")
        return key

    def _scalar(self, character: str) -> Any:
        if character == '"':
            return self._string()
        if constant := _CONSTANT.match(self._text, self._position):
            self._position = constant.end()
            return _CONSTANTS[constant.group()]
        number = _NUMBER.match(self._text, self._position)
        if number is None:
            self._fail("Invalid value.")
        value = json.loads(number.group())
        if isinstance(value, float) and math.isinf(value):
            self._fail("Number too big to be stored in double.")
        self._position = number.end()
        return value

    def _string(self) -> str:
        match = _STRING.match(self._text, self._position)
        if match is None:
            self._fail_in_string()
        if _has_lone_surrogate(match.group()):
            self._fail("The surrogate pair in string is invalid.")
        try:
            value = str(json.loads(match.group()))
        except ValueError:
            self._fail("Invalid escape character in string.")
        self._position = match.end()
        return value

    def _fail_in_string(self) -> NoReturn:
        control = re.compile(r"[\x00-\x1f]").search(self._text, self._position)
        if control:
            self._position = control.start()
            self._fail("Invalid encoding in string.")
        self._position = len(self._text)
        self._fail("Missing a closing quotation mark in string.")

    def _skip_space(self) -> None:
        match = _SPACE.match(self._text, self._position)
        if match:
            self._position = match.end()

    def _take(self, character: str) -> bool:
        found = self._text.startswith(character, self._position)
        self._position += found
        return found

    def _fail(self, message: str) -> NoReturn:
        offset = len(self._text[: self._position].encode("utf-8", "surrogateescape"))
        raise JSONTextError(f"{message} at offset: {offset}")


_OPENED = object()


def _has_lone_surrogate(text: str) -> bool:
    """Tell whether a string escapes half a character, which no UTF-8 can carry."""
    waits_for_low, end = False, 0
    for escape in _ESCAPE.finditer(text):
        code = int(escape[1] or "0", 16)
        follows = waits_for_low and escape.start() == end
        if (0xDC00 <= code < 0xE000) != follows:
            return True
        waits_for_low, end = 0xD800 <= code < 0xDC00, escape.end()
    return waits_for_low


def _put(container: Any, key: str | None, value: Any) -> None:
    if key is None:
        container.append(value)
    else:
        container.setdefault(key, value)
