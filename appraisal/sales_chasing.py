"""Sales chasing: whether sold properties were appraised otherwise than unsold ones, by four tests.

IAAO Standard on Ratio Studies (2013), appendix E; the first two look at ratios alone. A test speaks where chance
does not explain what it sees and the size matters too: with many sales anything is beyond chance.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray
from scipy.stats import binom, mannwhitneyu, norm

from appraisal.arrays import Floats, require_same_length, to_floats, to_positive

TestName = Literal["concentration", "cdf_gap", "sold_unsold_change", "split_sample"]
SIGNIFICANCE = 0.01
BAND = 0.02  # ratios so near the level are what chasing makes
BIN = 0.01  # of a log ratio
REACH_SPREADS = 3.0  # robust standard deviations of the log ratio that the smooth curve is drawn over
CURVE_DEGREE = 4
MINIMUM_RATIOS = 100
MINIMUM_EXCESS = 0.03  # of all sales
MINIMUM_EXCESS_RATE = 1.5  # times what the curve has there: honest ratios can be more peaked than any smooth curve
GAP_WIDTH = 0.002  # of a log ratio
GAP_SURROUNDINGS = 0.04  # the same, to either side
MINIMUM_GROUP = 30
MINIMUM_CHANGE = 0.03  # of a log value
LARGEST_SPREAD_RATE = 0.8


@dataclass(frozen=True, kw_only=True)
class ChasingTest:
    """One test: whether it is suspicious (None: it could not be made, for `reason`), and its figures."""

    name: TestName
    is_suspicious: bool | None
    p_value: float | None = None
    reason: str | None = None
    figures: Mapping[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """What a study says of it."""
        told = {"is_suspicious": self.is_suspicious, "p_value": self.p_value, "reason": self.reason}
        return {"name": self.name, **told, "figures": dict(self.figures)}


def concentration(ratio: ArrayLike, *, level: float = 1.0) -> ChasingTest:
    """Whether more ratios than a smooth curve lets expect lie within 2 % of the level of assessment.

    The curve is a Poisson regression of counts by 1 % of the ratio on a polynomial, with the 2 % left out: the
    bunching estimator of Chetty, Friedman, Olsen and Pistaferri (2011). At least 100 ratios.
    """
    at = np.log(to_positive("ratio", ratio) / level)
    if len(at) < MINIMUM_RATIOS:
        return _untold("concentration", "too_few_sales")
    center, reach = float(np.median(at)), max(REACH_SPREADS * _spread(at), 0.1)
    edges = np.arange(np.floor((center - reach) / BIN), np.ceil((center + reach) / BIN) + 1) * BIN
    counts, _ = np.histogram(at, np.concatenate([edges, [edges[-1] + BIN]]) - 1e-9)
    middle = edges + BIN / 2
    inside = np.abs(middle) < BAND
    if not inside.any():
        return _untold("concentration", "level_far_from_ratios")
    expected, error = _curve(middle, counts.astype(float), inside)
    observed = float(counts[inside].sum())
    p_value = float(norm.sf((observed - expected) / np.hypot(np.sqrt(max(expected, 1.0)), error)))
    excess = (observed - expected) / len(at)
    matters = excess >= MINIMUM_EXCESS and observed >= MINIMUM_EXCESS_RATE * expected
    figures = {"share": observed / len(at), "expected_share": expected / len(at), "excess_share": excess}
    return _told("concentration", p_value, matters, {"sales": float(len(at)), **figures})


def cdf_gap(ratio: ArrayLike, *, level: float = 1.0) -> ChasingTest:
    """The largest jump of the distribution of ratios within 2 % of the level, against the slope around it.

    A jump is a window of 0.2 % of the ratio; chance is binomial, by as many windows as were tried. At least
    100 ratios.
    """
    at = np.sort(np.log(to_positive("ratio", ratio) / level))
    if len(at) < MINIMUM_RATIOS:
        return _untold("cdf_gap", "too_few_sales")
    starts = at[(at >= -BAND - 1e-9) & (at <= BAND - GAP_WIDTH + 1e-9)]
    if not len(starts):
        return _told("cdf_gap", 1.0, matters=False, figures={"sales": float(len(at)), "gap": 0.0})
    inside = _between(at, starts - 1e-12, starts + GAP_WIDTH)
    around = _between(at, starts - GAP_SURROUNDINGS, starts + GAP_WIDTH + GAP_SURROUNDINGS) - inside
    best = int(np.argmax(inside - (around + 1) * GAP_WIDTH / (2 * GAP_SURROUNDINGS)))
    expected_share = min((float(around[best]) + 1) * GAP_WIDTH / (2 * GAP_SURROUNDINGS) / len(at), 1.0)
    share = float(inside[best]) / len(at)
    windows = 2 * BAND / GAP_WIDTH * 10  # windows overlap: ten times as many as lie side by side
    p_value = min(1.0, float(binom.sf(inside[best] - 1, len(at), expected_share)) * windows)
    figures = {"gap": share - expected_share, "share": share, "at_ratio": float(level * np.exp(starts[best]))}
    return _told("cdf_gap", p_value, share - expected_share >= MINIMUM_EXCESS, {"sales": float(len(at)), **figures})


def sold_unsold_change(
    sold_change: ArrayLike,
    unsold_change: ArrayLike,
    *,
    sold_stratum: ArrayLike | None = None,
    unsold_stratum: ArrayLike | None = None,
) -> ChasingTest:
    """Whether the values of sold properties changed otherwise than those of unsold ones.

    Changes are new over old value. With strata (neighbourhoods, kinds) each is taken against the median of the
    unsold of its stratum. Mann-Whitney; at least 30 of each, and 3 % between the medians.
    """
    sold, unsold = np.log(to_positive("sold_change", sold_change)), np.log(to_positive("unsold_change", unsold_change))
    if sold_stratum is not None and unsold_stratum is not None:
        sold, unsold = _within(sold, unsold, np.asarray(sold_stratum), np.asarray(unsold_stratum))
    if min(len(sold), len(unsold)) < MINIMUM_GROUP:
        return _untold("sold_unsold_change", "too_few_properties")
    difference = float(np.median(sold) - np.median(unsold))
    p_value = float(mannwhitneyu(sold, unsold, alternative="two-sided", method="asymptotic").pvalue)
    figures = {"sold": float(len(sold)), "unsold": float(len(unsold)), "difference": float(np.expm1(difference))}
    return _told("sold_unsold_change", p_value, abs(difference) >= MINIMUM_CHANGE, figures)


def split_sample(ratio: ArrayLike, days_after_roll: ArrayLike) -> ChasingTest:
    """Whether ratios of sales before the roll was made are closer together than those of sales after it.

    A value cannot have been set to a price that was paid later. Each ratio against its half's median, which a
    rising market moves; Mann-Whitney, one-sided. At least 30 in each half, and a spread at most 0.8 times.
    """
    ratios, days = np.log(to_positive("ratio", ratio)), to_floats("days_after_roll", days_after_roll)
    require_same_length(ratio=ratios, days_after_roll=days)
    before, after = ratios[days <= 0], ratios[days > 0]
    if min(len(before), len(after)) < MINIMUM_GROUP:
        return _untold("split_sample", "too_few_sales")
    near, far = np.abs(before - np.median(before)), np.abs(after - np.median(after))
    p_value = float(mannwhitneyu(near, far, alternative="less", method="asymptotic").pvalue)
    rate = float(near.mean() / max(far.mean(), 1e-12))
    figures = {
        "sales_before": float(len(before)),
        "sales_after": float(len(after)),
        "spread_before": float(near.mean()),
        "spread_after": float(far.mean()),
        "median_before": float(np.exp(np.median(before))),
        "median_after": float(np.exp(np.median(after))),
    }
    return _told("split_sample", p_value, rate <= LARGEST_SPREAD_RATE, figures)


def _told(name: TestName, p_value: float, matters: bool, figures: dict[str, float]) -> ChasingTest:  # noqa: FBT001
    speaks = bool(matters and p_value < SIGNIFICANCE)
    return ChasingTest(name=name, is_suspicious=speaks, p_value=p_value, figures=figures)


def _untold(name: TestName, reason: str) -> ChasingTest:
    return ChasingTest(name=name, is_suspicious=None, reason=reason)


def _spread(values: Floats) -> float:
    return 1.4826 * float(np.median(np.abs(values - np.median(values))))


def _between(ordered: Floats, low: Floats, high: Floats) -> NDArray[np.int64]:
    return np.searchsorted(ordered, high, side="right") - np.searchsorted(ordered, low, side="left")


def _curve(middle: Floats, counts: Floats, inside: NDArray[np.bool_]) -> tuple[float, float]:
    """Counts that a smooth curve through the outside has inside, and their standard error."""
    scaled = (middle - middle.mean()) / max(float(np.ptp(middle)) / 2, BIN)
    x = np.polynomial.legendre.legvander(scaled, CURVE_DEGREE)
    outside = ~inside
    linear = np.log(counts[outside] + 0.5)
    solved = np.zeros(x.shape[1])
    ridge = 1e-3 * np.eye(x.shape[1])
    for _ in range(25):
        mean = np.exp(np.clip(linear, -10, 20))
        working = linear + (counts[outside] - mean) / mean
        weighted = x[outside] * mean[:, None]
        solved = np.linalg.solve(x[outside].T @ weighted + ridge, weighted.T @ working)
        linear = x[outside] @ solved
    mean = np.exp(np.clip(linear, -10, 20))
    degrees = max(int(outside.sum()) - x.shape[1], 1)
    scatter = max(1.0, float(np.sum((counts[outside] - mean) ** 2 / np.maximum(mean, 0.5))) / degrees)
    covariance = scatter * np.linalg.inv(x[outside].T @ (x[outside] * mean[:, None]) + ridge)
    inner = np.exp(np.clip(x[inside] @ solved, -10, 20))
    slope = inner @ x[inside]
    return float(inner.sum()), float(np.sqrt(slope @ covariance @ slope))


def _within(
    sold: Floats, unsold: Floats, sold_stratum: NDArray[Any], unsold_stratum: NDArray[Any]
) -> tuple[Floats, Floats]:
    """Changes against the median of the unsold of the stratum; strata without unsold ones are left out."""
    require_same_length(sold_change=sold, sold_stratum=sold_stratum)
    require_same_length(unsold_change=unsold, unsold_stratum=unsold_stratum)
    frame = pl.DataFrame({"stratum": unsold_stratum.astype(str), "change": unsold})
    medians = dict(frame.group_by("stratum").agg(pl.col("change").median()).iter_rows())
    known = np.array([str(stratum) in medians for stratum in sold_stratum], dtype=bool)
    sold_level = np.array([medians[str(stratum)] for stratum in sold_stratum[known]], dtype=float)
    return sold[known] - sold_level, unsold - np.array([medians[str(one)] for one in unsold_stratum], dtype=float)
