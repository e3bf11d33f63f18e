"""Joint bootstrap of the ratio statistics that have no closed-form interval: COD, PRD, MKI, VEI.

One resample gives all of them. A resample is held as how often each sale was drawn, so that nothing is
sorted again: sales are put in order of price and of ratio once, and weighted by their counts.
"""

from collections.abc import Iterator

import numpy as np

from appraisal.arrays import Floats, Integers, Interval
from appraisal.ratio_statistics import vei_end_groups

CELLS_PER_BLOCK = 1_000_000  # resamples times sales held at once: about 50 MB at the peak
FEWEST_SALES = 5  # below it a resample repeats one sale too often to say anything


def bootstrap_intervals(
    estimate: Floats, price: Floats, confidence: float, *, resamples: int, seed: int
) -> dict[str, Interval]:
    """Percentile intervals of cod, prd, mki and vei; empty for fewer than five sales.

    The same input and seed give the same intervals. The value groups of the VEI stay those of the sample.
    """
    if len(price) < FEWEST_SALES:
        return {}
    order = np.argsort(price, kind="stable")
    sample = _Sample(estimate[order], price[order])
    blocks = [sample.statistics(counts) for counts in _counts(len(price), resamples, seed)]
    tails = [(1 - confidence) / 2, (1 + confidence) / 2]
    intervals = {}
    for name in blocks[0]:
        values = np.concatenate([block[name] for block in blocks])
        values = values[np.isfinite(values)]
        if values.size:
            low, high = np.quantile(values, tails)
            intervals[name] = (float(low), float(high))
    return intervals


def _counts(n: int, resamples: int, seed: int) -> Iterator[Floats]:
    """Blocks of rows, one per resample, that say how often each of n sales was drawn."""
    generator = np.random.default_rng(seed)
    per_block = max(1, CELLS_PER_BLOCK // n)
    for start in range(0, resamples, per_block):
        rows = min(per_block, resamples - start)
        drawn = generator.integers(0, n, size=(rows, n))
        drawn += np.arange(rows)[:, None] * n
        yield np.bincount(drawn.ravel(), minlength=rows * n).reshape(rows, n).astype(np.float64)


class _Sample:
    """Sales in order of price, with what every resample needs worked out once."""

    def __init__(self, estimate: Floats, price: Floats) -> None:
        self.n = len(price)
        self.ratio = estimate / price
        self.by_ratio = np.argsort(self.ratio, kind="stable")
        self.sorted_ratio = self.ratio[self.by_ratio]
        self.estimate = estimate
        self.price = price
        ends = vei_end_groups(estimate, price)
        self.ends = None if ends is None else tuple(self._by_ratio(rows) for rows in ends)

    def _by_ratio(self, rows: Integers) -> Integers:
        """Some rows, in order of their ratio."""
        ordered: Integers = rows[np.argsort(self.ratio[rows], kind="stable")]
        return ordered

    def statistics(self, counts: Floats) -> dict[str, Floats]:
        """Each statistic for each resample of a block."""
        by_ratio = counts[:, self.by_ratio]
        median = _weighted_median(by_ratio, self.sorted_ratio)
        deviation = np.abs(self.sorted_ratio - median[:, None])
        estimate_sum, price_sum = counts @ self.estimate, counts @ self.price
        found = {
            "cod": 100 * np.einsum("ij,ij->i", by_ratio, deviation) / self.n / median,
            "prd": (counts @ self.ratio) / self.n / (estimate_sum / price_sum),
            "mki": self._mki(counts, estimate_sum, price_sum),
        }
        if self.ends is not None:
            low, high = (_weighted_median(counts[:, rows], self.ratio[rows]) for rows in self.ends)
            found["vei"] = 100 * (high - low) / median
        return found

    def _mki(self, counts: Floats, estimate_sum: Floats, price_sum: Floats) -> Floats:
        """MKI: a sale drawn c times, up to place C, has ranks that add up to c (2 C - c + 1) / 2."""
        ranks = counts * (2 * np.cumsum(counts, axis=1) - counts + 1)
        estimate_gini = (ranks @ self.estimate) / estimate_sum - (self.n + 1)
        price_gini = (ranks @ self.price) / price_sum - (self.n + 1)
        # A resample of one price alone has no Gini of prices; rounding leaves about n * epsilon of it.
        alike = np.abs(price_gini) <= self.n**2 * np.finfo(np.float64).eps
        return np.where(alike, np.nan, estimate_gini / np.where(alike, 1, price_gini))


def _weighted_median(counts: Floats, ordered: Floats) -> Floats:
    """Median of ascending values repeated by each row of counts; NaN where a row drew none of them."""
    places = np.cumsum(counts, axis=1)
    total = places[:, -1]
    last = len(ordered) - 1
    lower = np.minimum(np.sum(places <= ((total - 1) // 2)[:, None], axis=1), last)
    upper = np.minimum(np.sum(places <= (total // 2)[:, None], axis=1), last)
    return np.where(total > 0, (ordered[lower] + ordered[upper]) / 2, np.nan)
