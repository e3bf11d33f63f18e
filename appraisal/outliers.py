"""Outlier ratios by the interquartile range, as the IAAO describes; trimming is never done silently."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from appraisal.arrays import to_positive
from appraisal.errors import ArgumentOutOfRangeError, TooFewSalesError

OUTLIER = 1.5  # interquartile ranges beyond a quartile: an outlier
EXTREME_OUTLIER = 3.0  # the same: an extreme outlier, what the IAAO would trim first
FEWEST_SALES = 4  # quartiles of fewer ratios are the ratios themselves


@dataclass(frozen=True, kw_only=True)
class Trim:
    """Which ratios were kept and where the fences stood; nothing is trimmed where multiplier is None."""

    keep: NDArray[np.bool_]
    multiplier: float | None
    low_fence: float | None
    high_fence: float | None
    low_count: int
    high_count: int

    @property
    def trimmed_count(self) -> int:
        """How many ratios were trimmed, low and high."""
        return self.low_count + self.high_count

    @property
    def trimmed_share(self) -> float:
        """Trimmed ratios as a fraction of all; a study that trims must report it."""
        return self.trimmed_count / len(self.keep) if len(self.keep) else 0.0

    def to_json(self) -> dict[str, Any]:
        """What a report of a trimmed study has to say."""
        return {
            "multiplier": self.multiplier,
            "low_fence": self.low_fence,
            "high_fence": self.high_fence,
            "low_count": self.low_count,
            "high_count": self.high_count,
            "trimmed_share": self.trimmed_share,
        }


def trim_ratios(ratio: ArrayLike, *, multiplier: float | None = None) -> Trim:
    """Mark ratios more than `multiplier` interquartile ranges beyond the quartiles; None trims nothing.

    Quartiles stand at places 0.25 (n + 1) and 0.75 (n + 1) of the ordered ratios, interpolated; a ratio on
    a fence is kept. Source: IAAO Standard on Ratio Studies (2013), appendix B.
    """
    ratios = to_positive("ratio", ratio)
    if multiplier is None:
        everything = np.ones(len(ratios), dtype=np.bool_)
        return Trim(keep=everything, multiplier=None, low_fence=None, high_fence=None, low_count=0, high_count=0)
    if not 0 < multiplier < np.inf:
        raise ArgumentOutOfRangeError(f"multiplier must be above zero, not {multiplier}")
    if len(ratios) < FEWEST_SALES:
        raise TooFewSalesError(f"trimming needs at least {FEWEST_SALES} sales, not {len(ratios)}")
    first, third = np.quantile(ratios, [0.25, 0.75], method="weibull")
    low, high = first - multiplier * (third - first), third + multiplier * (third - first)
    return Trim(
        keep=(ratios >= low) & (ratios <= high),
        multiplier=multiplier,
        low_fence=float(low),
        high_fence=float(high),
        low_count=int(np.sum(ratios < low)),
        high_count=int(np.sum(ratios > high)),
    )
