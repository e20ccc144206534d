"""
Logs are one JSON object a line.
"""

import io
import json
import logging
from collections.abc import Iterator

import pytest

from modeldeploy_operator.telemetry import logs


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """
    Set logging up on a stream of the test's own, and put everything back.
    """
    root, kept = logging.getLogger(), list(logging.getLogger().handlers)
    level = root.level
    for handler in kept:
        root.removeHandler(handler)
    logs.set_up("INFO")
    made = io.StringIO()
    handler = root.handlers[0]
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(made)
    yield made
    root.removeHandler(handler)
    for other in kept:
        root.addHandler(other)
    root.setLevel(level)


def test_a_line_is_one_object(stream: io.StringIO) -> None:
    """
    Level, logger and message are there, and the deployment where it is known.
    """
    logging.getLogger("here").info("It är %s.", "done", extra={"deployment": "vision/mnist"})
    [line] = stream.getvalue().splitlines()
    told = json.loads(line)
    assert told.pop("time").endswith("+00:00")
    assert told == {
        "level": "info",
        "logger": "here",
        "message": "It är done.",
        "deployment": "vision/mnist",
    }


def test_an_exception_is_part_of_its_line(stream: io.StringIO) -> None:
    """
    A traceback stays within the object, so that a line is a record.
    """
    try:
        int("no")
    except ValueError:
        logging.getLogger("here").exception("It failed.")
    [line] = stream.getvalue().splitlines()
    assert "ValueError: invalid literal" in json.loads(line)["error"]


def test_libraries_speak_of_trouble_only(stream: io.StringIO) -> None:
    """
    Kopf and aiohttp do not fill the log with what is usual.
    """
    logging.getLogger("kopf").info("a handler succeeded")
    logging.getLogger("aiohttp.access").info("GET /")
    assert stream.getvalue() == ""
