"""The months of a segment: three indices side by side, so that a shift of the mix is seen."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl

from appraisal.arrays import Interval
from appraisal.month_levels import MonthIndex
from appraisal.price_index import PriceIndex
from appraisal.ratio_statistics import median_interval
from contracts.api.market import AreaBasis, IndexPoint
from services.market.domain.mix import FloatArray
from services.market.domain.prices import interval_of_median, median, price_per_sqft

MINIMUM_MONTH_SALES = 5


@dataclass(frozen=True)
class _Median:
    """Median log price per area of a month and its interval."""

    middle: float
    low: float
    high: float


def index_points(
    sales: pl.DataFrame,
    index: PriceIndex | None,
    pairs: Mapping[int, MonthIndex],
    *,
    basis: AreaBasis | None,
    confidence: float,
) -> list[IndexPoint]:
    """Every month from the first sale to the last, also those without sales."""
    if not sales.height:
        return []
    by_month = {_number(day): group for (day,), group in sales.group_by(pl.col("sale_date").dt.truncate("1mo"))}
    smooth = {month.month: month for month in index.months} if index else {}
    alone = {month.month: month for month in index.unsmoothed} if index else {}
    base = index.base_month if index else None
    base_median = _median(price_per_sqft(by_month[base], basis), confidence) if base in by_month else None
    points = []
    for number in range(min(by_month), max(by_month) + 1):
        group = by_month.get(number, sales.clear())
        point = _point(number, group, smooth.get(number), basis=basis, confidence=confidence)
        beside = _beside(alone.get(number), pairs.get(number))
        if base_median is not None:
            beside |= _against(base_median, group, point, basis=basis, confidence=confidence, is_base=number == base)
        points.append(point.model_copy(update=beside))
    return points


def month_date(number: int) -> date:
    """The first day of a month counted from January 1970."""
    return date(1970 + number // 12, number % 12 + 1, 1)


def _number(day: object) -> int:
    if not isinstance(day, date):
        raise TypeError("screened sales have dates")
    return (day.year - 1970) * 12 + day.month - 1


def _point(
    number: int, sales: pl.DataFrame, level: MonthIndex | None, *, basis: AreaBasis | None, confidence: float
) -> IndexPoint:
    known = level is not None and level.index is not None
    per_sqft = price_per_sqft(sales, basis)
    return IndexPoint(
        month=month_date(number),
        index=level.index if level else None,
        interval=level.interval if level else None,
        reason=None if known else f"fewer than {MINIMUM_MONTH_SALES} usable sales",
        sales=sales.height,
        median_price_usd=median(sales["sale_price_usd"].to_numpy()),
        median_price_per_sqft_usd=median(per_sqft),
        median_price_per_sqft_interval_usd=interval_of_median(per_sqft, confidence),
    )


def _beside(alone: MonthIndex | None, pair: MonthIndex | None) -> dict[str, object]:
    return {
        "unsmoothed_index": alone.index if alone else None,
        "unsmoothed_interval": alone.interval if alone else None,
        "repeat_sales_index": pair.index if pair else None,
        "repeat_sales_interval": pair.interval if pair else None,
        "repeat_sales_pairs": pair.sales if pair else 0,
    }


def _against(
    base: _Median,
    sales: pl.DataFrame,
    point: IndexPoint,
    *,
    basis: AreaBasis | None,
    confidence: float,
    is_base: bool,
) -> dict[str, object]:
    """The median price per area against the base month's, and how far the index is from it."""
    found = _median(price_per_sqft(sales, basis), confidence)
    if found is None:
        return {}
    at = 100 * float(np.exp(found.middle - base.middle))
    shift = None if point.index is None else 100 * (at / point.index - 1)
    return {
        "median_index": at,
        "median_index_interval": None if is_base else _interval_of_ratio(found, base),
        "mix_shift_percent": shift,
    }


def _median(values: FloatArray, confidence: float) -> _Median | None:
    interval = median_interval(np.log(values), confidence) if len(values) >= MINIMUM_MONTH_SALES else None
    return None if interval is None else _Median(float(np.median(np.log(values))), *interval)


def _interval_of_ratio(one: _Median, other: _Median) -> Interval:
    """Of the ratio of two medians that know nothing of each other: their reaches add as squares do."""
    down = np.hypot(one.middle - one.low, other.high - other.middle)
    up = np.hypot(one.high - one.middle, other.middle - other.low)
    apart = one.middle - other.middle
    return 100 * float(np.exp(apart - down)), 100 * float(np.exp(apart + up))
