"""
Counting what is being answered.
"""

import pytest

from modeldeploy_runtime.transports.in_flight import InFlight


def test_count() -> None:
    """
    Requests count while they are answered, also when they fail.
    """
    in_flight = InFlight()
    with in_flight, in_flight:
        assert in_flight.count == 2
    with pytest.raises(KeyError), in_flight:
        raise KeyError
    assert in_flight.count == 0
