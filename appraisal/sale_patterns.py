"""Patterns of sales that are no evidence of market value: by deed, date, price and parcels, never by persons."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy.stats import poisson

from appraisal.sale_findings import Finding, Reason, beyond

FLIP_DAYS = 365
FLIP_CHANGE = 0.25  # of a log price
RESOLD_SHARE = 0.8  # the later price of a pair tells more of the market than the earlier one
USUAL_BULK_SHARE = 0.02  # of all sales are in a bulk, before its figures are looked at
SPEAKS = 0.5
TOKEN_PRICE_USD = 1_000.0
_FORCED = r"(?i)\bforeclos|\bsheriff|\btrustee'?s? (?:deed|sale)|\bin lieu\b|\bbankrupt|\btax (?:deed|sale)|\breo\b"
_NOT_MARKET = (
    r"(?i)\bquit ?-?claim|\bgift|\bcorrect(?:ion|ive)|\bexecutor|\badministrator|\bpersonal representative"
    r"|\blove and affection|\bdivorce|\bdecree\b|\beasement|\blife estate"
)


@dataclass(frozen=True, kw_only=True)
class DeedCodes:
    """A county's own codes of deed type or validity, beside the words that say it anywhere."""

    forced: tuple[str, ...] = ()
    not_market: tuple[str, ...] = ()


def find_token_prices(sales: pl.DataFrame) -> list[Finding]:
    """Prices such as 1 dollar: at most 1,000, missing, or not above zero."""
    price = pl.col("sale_price_usd")
    rows = sales.filter(price.is_null() | ~price.is_finite() | (price <= TOKEN_PRICE_USD))
    return [
        Finding(sale_id=sale_id, reason="token_price", strength=1.0, figures={"sale_price_usd": found})
        for sale_id, found in rows.select("sale_id", price.replace([float("nan"), float("inf")], None)).iter_rows()
    ]


def find_several_parcels(sales: pl.DataFrame) -> list[Finding]:
    """One price for several parcels is no price of any of them."""
    rows = sales.filter(pl.col("parcel_count") > 1).select("sale_id", "parcel_count")
    return [
        Finding(sale_id=sale_id, reason="several_parcels", strength=1.0, figures={"parcel_count": count})
        for sale_id, count in rows.iter_rows()
    ]


def find_bulk(sales: pl.DataFrame) -> list[Finding]:
    """Sales of other parcels on the same day, by the same type of deed, at the same price.

    Its strength is the chance that they belong together: the usual share of bulk sales against the chance that
    so many of the day's sales have that price by themselves, as often as it is paid on other days.
    """
    key = ["sale_date", "deed_type", "sale_price_usd"]
    single = sales.filter((pl.col("parcel_count").fill_null(1) <= 1) & (pl.col("sale_price_usd") > TOKEN_PRICE_USD))
    if not single.height:
        return []
    counted = single.with_columns(
        together=pl.col("parcel_id").n_unique().over(key),
        day_sales=pl.len().over("sale_date"),
        price_sales=pl.len().over("sale_price_usd"),
    ).filter(pl.col("together") > 1)
    elsewhere = (counted["price_sales"] - counted["together"] + 1).to_numpy() / single.height
    expected = (counted["day_sales"].to_numpy() - 1) * elsewhere
    by_chance = poisson.sf(counted["together"].to_numpy() - 2, expected)
    strength = USUAL_BULK_SHARE / (USUAL_BULK_SHARE + by_chance)
    return [
        Finding(
            sale_id=sale_id,
            reason="bulk",
            strength=float(strength[row]),
            figures={"parcels_same_day_and_price": together, "expected_by_chance": round(float(expected[row]), 4)},
        )
        for row, (sale_id, together) in enumerate(counted.select("sale_id", "together").iter_rows())
        if strength[row] >= SPEAKS
    ]


