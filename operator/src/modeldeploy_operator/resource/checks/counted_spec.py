"""
What a user may write about checks that count requests.
"""

from pydantic import Field

from modeldeploy_operator.analysis import kinds
from modeldeploy_operator.resource.parts import Duration, Part, Percent, rules, seconds, share_of
from modeldeploy_operator.rollout import weights


class ErrorRate(Part):
    """
    How many requests may fail.
    """

    model_config = rules(
        ("has(self.max) || has(self.maxIncrease)", "errorRate needs max, maxIncrease or both")
    )

    max: Percent | None = Field(
        None,
        description="The share that may fail by the server's fault: 5xx, or a gRPC status that "
        "is one.",
    )
    max_increase: Percent | None = Field(
        None,
        description="By how much the share of all failures may be above stable's, those that are "
        "called the client's included.",
    )

    def terms(self) -> kinds.ErrorRate:
        """
        Return the same in the analysis' own terms.
        """
        return kinds.ErrorRate(share_of(self.max), share_of(self.max_increase))


class Latency(Part):
    """
    How many requests may be slow.
    """

    model_config = rules(
        ("has(self.share) || has(self.maxIncrease)", "latency needs share, maxIncrease or both")
    )

    max: Duration = Field(description="A request that takes longer is slow.")
    share: Percent | None = Field(None, description="The share that may be slow.")
    max_increase: Percent | None = Field(
        None, description="By how much the share of slow requests may be above stable's."
    )

    def terms(self) -> kinds.Latency:
        """
        Return the same in the analysis' own terms.
        """
        return kinds.Latency(seconds(self.max), share_of(self.share), share_of(self.max_increase))


class Shadow(Part):
    """
    How many of stable's requests the canary may answer otherwise, before or while it gets its own.
    """

    model_config = rules(
        (
            "!has(self.percent) || !string(self.percent).matches('^0+([.]0+)?%?$')",
            "percent must be above 0",
        )
    )

    percent: Percent = Field(
        10, description="The share of stable's requests that the canary is asked, too."
    )
    tolerance: float = Field(
        0.001,
        ge=0,
        le=1_000_000,
        description="How far two numbers may differ, absolutely and in proportion to stable's. "
        "Whole numbers and texts must be equal.",
    )
    max_mismatch: Percent = Field(description="The share that may be answered otherwise.")

    def terms(self) -> kinds.Shadow:
        """
        Return the same in the analysis' own terms.
        """
        percent = weights.parse(self.percent) / 100
        return kinds.Shadow(
            percent, self.tolerance, weights.parse(self.max_mismatch) / weights.FULL
        )
