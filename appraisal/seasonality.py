"""Month-of-year effects on prices, and a test whether there are any.

Twelve effects that add to nothing, fitted together with a line and a random walk (`smooth_path`), so that a
market that turns does not pass for a season; the test is that of Wald with Fisher's F.
"""

from dataclasses import dataclass

import numpy as np

from appraisal.arrays import Floats, Integers, Interval, require_confidence
from appraisal.distributions import incomplete_beta, student_t_two_sided
from appraisal.errors import TooFewSalesError
from appraisal.month_levels import MonthLevels
from appraisal.smooth_path import walk_fits

MINIMUM_YEARS = 2  # a calendar month seen once is not told from the market of that month
_FREE = 11  # twelve effects that add to nothing


@dataclass(frozen=True, kw_only=True)
class SeasonalEffect:
    """How far prices of a calendar month (1 to 12) are from the year's average, other things equal."""

    month_of_year: int
    effect_percent: float
    interval: Interval


@dataclass(frozen=True, kw_only=True)
class Seasonality:
    """The effects, and the probability of effects as large as these where there are none."""

    effects: tuple[SeasonalEffect, ...]
    f_statistic: float
    p_value: float


def seasonality(levels: MonthLevels, *, enough: Integers, confidence: float = 0.95) -> Seasonality:
    """Month-of-year effects of a hedonic index's levels; `enough` are the months with enough sales to count.

    Months count from January 1970. Refuses (too_few_sales) where a calendar month has levels of fewer than
    two years.
    """
    require_confidence(confidence)
    kept = np.isin(levels.month, enough)
    month, base = levels.month[kept], levels.base_month
    years = np.bincount(np.append(month, base) % 12, minlength=12)
    if years.min() < MINIMUM_YEARS:
        raise TooFewSalesError(f"seasonality needs every calendar month in at least {MINIMUM_YEARS} years")
    told = MonthLevels(
        base_month=base,
        month=month,
        level=levels.level[kept],
        covariance=levels.covariance[np.ix_(kept, kept)],
        degrees=levels.degrees,
    )
    effect, covariance = _fit(told)
    free = covariance[:_FREE, :_FREE]
    statistic = float(effect[:_FREE] @ np.linalg.solve(free, effect[:_FREE])) / _FREE
    degrees = len(month) - _FREE - 1
    reach = student_t_two_sided(confidence, degrees=degrees) * np.sqrt(np.diag(covariance))
    return Seasonality(
        effects=tuple(
            SeasonalEffect(
                month_of_year=place + 1, effect_percent=_percent(at), interval=(_percent(at - by), _percent(at + by))
            )
            for place, (at, by) in enumerate(zip(effect, reach, strict=True))
        ),
        f_statistic=statistic,
        p_value=incomplete_beta(degrees / 2, _FREE / 2, degrees / (degrees + _FREE * statistic)),
    )


def _fit(levels: MonthLevels) -> tuple[Floats, Floats]:
    """The twelve effects in log price and their covariance, averaged over how far prices may wander."""
    contrasts = np.vstack([np.eye(_FREE), -np.ones(_FREE)])
    since = (levels.month - levels.base_month).astype(np.float64)
    seasons = contrasts[levels.month % 12] - contrasts[levels.base_month % 12]
    fits = walk_fits(levels, np.column_stack([since, seasons]))
    middle = np.sum([fit.weight * fit.coefficient for fit in fits], axis=0)
    spread = np.zeros((_FREE + 1, _FREE + 1))
    for fit in fits:
        away = fit.coefficient - middle
        spread += fit.weight * (fit.coefficient_covariance + np.outer(away, away))
    return contrasts @ middle[1:], contrasts @ spread[1:, 1:] @ contrasts.T


def _percent(log_change: float) -> float:
    return 100 * float(np.expm1(log_change))
