"""
What is checked, and what one look at both versions has counted.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from modeldeploy_operator.analysis.external import External
from modeldeploy_operator.analysis.kinds import Kind
from modeldeploy_operator.analysis.tally import NONE, Tally

FALSE_ALARM_RATE = 0.01
"""The chance that a whole rollout of an equally good version is ended by its checks."""


@dataclass(frozen=True, slots=True)
class Check:
    """
    One named check.
    """

    name: str
    what: Kind

    @property
    def tests(self) -> int:
        """
        How many tests the check consists of, among which the false alarms are shared.
        """
        return (self.what.ceiling is not None) + (self.what.increase is not None)


class OnNoData(StrEnum):
    """
    What happens when a step's hold is over and its checks have not seen enough requests.
    """

    WAIT = "Wait"
    CONTINUE = "Continue"
    ROLLBACK = "Rollback"


@dataclass(frozen=True, slots=True)
class Criteria:
    """
    By what a canary is judged.

    Attributes:
        checks: The checks; without any, nothing is counted.
        interval: Seconds between two looks.
        min_requests: Canary requests that each check must have seen in each step.
        on_no_data: What happens where there are fewer.
        pauses: Whether a failed check stops the rollout where it stands, instead of ending it.
        external: The checks that others answer.
        failure_limit: After how many bad measurements in a row one of these has failed.

    """

    checks: tuple[Check, ...] = ()
    interval: float = 30.0
    min_requests: int = 200
    on_no_data: OnNoData = OnNoData.WAIT
    pauses: bool = False
    external: tuple[External, ...] = ()
    failure_limit: int = 2


UNJUDGED = Criteria()


@dataclass(frozen=True, slots=True)
class Evidence:
    """
    One look at both versions: what each did since the look before.

    Attributes:
        stable: The stable version's part.
        canary: The canary's part.
        problems: Check name to the reason for which it could not be measured in this look.

    """

    stable: Tally = NONE
    canary: Tally = NONE
    problems: Mapping[str, str] = field(default_factory=dict)
