"""
JSON logs: one object a line.
"""

import json
import logging
from datetime import UTC, datetime

FIELDS = ("deployment", "reason")


class JsonFormatter(logging.Formatter):
    """
    Formats a record as one JSON object.
    """

    def format(self, record: logging.LogRecord) -> str:
        """
        Format a record.
        """
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: getattr(record, name) for name in FIELDS if hasattr(record, name)}
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def set_up(level: str) -> None:
    """
    Send every log line to standard error as JSON.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.getLogger("kopf").setLevel(logging.WARNING)
    # It warns that signals are not its own: `app` has them.
    logging.getLogger("kopf._core.reactor.running").setLevel(logging.ERROR)
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)
