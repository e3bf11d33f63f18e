"""A county's indicated ratio from the ratios of its strata, as Washington computes it.

WAC 458-53-135 (real property) and 458-53-160 (personal property): a stratum's assessed value over its
ratio is its indicated market value; the county ratio is the sum of assessed over the sum of market values.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from appraisal.arrays import to_positive
from appraisal.errors import TooFewSalesError


@dataclass(frozen=True, kw_only=True)
class Stratum:
    """One stratum of the roll: its total assessed value and the ratio that its sample showed."""

    name: str
    assessed_value_usd: float
    ratio: float


@dataclass(frozen=True, kw_only=True)
class IndicatedRatio:
    """A county's ratio of assessed to indicated market value, and the market value of each stratum."""

    ratio: float
    assessed_value_usd: float
    market_value_usd: float
    market_value_by_stratum_usd: dict[str, float]


def indicated_ratio(strata: Sequence[Stratum]) -> IndicatedRatio:
    """The county ratio of WAC 458-53-160 (4); refuses no strata and values or ratios not above zero.

    The rule's own example prints a market value of 127,871,499 for addends that make 127,871,494; both
    give its 73.9 percent.
    """
    if not strata:
        raise TooFewSalesError("an indicated ratio needs at least one stratum")
    assessed = to_positive("assessed_value_usd", [stratum.assessed_value_usd for stratum in strata])
    market = assessed / to_positive("ratio", [stratum.ratio for stratum in strata])
    by_stratum: dict[str, float] = {}
    for stratum, value in zip(strata, market, strict=True):
        by_stratum[stratum.name] = by_stratum.get(stratum.name, 0.0) + float(value)
    return IndicatedRatio(
        ratio=float(assessed.sum() / market.sum()),
        assessed_value_usd=float(assessed.sum()),
        market_value_usd=float(market.sum()),
        market_value_by_stratum_usd=by_stratum,
    )
