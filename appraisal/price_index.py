"""The hedonic price index by month: month levels beside the controls, smoothed as far as the sales allow."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from appraisal.arrays import require_confidence
from appraisal.errors import TooFewSalesError
from appraisal.month_levels import MonthIndex, MonthLevels, base_month, left_over, month_levels, orthonormal_basis
from appraisal.price_trend import checked_sales
from appraisal.smooth_path import smooth_path


@dataclass(frozen=True, kw_only=True)
class PriceIndex:
    """Price level by month, base month = 100: smooth, and as each month's sales alone have it (`unsmoothed`).

    `levels` are the unsmoothed log levels with their covariance, for what is learnt from them further.
    """

    sales: int
    base_month: int
    months: tuple[MonthIndex, ...]
    unsmoothed: tuple[MonthIndex, ...]
    levels: MonthLevels


def price_index(
    sale_price: ArrayLike,
    month: ArrayLike,
    controls: ArrayLike | None = None,
    *,
    confidence: float = 0.95,
    minimum_sales: int = 30,
    minimum_sales_per_month: int = 5,
) -> PriceIndex:
    """Index of sale prices (USD) over whole months, controls given as for `price_trend`.

    Refuses (too_few_sales) fewer than `minimum_sales`, too few for the controls, or no month that has enough.
    """
    log_price, months, design = checked_sales(sale_price, month, controls)
    require_confidence(confidence)
    if len(log_price) < minimum_sales:
        raise TooFewSalesError(f"a price index needs at least {minimum_sales} sales, not {len(log_price)}")
    names, counts = np.unique(months, return_counts=True)
    base = base_month(names, counts, minimum_sales_per_month)
    basis = orthonormal_basis(design)
    levels = None if base is None else month_levels(basis, left_over(basis, log_price), months, base)
    if base is None or levels is None:
        raise TooFewSalesError("no month has enough sales for an index, or the sales are too few for the controls")
    smooth = smooth_path(levels)
    return PriceIndex(
        sales=len(log_price),
        base_month=base,
        months=smooth.to_index(names, counts, confidence=confidence, minimum_sales=minimum_sales_per_month),
        unsmoothed=levels.to_index(names, counts, confidence=confidence, minimum_sales=minimum_sales_per_month),
        levels=levels,
    )
