"""The statistics of a ratio study one by one, on columns already checked; ratio = estimate / price.

Each returns None where the sales are too few or too uniform to say. Sources: IAAO Standard on Ratio
Studies (2013), sections 5.3 to 5.6 and its appendixes; Quintos (2020, 2021) for MKI.
"""

import math

import numpy as np

from appraisal.arrays import Floats, Integers, Interval
from appraisal.distributions import median_ranks, student_t_two_sided


def level_of(estimate: Floats, price: Floats) -> tuple[float, float, float]:
    """Median, mean and weighted mean ratio."""
    ratio = estimate / price
    return float(np.median(ratio)), float(np.mean(ratio)), float(np.sum(estimate) / np.sum(price))


def median_interval(ratio: Floats, confidence: float) -> Interval | None:
    """Interval of the median by order statistics, free of any assumption on the distribution."""
    ranks = median_ranks(len(ratio), confidence)
    if ranks is None:
        return None
    ordered = np.sort(ratio)
    return float(ordered[ranks[0] - 1]), float(ordered[ranks[1] - 1])


def mean_interval(ratio: Floats, confidence: float) -> Interval | None:
    """Student's t interval of the mean ratio."""
    n = len(ratio)
    if n < 2:
        return None
    error = float(np.std(ratio, ddof=1)) / math.sqrt(n)
    return _around(float(np.mean(ratio)), error, confidence, degrees=n - 1)


def weighted_mean_interval(estimate: Floats, price: Floats, confidence: float) -> Interval | None:
    """Interval of the weighted mean by the standard error of a ratio estimator (Cochran, 1977, 6.4)."""
    n = len(price)
    if n < 2:
        return None
    weighted_mean = float(np.sum(estimate) / np.sum(price))
    residual = estimate - weighted_mean * price
    error = math.sqrt(float(np.sum(residual**2)) / (n * (n - 1))) / float(np.mean(price))
    return _around(weighted_mean, error, confidence, degrees=n - 1)


def cod_of(ratio: Floats) -> float | None:
    """Coefficient of dispersion, percent: the average absolute deviation from the median ratio."""
    if len(ratio) < 2:
        return None
    median = np.median(ratio)
    return float(np.mean(np.abs(ratio - median)) / median * 100)


def prd_of(estimate: Floats, price: Floats) -> float | None:
    """Price-related differential: mean over weighted mean; above 1 is regressive."""
    if len(price) < 2:
        return None
    return float(np.mean(estimate / price) / (np.sum(estimate) / np.sum(price)))


def prb_of(estimate: Floats, price: Floats, confidence: float) -> tuple[float | None, Interval | None]:
    """Price-related bias and its interval: change of the ratio's level as value doubles; below 0 regressive.

    Slope of (ratio - median) / median on log2 of half price, half estimate at full level, by ordinary
    least squares; the interval is the slope's t interval.
    """
    ratio = estimate / price
    n, median = len(ratio), np.median(ratio)
    doublings = np.log2((estimate / median + price) / 2)
    doublings -= np.mean(doublings)
    spread = float(np.sum(doublings**2))
    if n < 3 or spread <= n * np.finfo(np.float64).eps:
        return None, None
    deviation = (ratio - median) / median
    deviation -= np.mean(deviation)
    slope = float(np.sum(doublings * deviation)) / spread
    residual = deviation - slope * doublings
    error = math.sqrt(float(np.sum(residual**2)) / (n - 2) / spread)
    return slope, _around(slope, error, confidence, degrees=n - 2)


def gini_of(ordered: Floats) -> float:
    """Gini coefficient of values in the order given (a concentration index where it is not their own)."""
    n = len(ordered)
    ranks = np.arange(1, n + 1, dtype=np.float64)
    ranked = np.cumsum(ordered * ranks)[-1]  # added up in order, as the published figures were
    return float((2 * ranked / np.sum(ordered) - (n + 1)) / n)


def mki_of(estimate: Floats, price: Floats) -> float | None:
    """Modified Kakwani index: Gini of estimates in order of price over Gini of prices; below 1 regressive.

    Sales of equal price keep the order in which they came (a stable sort).
    """
    order = np.argsort(price, kind="stable")
    if len(price) < 2 or price[order[0]] == price[order[-1]]:
        return None
    return gini_of(estimate[order]) / gini_of(price[order])


def vei_group_count(n: int) -> int | None:
    """How many value groups a VEI of n sales has: 2 to 50 sales, 4 to 500, 10 above; None below 20."""
    if n < 20:
        return None
    return 2 if n <= 50 else 4 if n <= 500 else 10


def vei_end_groups(estimate: Floats, price: Floats) -> tuple[Integers, Integers] | None:
    """Rows of the lowest and the highest value group.

    Value is the proxy of half price, half estimate at the median level (as in the PRB); the groups are
    cut at its quantiles (linear interpolation), a sale on a cut belongs to the lower group.
    """
    groups = vei_group_count(len(price))
    if groups is None:
        return None
    proxy = (estimate / np.median(estimate / price) + price) / 2
    lower, upper = np.quantile(proxy, [1 / groups, 1 - 1 / groups])
    lowest, highest = np.flatnonzero(proxy <= lower), np.flatnonzero(proxy > upper)
    return (lowest, highest) if highest.size else None  # all sales of one value: nothing to compare


def vei_of(estimate: Floats, price: Floats) -> float | None:
    """Vertical equity indicator, percent: median ratio of the highest less that of the lowest value group.

    In percent of the overall median; below 0 is regressive.
    """
    ends = vei_end_groups(estimate, price)
    if ends is None:
        return None
    ratio = estimate / price
    lowest, highest = (np.median(ratio[rows]) for rows in ends)
    return float(100 * (highest - lowest) / np.median(ratio))


def _around(center: float, error: float, confidence: float, *, degrees: int) -> Interval:
    reach = student_t_two_sided(confidence, degrees=degrees) * error
    return center - reach, center + reach
