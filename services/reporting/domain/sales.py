"""Which sales a ratio study counts, which it leaves out and why, and the groups they fall into."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from appraisal.sale_qualification import decided_reasons, statistics_reason
from contracts.api.reporting import RatioStudyArguments, RatioStudyGroup

SALE_COLUMNS: dict[str, pl.DataType | type[pl.DataType]] = {
    "sale_id": pl.String,
    "parcel_id": pl.String,
    "parcel_number": pl.String,
    "situs_address": pl.String,
    "use_code": pl.String,
    "neighborhood": pl.String,
    "year_built": pl.Int64,
    "sale_date": pl.Date,
    "sale_price_usd": pl.Float64,
    "adjusted_price_usd": pl.Float64,
    "is_qualified": pl.Boolean,
    "validity_code": pl.String,
    "parcel_count": pl.Int64,
    "decision": pl.String,
    "statistics_reason": pl.String,
    "estimate_usd": pl.Float64,
}
OUTLIER_FENCE_IQR = 3.0
MINIMUM_SALES_TO_TRIM = 20
UNKNOWN = "(not recorded)"
AGE_BANDS = (
    (6, "0 to 5 years"),
    (11, "6 to 10 years"),
    (21, "11 to 20 years"),
    (41, "21 to 40 years"),
    (61, "41 to 60 years"),
    (101, "61 to 100 years"),
)
OLDEST = "Over 100 years"
REASONS: dict[str, str] = {
    "no_parcel": "The parcel is not on the working roll",
    "no_price": "No sale price above zero",
    "below_minimum_price": "Price below the study's minimum",
    "no_estimate": "The parcel has no value under study",
    "several_parcels": "Several parcels in one sale",
    "not_reviewed": "Not reviewed for validity",
    "invalid_by_review": "Called invalid by a person who reviewed it",
    "not_qualified": "Not an arm's-length sale by the county's validity code",
    "price_too_high": "By statistics: price far above what the market expects",
    "price_too_low": "By statistics: price far below what the market expects",
    "deed_type_below_market": "By statistics: a type of deed that sells below the market",
    "flip": "By statistics: sold again within a year at another price",
    "bulk": "By statistics: several parcels on one day at one price",
    "forced_sale": "By its deed: a sale under force",
    "nonmarket_deed": "By its deed: no market price",
    "token_price": "By statistics: a token price",
    "built_after_sale": "By statistics: the building on record is newer than the sale",
    "repeated_entry": "By statistics: the same sale under another number",
    "outlier": "Ratio outside the outlier fences",
}


@dataclass(frozen=True, slots=True)
class Screened:
    """The sales used (with price_usd and ratio), those left out (with reason), and the fences applied."""

    used: pl.DataFrame
    left_out: pl.DataFrame
    untrimmed: pl.DataFrame
    fences: tuple[float, float] | None


def screen(sales: pl.DataFrame, arguments: RatioStudyArguments) -> Screened:
    """Part the sales of the window into used and left out, each of these for the first reason that holds.

    The price is the adjusted one where the county recorded one above zero, else the sale price. USD.
    """
    price = pl.when(_usable("adjusted_price_usd")).then("adjusted_price_usd").otherwise("sale_price_usd")
    judged = (
        sales.with_columns(price.alias("price_usd"))
        .with_columns(ratio=pl.col("estimate_usd") / pl.col("price_usd"), reason=_reason(arguments))
        .sort("sale_date", "sale_id", "parcel_id")
    )
    untrimmed = judged.filter(pl.col("reason").is_null())
    fences = outlier_fences(untrimmed["ratio"].to_numpy()) if arguments.trim_outliers else None
    if fences is not None:
        outlying = pl.col("reason").is_null() & ~pl.col("ratio").is_between(*fences)
        judged = judged.with_columns(reason=pl.when(outlying).then(pl.lit("outlier")).otherwise(pl.col("reason")))
    used = judged.filter(pl.col("reason").is_null()).drop("reason")
    return Screened(used, judged.filter(pl.col("reason").is_not_null()), untrimmed, fences)


def _reason(arguments: RatioStudyArguments) -> pl.Expr:
    price = pl.col("sale_price_usd")
    tests: dict[str, pl.Expr] = {
        "no_parcel": pl.col("parcel_number").is_null(),
        "no_price": ~_usable("sale_price_usd"),
        "below_minimum_price": price < arguments.minimum_price_usd,
        "no_estimate": ~_usable("estimate_usd"),
        "several_parcels": pl.col("parcel_count").fill_null(1) > 1,
    }
    if not arguments.qualified_only:
        return _first(tests)
    tests["not_reviewed"] = pl.col("is_qualified").is_null() & pl.col("decision").ne_missing("valid")
    return pl.coalesce(_first(tests | decided_reasons(SALE_COLUMNS)), statistics_reason(SALE_COLUMNS))


def _first(tests: dict[str, pl.Expr]) -> pl.Expr:
    return pl.coalesce(*(pl.when(holds).then(pl.lit(reason)) for reason, holds in tests.items()))


def _usable(column: str) -> pl.Expr:
    """A finite amount above zero: the database's numeric type knows NaN too."""
    amount = pl.col(column)
    return (amount.is_finite() & (amount > 0)).fill_null(value=False)


