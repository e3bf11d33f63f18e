"""Properties that sold twice, and what they say of the market."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from appraisal.errors import AppraisalError
from appraisal.month_levels import MonthIndex
from appraisal.repeat_sales import RepeatSalesIndex, repeat_sales_index
from contracts.api.market import RepeatSales
from services.market.domain.mix import Mix
from services.market.domain.months import month_date

SAME_PROPERTY = 0.01  # how far living area and year built of the two sales may differ


@dataclass(frozen=True)
class PairStudy:
    """What is said of the pairs, and their index by month where there is one."""

    told: RepeatSales
    months: dict[int, MonthIndex]


def study_pairs(sales: pl.DataFrame, mix: Mix | None, *, confidence: float, minimum_month_pairs: int) -> PairStudy:
    """The repeat-sales index of consecutive sales of a parcel, in different months, of the same house.

    A pair is left out as `price_unexplained` where either price is far from what characteristics say.
    """
    pairs, left_out = _pairs(sales, mix)
    try:
        found = repeat_sales_index(
            (pairs["first_price"].to_numpy(), pairs["sale_price_usd"].to_numpy()),
            (pairs["first_month"].to_numpy(), pairs["month"].to_numpy()),
            confidence=confidence,
            minimum_pairs_per_month=minimum_month_pairs,
        )
    except AppraisalError as error:
        return PairStudy(_told(pairs.height, left_out, None, reason=_reason(error, pairs.height)), {})
    return PairStudy(_told(pairs.height, left_out, found, reason=None), {month.month: month for month in found.months})


def _pairs(sales: pl.DataFrame, mix: Mix | None) -> tuple[pl.DataFrame, dict[str, int]]:
    """Pairs that say something of the market, and how many do not, by the first reason that holds."""
    day = pl.col("sale_date")
    area, built = (pl.col(name).cast(pl.Float64).fill_nan(None) for name in ("living_area_sqft", "year_built"))
    usable = np.ones(sales.height, dtype=bool) if mix is None else mix.usable
    before = {
        "first_price": pl.col("sale_price_usd"),
        "first_month": pl.col("month"),
        "first_usable": pl.col("usable"),
        "first_area": area,
        "first_built": built,
    }
    every = (
        sales.with_columns(month=(day.dt.year() - 1970) * 12 + day.dt.month().cast(pl.Int32) - 1, usable=usable)
        .sort("parcel_id", "sale_date", "sale_id")
        .with_columns(**{name: column.shift(1).over("parcel_id") for name, column in before.items()})
        .filter(pl.col("first_price").is_not_null() & pl.col("parcel_id").is_not_null())
    )
    changed = ((area / pl.col("first_area")).log().abs() > SAME_PROPERTY) | (built != pl.col("first_built"))
    reasons = {
        "same_month": pl.col("month") <= pl.col("first_month"),
        "changed_between": changed.fill_null(value=False),
        "price_unexplained": ~(pl.col("usable") & pl.col("first_usable")),
    }
    first = pl.coalesce(*(pl.when(holds).then(pl.lit(reason)) for reason, holds in reasons.items()))
    judged = every.with_columns(_refused=first)
    counts = judged.filter(pl.col("_refused").is_not_null()).group_by("_refused").len().sort("_refused")
    return judged.filter(pl.col("_refused").is_null()), dict(counts.iter_rows())


def _reason(error: AppraisalError, pairs: int) -> str:
    return "no_repeat_sales" if not pairs else "too_few_pairs" if error.code == "too_few_sales" else error.code


def _told(pairs: int, left_out: dict[str, int], found: RepeatSalesIndex | None, *, reason: str | None) -> RepeatSales:
    return RepeatSales(
        pairs=pairs,
        base_month=month_date(found.base_month) if found else None,
        pairs_left_out=left_out,
        reason=reason,
        monthly_trend_percent=found.monthly_trend_percent if found else None,
        monthly_trend_interval=found.monthly_trend_percent_interval if found else None,
        jump_percent=found.jump_percent if found else None,
        jump_interval=found.jump_percent_interval if found else None,
    )
