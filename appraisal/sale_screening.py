"""Which sales are evidence of market value."""

from dataclasses import dataclass
from datetime import date

import polars as pl

from appraisal.sale_qualification import decided_reasons, statistics_reason


@dataclass(frozen=True, kw_only=True)
class ScreeningRules:
    """What a sale must be to count; dates are inclusive."""

    from_date: date
    to_date: date
    minimum_price_usd: float = 1_000.0


def screen_sales(sales: pl.DataFrame, rules: ScreeningRules) -> tuple[pl.DataFrame, dict[str, int]]:
    """The sales that count, ordered by date and id, and how many were refused for which reason.

    Needs sale_id, sale_date, sale_price_usd; is_qualified, parcel_count, decision and statistics_reason are
    honoured where present, as `appraisal.sale_qualification` has it. A sale is refused for the first reason that
    holds: `no_date`, `no_price` (missing, infinite or not positive), `nominal_price`, `after_period`,
    `before_period`, `invalid_by_review`, `not_qualified` (also when not known), `several_parcels`, or the reason
    of the finding by which statistics take it out. Rules of thumb of the IAAO Standard on Verification and
    Adjustment of Sales, chapter 5.
    """
    price = pl.col("sale_price_usd").cast(pl.Float64, strict=False)
    day = pl.col("sale_date").cast(pl.Date)
    reasons: dict[str, pl.Expr] = {
        "no_date": day.is_null(),
        "no_price": price.is_null() | ~price.is_finite() | (price <= 0),
        "nominal_price": price < rules.minimum_price_usd,
        "after_period": day > rules.to_date,
        "before_period": day < rules.from_date,
    }
    reasons |= decided_reasons(sales.columns)
    if "parcel_count" in sales.columns:
        reasons["several_parcels"] = pl.col("parcel_count").fill_null(1) > 1
    told = (pl.when(holds).then(pl.lit(reason)) for reason, holds in reasons.items())
    first = pl.coalesce(*told, statistics_reason(sales.columns))
    judged = sales.with_columns(_refused=first, sale_price_usd=price, sale_date=day)
    counts = judged.filter(pl.col("_refused").is_not_null()).group_by("_refused").len().sort("_refused")
    kept = judged.filter(pl.col("_refused").is_null()).drop("_refused").sort("sale_date", "sale_id")
    return kept, dict(counts.iter_rows())