def find_flips(sales: pl.DataFrame) -> list[Finding]:
    """Parcels sold again within a year at a price that is at least 28 % higher, or lower by as much."""
    usable = (pl.col("sale_price_usd") > TOKEN_PRICE_USD) & (pl.col("parcel_count").fill_null(1) <= 1)
    ordered = sales.filter(usable).sort("parcel_id", "sale_date", "sale_id")
    pairs = ordered.select(
        "sale_id",
        "sale_price_usd",
        later_id=pl.col("sale_id").shift(-1).over("parcel_id"),
        later_price=pl.col("sale_price_usd").shift(-1).over("parcel_id"),
        days=(pl.col("sale_date").shift(-1).over("parcel_id") - pl.col("sale_date")).dt.total_days(),
    ).filter(pl.col("days").is_between(1, FLIP_DAYS))
    found: list[Finding] = []
    for sale_id, price, later_id, later_price, days in pairs.iter_rows():
        change = float(np.log(later_price / price))
        if abs(change) < FLIP_CHANGE:
            continue
        strength = beyond(FLIP_CHANGE, abs(change))
        common = {"days_between": days, "change_percent": round(100 * (later_price / price - 1), 1)}
        found += [
            _flip(
                sale_id, strength, {"sold": "first", "other_sale_id": later_id, "other_price_usd": later_price}, common
            ),
            _flip(
                later_id,
                strength * RESOLD_SHARE,
                {"sold": "again", "other_sale_id": sale_id, "other_price_usd": price},
                common,
            ),
        ]
    return found


def _flip(sale_id: str, strength: float, own: dict[str, object], common: dict[str, object]) -> Finding:
    return Finding(sale_id=sale_id, reason="flip", strength=strength, figures={**own, **common})


def find_deeds(sales: pl.DataFrame, codes: DeedCodes) -> list[Finding]:
    """Deeds under force and deeds that carry no market price, by the county's codes or by their words."""
    return [
        *_by_deed(sales, "forced_sale", codes.forced, _FORCED),
        *_by_deed(sales, "nonmarket_deed", codes.not_market, _NOT_MARKET),
    ]


def _by_deed(sales: pl.DataFrame, reason: Reason, codes: tuple[str, ...], words: str) -> list[Finding]:
    columns = ("deed_type", "validity_code")
    by_code = pl.any_horizontal(*(pl.col(name).is_in(list(codes)) for name in columns)).fill_null(value=False)
    by_word = pl.any_horizontal(*(pl.col(name).str.contains(words) for name in columns)).fill_null(value=False)
    rows = sales.with_columns(by_code=by_code, by_word=by_word).filter(pl.col("by_code") | pl.col("by_word"))
    return [
        Finding(
            sale_id=sale_id,
            reason=reason,
            strength=0.9 if known else 0.75,
            figures={"deed_type": deed, "validity_code": code, "told_by": "county_code" if known else "words"},
        )
        for sale_id, deed, code, known in rows.select("sale_id", *columns, "by_code").iter_rows()
    ]


def find_built_after_sale(sales: pl.DataFrame) -> list[Finding]:
    """Sales of land on which the building that is on record was not yet built."""
    gap = pl.col("year_built").cast(pl.Int64, strict=False) - pl.col("sale_date").dt.year()
    rows = sales.with_columns(gap=gap).filter(pl.col("gap") >= 1).select("sale_id", "year_built", "gap")
    return [
        Finding(
            sale_id=sale_id,
            reason="built_after_sale",
            strength=0.5 if years == 1 else 0.95,
            figures={"year_built": int(built), "years_after_sale": years},
        )
        for sale_id, built, years in rows.iter_rows()
    ]


def find_repeated_entries(sales: pl.DataFrame) -> list[Finding]:
    """A sale of the same parcel, day and price under another id: all but the first by id, of the qualified first."""
    key = ["parcel_id", "sale_date", "sale_price_usd"]
    ordered = sales.sort(pl.col("is_qualified").fill_null(value=False), "sale_id", descending=[True, False])
    rows = ordered.with_columns(first=pl.col("sale_id").first().over(key))
    priced = rows.filter((pl.col("first") != pl.col("sale_id")) & (pl.col("sale_price_usd") > TOKEN_PRICE_USD))
    return [
        Finding(sale_id=sale_id, reason="repeated_entry", strength=1.0, figures={"entered_as": first})
        for sale_id, first in priced.select("sale_id", "first").iter_rows()
    ]
