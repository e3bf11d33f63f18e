"""An IAAO ratio study: level, uniformity and vertical equity of estimates against sale prices."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from appraisal import ratio_statistics as statistics
from appraisal.arrays import Floats, Interval, require_confidence, require_same_length, to_positive
from appraisal.bootstrap import bootstrap_intervals
from appraisal.errors import ArgumentOutOfRangeError, TooFewSalesError

STATISTICS = ("median", "mean", "weighted_mean", "cod", "prd", "prb", "mki", "vei")


@dataclass(frozen=True, kw_only=True)
class RatioStudy:
    """The statistics of n sales and their intervals; None where the sales are too few to say.

    Ratios as fractions (1.0 = full value), cod and vei in percent, prd, prb and mki as numbers.
    """

    n: int
    median: float | None
    median_interval: Interval | None
    mean: float | None
    mean_interval: Interval | None
    weighted_mean: float | None
    weighted_mean_interval: Interval | None
    cod: float | None
    cod_interval: Interval | None
    prd: float | None
    prd_interval: Interval | None
    prb: float | None
    prb_interval: Interval | None
    mki: float | None
    mki_interval: Interval | None
    vei: float | None
    vei_interval: Interval | None

    def to_json(self) -> dict[str, Any]:
        """A dictionary that JSON can hold: intervals as [low, high], null for what could not be said."""
        found: dict[str, Any] = {"n": self.n}
        for name in STATISTICS:
            interval = getattr(self, f"{name}_interval")
            found[name] = getattr(self, name)
            found[f"{name}_interval"] = None if interval is None else list(interval)
        return found


def ratio_study(
    estimate: ArrayLike,
    sale_price: ArrayLike,
    *,
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 1,
) -> RatioStudy:
    """Study estimates against sale prices, both in USD, row by row; nothing is trimmed.

    Closed-form intervals for median, mean, weighted mean and PRB; percentile bootstrap, reproducible by
    seed, for the rest. Refuses fewer than two sales and values that are not above zero (AppraisalError).
    """
    estimates, prices = _checked(estimate, sale_price, confidence, resamples)
    if len(prices) < 2:
        raise TooFewSalesError(f"a ratio study needs at least 2 sales, not {len(prices)}")
    return _study(estimates, prices, confidence, resamples=resamples, seed=seed)


def study_by_group(
    estimate: ArrayLike,
    sale_price: ArrayLike,
    group: ArrayLike,
    *,
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 1,
) -> dict[str, RatioStudy]:
    """One study per group, in order of name; a group of one sale has a level and no more."""
    estimates, prices = _checked(estimate, sale_price, confidence, resamples)
    names = np.asarray(group).astype(str)
    require_same_length(sale_price=prices, group=names)
    if not len(prices):
        raise TooFewSalesError("a ratio study needs at least 1 sale")
    return {
        str(name): _study(estimates[names == name], prices[names == name], confidence, resamples=resamples, seed=seed)
        for name in np.unique(names)
    }


def _checked(estimate: ArrayLike, sale_price: ArrayLike, confidence: float, resamples: int) -> tuple[Floats, Floats]:
    estimates, prices = to_positive("estimate", estimate), to_positive("sale_price", sale_price)
    require_same_length(estimate=estimates, sale_price=prices)
    require_confidence(confidence)
    if resamples < 1:
        raise ArgumentOutOfRangeError(f"resamples must be at least 1, not {resamples}")
    return estimates, prices


def _study(estimate: Floats, price: Floats, confidence: float, *, resamples: int, seed: int) -> RatioStudy:
    ratio = estimate / price
    median, mean, weighted_mean = statistics.level_of(estimate, price)
    prb, prb_interval = statistics.prb_of(estimate, price, confidence)
    drawn = bootstrap_intervals(estimate, price, confidence, resamples=resamples, seed=seed)
    cod, prd = statistics.cod_of(ratio), statistics.prd_of(estimate, price)
    mki, vei = statistics.mki_of(estimate, price), statistics.vei_of(estimate, price)
    return RatioStudy(
        n=len(price),
        median=_finite(median),
        median_interval=_finite_interval(statistics.median_interval(ratio, confidence)),
        mean=_finite(mean),
        mean_interval=_finite_interval(statistics.mean_interval(ratio, confidence)),
        weighted_mean=_finite(weighted_mean),
        weighted_mean_interval=_finite_interval(statistics.weighted_mean_interval(estimate, price, confidence)),
        cod=_finite(cod),
        cod_interval=drawn.get("cod"),
        prd=_finite(prd),
        prd_interval=drawn.get("prd"),
        prb=_finite(prb),
        prb_interval=_finite_interval(prb_interval),
        mki=_finite(mki),
        mki_interval=None if mki is None else drawn.get("mki"),
        vei=_finite(vei),
        vei_interval=drawn.get("vei"),
    )


def _finite(value: float | None) -> float | None:
    """A statistic, or None where absurdly large inputs overflowed it."""
    return value if value is not None and math.isfinite(value) else None


def _finite_interval(interval: Interval | None) -> Interval | None:
    return interval if interval is not None and all(map(math.isfinite, interval)) else None