def outlier_fences(ratios: np.ndarray[tuple[int], np.dtype[np.float64]]) -> tuple[float, float] | None:
    """The lowest and highest ratio kept: quartiles less and plus 3.0 times the interquartile range.

    None for fewer than 20 sales, where a quartile is too uncertain to discard by. Source: IAAO Standard
    on Ratio Studies (2013), Appendix B; quartiles are interpolated linearly.
    """
    if len(ratios) < MINIMUM_SALES_TO_TRIM:
        return None
    lower, upper = np.percentile(ratios, [25, 75])
    reach = OUTLIER_FENCE_IQR * (upper - lower)
    return float(lower - reach), float(upper + reach)


def value_proxy_usd(used: pl.DataFrame, median: float) -> pl.Series:
    """Half the price and half the value brought to market level, USD: orders sales by value without bias.

    Grouping by price alone makes fair values look regressive and by value alone progressive (IAAO
    Standard on Ratio Studies, 2013, Appendix D).
    """
    return (0.5 * used["price_usd"] + 0.5 * used["estimate_usd"] / median).alias("value_proxy_usd")


def with_groups(used: pl.DataFrame, median: float) -> pl.DataFrame:
    """The used sales with one text column for every group there is; its words sort in reading order."""
    proxy = value_proxy_usd(used, median)
    ranked = used.with_columns(proxy).with_columns(
        decile=(10 * (pl.col("value_proxy_usd").rank("ordinal") - 1) / pl.len()).cast(pl.Int64) + 1
    )
    return ranked.with_columns(
        group_neighborhood=_known("neighborhood"),
        group_use_code=_known("use_code"),
        group_value_decile=pl.col("decile").cast(pl.String).str.zfill(2),
        group_sale_year=pl.col("sale_date").dt.year().cast(pl.String),
        group_building_age=_age_band(),
    )


def decile_labels(grouped: pl.DataFrame) -> dict[str, str]:
    """What each decile spans, in thousands of USD of the value proxy."""
    spans = grouped.group_by("group_value_decile").agg(
        pl.col("value_proxy_usd").min().alias("low"), pl.col("value_proxy_usd").max().alias("high")
    )
    return {
        row["group_value_decile"]: (
            f"{int(row['group_value_decile'])}: ${row['low'] / 1000:,.0f}k to ${row['high'] / 1000:,.0f}k"
        )
        for row in spans.iter_rows(named=True)
    }


def group_column(group: RatioStudyGroup) -> str:
    """The column that `with_groups` wrote for a group."""
    return f"group_{group}"


def _known(column: str) -> pl.Expr:
    return pl.when(pl.col(column).str.len_chars() > 0).then(pl.col(column)).otherwise(pl.lit(UNKNOWN))


def _age_band() -> pl.Expr:
    """Years from building to sale, in bands; a building finished after its sale counts as new."""
    age = (pl.col("sale_date").dt.year() - pl.col("year_built")).clip(lower_bound=0)
    unknown = pl.when(pl.col("year_built").is_null() | (pl.col("year_built") <= 0)).then(pl.lit(UNKNOWN))
    bands = (pl.when(age < below).then(pl.lit(words)) for below, words in AGE_BANDS)
    return pl.coalesce(unknown, *bands, pl.lit(OLDEST))
