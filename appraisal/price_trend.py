"""How prices moved: a hedonic time trend and a monthly index, the mix of what sold held constant.

Ordinary least squares of log price on time and the controls. Time is regressed on what the controls leave
of it (Frisch, Waugh and Lovell), so that controls may be collinear with one another without harm.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

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

_NEGLIGIBLE = 1e-9  # share of a column's variation below which the controls explain all of it


@dataclass(frozen=True, kw_only=True)
class MonthIndex:
    """Price level of one month, base month = 100; None where the month's sales are too few to say."""

    month: int
    sales: int
    index: float | None
    interval: Interval | None


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
    log_price, months, design = _checked(sale_price, month, controls)
    require_confidence(confidence)
    if len(log_price) < minimum_sales:
        raise TooFewSalesError(f"a price trend needs at least {minimum_sales} sales, not {len(log_price)}")
    basis = _orthonormal_basis(design)
    price_left = _left_over(basis, log_price)
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


def _checked(sale_price: ArrayLike, month: ArrayLike, controls: ArrayLike | None) -> tuple[Floats, Integers, Floats]:
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


def _orthonormal_basis(controls: Floats) -> Floats:
    """Independent directions of the controls and the intercept; collinear columns fall together."""
    centered = controls - controls.mean(axis=0)
    lengths = np.linalg.norm(centered, axis=0)
    varies = lengths > _NEGLIGIBLE * np.linalg.norm(controls, axis=0)  # a constant is the intercept again
    design = np.column_stack([np.full(len(controls), len(controls) ** -0.5), centered[:, varies] / lengths[varies]])
    left, sizes, _ = np.linalg.svd(design, full_matrices=False)
    basis: Floats = left[:, sizes > sizes[0] * max(design.shape) * np.finfo(np.float64).eps]
    return basis


def _left_over(basis: Floats, values: Floats) -> Floats:
    """What the controls do not explain of a column or of each column of a matrix."""
    left: Floats = values - basis @ (basis.T @ values)
    return left


def _trend(basis: Floats, price_left: Floats, months: Integers, confidence: float) -> tuple[float, float, float]:
    """Low end, estimate and high end of the monthly change in log price."""
    degrees = len(months) - basis.shape[1] - 1
    if degrees < 1:
        raise TooFewSalesError(f"{len(months)} sales are too few for {basis.shape[1]} controls")
    since = (months - months.min()).astype(np.float64)
    month_left = _left_over(basis, since)
    spread = float(month_left @ month_left)
    if spread <= _NEGLIGIBLE * max(1.0, float(since @ since)):
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
    enough = counts >= max(1, minimum_sales)
    if not enough.any():
        return None, tuple(_silent(name, count) for name, count in zip(names, counts, strict=True))
    base = int(names[np.argmax(enough)])
    others = names[names != base]
    levels = _levels(basis, price_left, months[:, None] == others, confidence)
    by_month = dict(zip(others.tolist(), levels, strict=True))
    index = [
        MonthIndex(month=base, sales=int(count), index=100.0, interval=None)
        if name == base
        else _month_index(int(name), int(count), by_month[int(name)] if plenty else None)
        for name, count, plenty in zip(names, counts, enough, strict=True)
    ]
    return base, tuple(index)


def _levels(
    basis: Floats, price_left: Floats, is_month: NDArray[np.bool_], confidence: float
) -> list[tuple[float, float] | None]:
    """Log level of each month and how far its interval reaches; None where it cannot be told."""
    degrees = len(price_left) - basis.shape[1] - is_month.shape[1]
    if degrees < 1:
        return [None] * is_month.shape[1]
    month_left = _left_over(basis, is_month.astype(np.float64))
    sizes, directions = np.linalg.eigh(month_left.T @ month_left)
    seen = sizes > _NEGLIGIBLE * max(1.0, float(sizes.max(initial=0.0)))
    inverse = (directions[:, seen] / sizes[seen]) @ directions[:, seen].T
    level = inverse @ (month_left.T @ price_left)
    residual = price_left - month_left @ level
    degrees = len(price_left) - basis.shape[1] - int(seen.sum())
    error = np.sqrt(float(residual @ residual) / degrees * np.diag(inverse))
    reach = student_t_two_sided(confidence, degrees=degrees) * error
    blurred = np.linalg.norm(directions[:, ~seen], axis=1) > 1e-6
    return [
        None if unknown else (float(at), float(width)) for at, width, unknown in zip(level, reach, blurred, strict=True)
    ]


def _month_index(name: int, count: int, level: tuple[float, float] | None) -> MonthIndex:
    if level is None:
        return _silent(name, count)
    at, reach = level
    interval = (100 * float(np.exp(at - reach)), 100 * float(np.exp(at + reach)))
    return MonthIndex(month=name, sales=count, index=100 * float(np.exp(at)), interval=interval)


def _silent(name: int, count: int) -> MonthIndex:
    return MonthIndex(month=int(name), sales=int(count), index=None, interval=None)


def _percent(log_change: float) -> float:
    return 100 * float(np.expm1(log_change))
