"""What AWS asks for in us-east-1: each price with the day it stood so, and who said it.

Prices change, and other regions cost up to a third more. AWS's own pages show prices by script, so most of these were
read where somebody had written them down; `page` is where to hold them against AWS.
"""

from dataclasses import dataclass
from decimal import Decimal

REGION = "us-east-1"
MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Price:
    """What units of one kind cost.

    Args:
        dollars: for `per` units.
        per: how many units that buys.
        unit: what is counted.
        as_of: when it stood so, as far as is known: a day or a month.
        said_by: where it was read.
        page: AWS's own page.
        free: units a month that cost nothing, for good (not the first year's free tier).
    """

    dollars: Decimal
    per: int
    unit: str
    as_of: str
    said_by: str
    page: str
    free: int = 0

    def of(self, units: Decimal, *, free_tier: bool) -> Decimal:
        """Dollars for so many units in a month."""
        billed = max(units - self.free, Decimal(0)) if free_tier else units
        return billed * self.dollars / self.per


def _price(dollars: str, per: int, unit: str, known: tuple[str, str], service: str, free: int = 0) -> Price:
    return Price(Decimal(dollars), per, unit, *known, f"https://aws.amazon.com/{service}/pricing/", free)


_SERIES = ("2025-09-25", "AWS Database Blog, part 1 of the series")
_EVENTBRIDGE = ("2026-03-13", "cloudburn.io")
_SQS = ("2026-03-14", "cloudburn.io")
_CLOUDWATCH = ("2026-02", "cloudburn.io, after AWS's page")
_OTHERS = ("2026-06-13", "factualminds.com")
_UNCHECKED = ("2025", "general knowledge, not read again")

PRICES: dict[str, Price] = {
    "scheduler": _price("1.00", MILLION, "invocations", _EVENTBRIDGE, "eventbridge", 14 * MILLION),
    "bus events": _price("1.00", MILLION, "events", _EVENTBRIDGE, "eventbridge"),
    "lambda requests": _price("0.20", MILLION, "requests", _UNCHECKED, "lambda", MILLION),
    "lambda time": _price("0.0000133334", 1, "GB-seconds, arm64", _UNCHECKED, "lambda", 400_000),
    "dynamodb writes": _price("0.625", MILLION, "write request units", _SERIES, "dynamodb"),
    "dynamodb reads": _price("0.125", MILLION, "read request units", _UNCHECKED, "dynamodb"),
    "sqs": _price("0.40", MILLION, "requests", _SQS, "sqs", MILLION),
    "sns": _price("0.50", MILLION, "publishes", _OTHERS, "sns", MILLION),
    "ses": _price("0.10", 1000, "emails", _UNCHECKED, "ses"),
    "step functions": _price("0.025", 1000, "state transitions", _UNCHECKED, "step-functions", 4000),
    "logs": _price("0.50", 1, "GB taken in", _CLOUDWATCH, "cloudwatch", 5),
    "alarms": _price("0.10", 1, "alarms", _CLOUDWATCH, "cloudwatch", 10),
    "dashboards": _price("3.00", 1, "dashboards", _CLOUDWATCH, "cloudwatch", 3),
    "metrics": _price("0.30", 1, "custom metrics", _CLOUDWATCH, "cloudwatch", 10),
}
