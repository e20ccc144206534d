"""
Examples of classifications and regressions in JSON.
"""

import pytest

from modeldeploy_runtime.servables.errors import InvalidArgumentError
from modeldeploy_runtime.tensors import json_examples, json_text


@pytest.mark.parametrize("key", ["examples", "context"])
def test_a_name_that_is_no_text(key: str) -> None:
    """
    The name of a feature must be UTF-8, which a message demands of it and JSON's bytes may not be.
    """
    feature = b'{"\xef": 1}'
    body = b'{"examples": [%b]}' % feature
    if key == "context":
        body = b'{"context": %b, "examples": [{}]}' % feature
    with pytest.raises(InvalidArgumentError, match="has a name that is not UTF-8"):
        json_examples.to_input(json_text.parse(body).value)
