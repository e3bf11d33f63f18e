"""How prices moved: a hedonic time trend and a monthly index, the mix of what sold held constant.

Ordinary least squares of log price on time and the controls. Time is regressed on what the controls leave
of it (Frisch, Waugh and Lovell), so that controls may be collinear with one another without harm.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from appraisal.arrays import (
    Floats,
    Integers,
    Interval,
    require_confidence,
    require_same_length,
    to_floats,
    to_positive,
)
from appraisal.distributions import student_t_two_sided
from appraisal.errors import LengthMismatchError, NotNumericError, TooFewSalesError, TrendNotIdentifiedError
from appraisal.month_levels import (
    NEGLIGIBLE,
    MonthIndex,
    base_month,
    left_over,
    month_levels,
    orthonormal_basis,
    silent_index,
)


@dataclass(frozen=True, kw_only=True)
class PriceTrend:
    """Compound monthly price change in percent, and the index month by month (months as they were given)."""

    sales: int
    monthly_trend_percent: float
    monthly_trend_percent_interval: Interval
    base_month: int | None
    months: tuple[MonthIndex, ...]

    def to_json(self) -> dict[str, Any]:
        """A dictionary that JSON can hold."""
        return {
            "sales": self.sales,
            "monthly_trend_percent": self.monthly_trend_percent,
            "monthly_trend_percent_interval": list(self.monthly_trend_percent_interval),
            "base_month": self.base_month,
            "months": [
                {
                    "month": month.month,
                    "sales": month.sales,
                    "index": month.index,
                    "index_interval": None if month.interval is None else list(month.interval),
                }
                for month in self.months
            ],
        }


def price_trend(
    sale_price: ArrayLike,
    month: ArrayLike,
    controls: ArrayLike | None = None,
    *,
    confidence: float = 0.95,
    minimum_sales: int = 30,
    minimum_sales_per_month: int = 5,
) -> PriceTrend:
    """Trend and index of sale prices (USD) over whole months, controls given as a design matrix.

    One row per sale, no intercept column needed. Refuses fewer than `minimum_sales` or too few for the
    number of controls (too_few_sales), and months that the controls explain (trend_not_identified).
    """
    log_price, months, design = checked_sales(sale_price, month, controls)
    require_confidence(confidence)
    if len(log_price) < minimum_sales:
        raise TooFewSalesError(f"a price trend needs at least {minimum_sales} sales, not {len(log_price)}")
    basis = orthonormal_basis(design)
    price_left = left_over(basis, log_price)
    low, middle, high = _trend(basis, price_left, months, confidence)
    base, index = _index(basis, price_left, months, confidence, minimum_sales=minimum_sales_per_month)
    return PriceTrend(
        sales=len(log_price),
        monthly_trend_percent=_percent(middle),
        monthly_trend_percent_interval=(_percent(low), _percent(high)),
        base_month=base,
        months=index,
    )


def month_number(dates: ArrayLike) -> Integers:
    """Months since January 1970 of dates, as `price_trend` takes them; refuses missing dates."""
    months = np.asarray(dates, dtype="datetime64[M]")
    if np.isnat(months).any():
        raise NotNumericError("a sale date is missing")
    return months.astype(np.int64)


def indicator_columns(labels: ArrayLike, *, minimum_sales: int = 5) -> Floats:
    """Columns of 0 and 1 for a design matrix, one per label with enough sales, the commonest left out.

    Sales of rarer labels have 0 in all of them: they count with the commonest.
    """
    names, place, count = np.unique(np.asarray(labels).astype(str), return_inverse=True, return_counts=True)
    common = [i for i in np.argsort(-count, kind="stable")[1:] if count[i] >= minimum_sales]
    columns = np.zeros((len(place), len(common)))
    for column, label in enumerate(sorted(common, key=lambda i: str(names[i]))):
        columns[:, column] = place == label
    return columns


def time_factor(monthly_trend_percent: float, months: ArrayLike) -> Floats:
    """What a price is multiplied by to carry it `months` months forward at a compound trend."""
    return np.power(1 + monthly_trend_percent / 100, to_floats("months", months))


def checked_sales(
    sale_price: ArrayLike, month: ArrayLike, controls: ArrayLike | None
) -> tuple[Floats, Integers, Floats]:
    """Log prices, months and controls as arrays of one length, or a refusal."""
    log_price = np.log(to_positive("sale_price", sale_price))
    given = to_floats("month", month)
    extra = np.empty((len(log_price), 0)) if controls is None else to_floats("controls", controls)
    extra = extra[:, None] if extra.ndim == 1 else extra
    if given.ndim != 1 or extra.ndim != 2:
        raise LengthMismatchError("month must be one column and controls a matrix with a row per sale")
    require_same_length(sale_price=log_price, month=given, controls=extra)
    if not (np.isfinite(given).all() and np.isfinite(extra).all()):
        raise NotNumericError("month and controls may hold no missing or infinite number")
    if (given != np.floor(given)).any():
        raise NotNumericError("month must be whole months")
    return log_price, given.astype(np.int64), extra


def _trend(basis: Floats, price_left: Floats, months: Integers, confidence: float) -> tuple[float, float, float]:
    """Low end, estimate and high end of the monthly change in log price."""
    degrees = len(months) - basis.shape[1] - 1
    if degrees < 1:
        raise TooFewSalesError(f"{len(months)} sales are too few for {basis.shape[1]} controls")
    since = (months - months.min()).astype(np.float64)
    month_left = left_over(basis, since)
    spread = float(month_left @ month_left)
    if spread <= NEGLIGIBLE * max(1.0, float(since @ since)):
        raise TrendNotIdentifiedError("all sales are of one month, or the controls explain the month")
    slope = float(month_left @ price_left) / spread
    residual = price_left - slope * month_left
    error = float(np.sqrt(residual @ residual / degrees / spread))
    reach = student_t_two_sided(confidence, degrees=degrees) * error
    return slope - reach, slope, slope + reach


def _index(
    basis: Floats, price_left: Floats, months: Integers, confidence: float, *, minimum_sales: int
) -> tuple[int | None, tuple[MonthIndex, ...]]:
    """The base month (the first with enough sales) and every month's level against it."""
    names, counts = np.unique(months, return_counts=True)
    base = base_month(names, counts, minimum_sales)
    levels = None if base is None else month_levels(basis, price_left, months, base)
    if levels is None:
        return base, silent_index(names, counts)
    return base, levels.to_index(names, counts, confidence=confidence, minimum_sales=minimum_sales)


def _percent(log_change: float) -> float:
    return 100 * float(np.expm1(log_change))
