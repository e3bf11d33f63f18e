"""What the IAAO asks of a ratio study, and whether a study shows that it is met.

Source: IAAO Standard on Ratio Studies (2013), part 1, section 9 (table 1-3 for COD). A statistic outside
its range is a failure only where its interval lies outside too; MKI and VEI have no range in that edition.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from appraisal.arrays import Interval
from appraisal.ratio_study import RatioStudy

SUSPECT_COD = 5.0  # below it: sales chasing or an unrepresentative sample
UNACCEPTABLE_PRB = 0.10


class PropertyClass(StrEnum):
    """The classes of property that the standard sets COD ranges for."""

    RESIDENTIAL_HOMOGENEOUS = "residential_homogeneous"
    RESIDENTIAL_HETEROGENEOUS = "residential_heterogeneous"
    OTHER_RESIDENTIAL = "other_residential"
    INCOME_LARGE_MARKET = "income_large_market"
    INCOME_SMALL_MARKET = "income_small_market"
    VACANT_LAND = "vacant_land"


class Outcome(StrEnum):
    """What may be said of one statistic."""

    MET = "met"
    NOT_MET = "not_met"
    INCONCLUSIVE = "inconclusive"  # outside the range, but the interval reaches into it
    SUSPECT = "suspect"  # too good: COD below 5
    UNACCEPTABLE = "unacceptable"  # PRB beyond 0.10 with all of its interval
    NOT_COMPUTED = "not_computed"  # too few sales to say


MEDIAN_RANGE: Interval = (0.90, 1.10)
PRD_RANGE: Interval = (0.98, 1.03)
PRB_RANGE: Interval = (-0.05, 0.05)
COD_RANGES: dict[PropertyClass, Interval] = {
    PropertyClass.RESIDENTIAL_HOMOGENEOUS: (5.0, 10.0),  # newer or similar houses and condominiums
    PropertyClass.RESIDENTIAL_HETEROGENEOUS: (5.0, 15.0),  # older or mixed areas
    PropertyClass.OTHER_RESIDENTIAL: (5.0, 20.0),  # rural, seasonal, manufactured, two to four units
    PropertyClass.INCOME_LARGE_MARKET: (5.0, 15.0),  # income-producing, larger areas and samples
    PropertyClass.INCOME_SMALL_MARKET: (5.0, 20.0),
    PropertyClass.VACANT_LAND: (5.0, 25.0),
}


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """One statistic against its range."""

    statistic: str
    value: float | None
    interval: Interval | None
    range: Interval
    outcome: Outcome


def judge(study: RatioStudy, property_class: PropertyClass, *, level: float = 1.0) -> tuple[Verdict, ...]:
    """Verdicts on median, COD, PRD and PRB; `level` is the legal level of assessment (1.0 = full value)."""
    median_range = (MEDIAN_RANGE[0] * level, MEDIAN_RANGE[1] * level)
    return (
        _verdict("median", study, median_range),
        _cod_verdict(study, COD_RANGES[property_class]),
        _verdict("prd", study, PRD_RANGE),
        _prb_verdict(study),
    )


def _verdict(name: str, study: RatioStudy, allowed: Interval) -> Verdict:
    value: float | None = getattr(study, name)
    interval: Interval | None = getattr(study, f"{name}_interval")
    outcome = _outcome(value, interval, allowed)
    return Verdict(statistic=name, value=value, interval=interval, range=allowed, outcome=outcome)


def _cod_verdict(study: RatioStudy, allowed: Interval) -> Verdict:
    verdict = _verdict("cod", study, allowed)
    if study.cod is None or study.cod >= SUSPECT_COD:
        return verdict
    return replace(verdict, outcome=Outcome.SUSPECT)


def _prb_verdict(study: RatioStudy) -> Verdict:
    verdict = _verdict("prb", study, PRB_RANGE)
    beyond = _outcome(study.prb, study.prb_interval, (-UNACCEPTABLE_PRB, UNACCEPTABLE_PRB))
    return replace(verdict, outcome=Outcome.UNACCEPTABLE) if beyond is Outcome.NOT_MET else verdict


def _outcome(value: float | None, interval: Interval | None, allowed: Interval) -> Outcome:
    if value is None:
        return Outcome.NOT_COMPUTED
    if allowed[0] <= value <= allowed[1]:
        return Outcome.MET
    if interval is None:
        return Outcome.INCONCLUSIVE
    reaches_in = interval[0] <= allowed[1] and interval[1] >= allowed[0]
    return Outcome.INCONCLUSIVE if reaches_in else Outcome.NOT_MET
