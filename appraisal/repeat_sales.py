"""The repeat-sales price index: what changed between two sales of the same property.

Bailey, Muth and Nourse (1963): the log ratio of the two prices is the difference of two month levels. Case and
Shiller (1989): pairs farther apart in time are less alike, so each is weighted by the inverse of a variance that
grows with the months between. Goetzmann and Spiegel (1995): a constant beside the levels takes up what is done
to a property around its sale, whenever that is (a house bought, renovated and sold again); without it flips
pass for a rising market.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from appraisal.arrays import Floats, Integers, Interval, require_confidence, require_same_length, to_floats, to_positive
from appraisal.distributions import student_t_two_sided
from appraisal.errors import ArgumentOutOfRangeError, NotNumericError, TooFewSalesError
from appraisal.month_levels import LeastSquares, MonthIndex, base_month, least_squares, to_levels
from appraisal.smooth_path import smooth_path

_SMALLEST_VARIANCE_SHARE = 0.05  # of the pairs' average: no pair is so exact that it outweighs all others


@dataclass(frozen=True, kw_only=True)
class RepeatSalesIndex:
    """Price level by month, base month = 100; a month's `sales` are the pairs that begin or end in it.

    `months` are smoothed as the hedonic index is, `unsmoothed` are the regression's. `jump_percent` is what a
    pair gains whatever the time between. The monthly trend is that of a straight line through the pairs.
    """

    pairs: int
    base_month: int
    months: tuple[MonthIndex, ...]
    unsmoothed: tuple[MonthIndex, ...]
    jump_percent: float | None
    jump_percent_interval: Interval | None
    monthly_trend_percent: float | None
    monthly_trend_percent_interval: Interval | None


@dataclass(frozen=True)
class _Pairs:
    gain: Floats
    first: Integers
    second: Integers

    @property
    def gap(self) -> Floats:
        return (self.second - self.first).astype(np.float64)


def repeat_sales_index(
    prices: tuple[ArrayLike, ArrayLike],
    months: tuple[ArrayLike, ArrayLike],
    *,
    with_jump: bool = True,
    confidence: float = 0.95,
    minimum_pairs: int = 30,
    minimum_pairs_per_month: int = 5,
) -> RepeatSalesIndex:
    """Index of pairs of sales, first and second prices (USD) and whole months given as columns of equal length.

    Refuses fewer than `minimum_pairs`, or too few for their months (too_few_sales), and pairs whose second
    sale is not in a later month (argument_out_of_range).
    """
    pairs = _checked(prices, months)
    require_confidence(confidence)
    if len(pairs.gain) < minimum_pairs:
        raise TooFewSalesError(f"a repeat-sales index needs at least {minimum_pairs} pairs, not {len(pairs.gain)}")
    names, counts = np.unique(np.concatenate([pairs.first, pairs.second]), return_counts=True)
    base = base_month(names, counts, minimum_pairs_per_month)
    if base is None:
        raise TooFewSalesError("no month has enough pairs for an index")
    others = names[names != base]
    constant = np.ones((len(pairs.gain), int(with_jump)))
    design = (pairs.second[:, None] == others).astype(float) - (pairs.first[:, None] == others)
    weight = _weights(pairs, np.column_stack([constant, design]))
    fit = _weighted(np.column_stack([constant, design]), pairs.gain, weight)
    months_only = slice(int(with_jump), None)
    levels = to_levels(
        LeastSquares(
            fit.coefficient[months_only],
            fit.covariance[months_only, months_only],
            fit.told[months_only],
            fit.degrees,
        ),
        others,
        base,
    )
    line = _weighted(np.column_stack([constant, pairs.gap]), pairs.gain, weight)
    jump = _percent(fit, 0, confidence) if with_jump else (None, None)
    trend = _percent(line, -1, confidence)
    return RepeatSalesIndex(
        pairs=len(pairs.gain),
        base_month=base,
        months=smooth_path(levels).to_index(
            names, counts, confidence=confidence, minimum_sales=minimum_pairs_per_month
        ),
        unsmoothed=levels.to_index(names, counts, confidence=confidence, minimum_sales=minimum_pairs_per_month),
        jump_percent=jump[0],
        jump_percent_interval=jump[1],
        monthly_trend_percent=trend[0],
        monthly_trend_percent_interval=trend[1],
    )


def _checked(prices: tuple[ArrayLike, ArrayLike], months: tuple[ArrayLike, ArrayLike]) -> _Pairs:
    first_price, second_price = (
        to_positive(name, given) for name, given in zip(("first", "second"), prices, strict=True)
    )
    first, second = (to_floats("month", given) for given in months)
    require_same_length(first_price=first_price, second_price=second_price, first_month=first, second_month=second)
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise NotNumericError("a month is missing or infinite")
    if (first != np.floor(first)).any() or (second != np.floor(second)).any() or (second <= first).any():
        raise ArgumentOutOfRangeError("months must be whole, and the second sale of a pair in a later one")
    return _Pairs(np.log(second_price / first_price), first.astype(np.int64), second.astype(np.int64))


def _weights(pairs: _Pairs, design: Floats) -> Floats:
    """Inverse variances of the pairs: squared residuals of equal weights, on a constant and the months between."""
    residual = pairs.gain - design @ np.linalg.lstsq(design, pairs.gain, rcond=None)[0]
    squared, gap = residual**2, pairs.gap
    average = float(squared.mean())
    if average <= np.finfo(np.float64).tiny or np.ptp(gap) == 0:
        return np.ones_like(gap)
    slope = float(((gap - gap.mean()) * squared).sum() / ((gap - gap.mean()) ** 2).sum())
    start = average - slope * float(gap.mean())
    if slope < 0:
        start, slope = average, 0.0
    elif start < 0:
        start, slope = 0.0, float((gap * squared).sum() / (gap**2).sum())
    weight: Floats = 1 / np.maximum(start + slope * gap, _SMALLEST_VARIANCE_SHARE * average)
    return weight


def _weighted(design: Floats, gain: Floats, weight: Floats) -> LeastSquares:
    scale = np.sqrt(weight / weight.mean())
    fit = least_squares(design * scale[:, None], gain * scale)
    if fit is None:
        raise TooFewSalesError(f"{len(gain)} pairs are too few for {design.shape[1]} months")
    return fit


def _percent(fit: LeastSquares, place: int, confidence: float) -> tuple[float | None, Interval | None]:
    """A coefficient as a change in percent with its interval; None where the pairs cannot tell it."""
    if not fit.told[place]:
        return None, None
    at = float(fit.coefficient[place])
    reach = student_t_two_sided(confidence, degrees=fit.degrees) * float(np.sqrt(fit.covariance[place, place]))
    low, middle, high = (100 * float(np.expm1(value)) for value in (at - reach, at, at + reach))
    return middle, (low, high)
