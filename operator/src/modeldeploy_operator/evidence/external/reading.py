"""
Finding the one number in an answer. A pure module.

Of JSONPath only what leads to one value is understood: names and indexes. Wildcards, slices and
filters lead to any number of values, and a check compares one.
"""

import json
import math
import re
from typing import Any

from modeldeploy_operator.evidence.external.asking import AskError

_STEP = re.compile(r"\.([A-Za-z_][A-Za-z0-9_-]*)|\[([0-9]{1,6})\]|\['([^'\]]{1,100})'\]")


def at_path(body: bytes, path: str) -> float:
    """
    Read the number at a path such as `$.data[0]['error rate']`; true counts as 1, false as 0.

    Raises:
        AskError: There is none.

    """
    value = _decode(body)
    walked = "$"
    for match in _STEP.finditer(path):
        name, index = match[1] or match[3], match[2]
        try:
            value = value[int(index)] if isinstance(value, list) and index else _field(value, name)
        except (IndexError, KeyError, TypeError):
            raise AskError(f"The answer has nothing at {walked}{match[0]}.") from None
        walked += match[0]
    if not isinstance(value, int | float):
        raise AskError(f"At {path} stands {json.dumps(value)[:60]}, which is no number.")
    return _finite(float(value))


def _field(value: Any, name: str | None) -> Any:
    if not isinstance(value, dict) or name is None:
        raise KeyError(name)
    return value[name]


def prometheus(body: bytes) -> float:
    """
    Read the answer to an instant query: a scalar, or a vector of one element.

    Raises:
        AskError: It is neither, or no number.

    """
    answer = _decode(body)
    try:
        data = answer["data"]
        kind, result = data["resultType"], data["result"]
        if kind == "vector":
            if len(result) != 1:
                raise AskError(_not_one(len(result)))
            return _finite(float(result[0]["value"][1]))
        if kind == "scalar":
            return _finite(float(result[1]))
    except (KeyError, TypeError, IndexError, ValueError):
        raise AskError("The answer is none of Prometheus' to a query.") from None
    raise AskError(
        f"The query gives a {kind}, where a scalar or a vector of one element is wanted."
    )


def _not_one(count: int) -> str:
    if count == 0:
        return "The query gives no sample: nothing matches it, or nothing was scraped yet."
    return f"The query gives {count} series, where one is wanted; aggregate them, as with sum()."


def _decode(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise AskError("The answer is no JSON.") from None


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise AskError(f"The value is {value}, which is no number to compare.")
    return value
