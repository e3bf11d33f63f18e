"""Odd sales that were planted are found with the right reason, and ordinary ones are left alone."""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appraisal.sale_findings import Finding
from appraisal.sale_patterns import DeedCodes
from appraisal.sale_scrutiny import SCRUTINY_SCHEMA, OddSale, scrutinize_sales

SALES = 900
PLACES = ("A", "B", "C", "D", "E", "F")


def market(seed: int = 5, count: int = SALES) -> pl.DataFrame:
    """Sales of houses with a price process of area, age, place and time, and 12 % noise."""
    random = np.random.default_rng(seed)
    area, land = random.lognormal(7.4, 0.3, count), random.lognormal(9, 0.5, count)
    place = random.integers(0, len(PLACES), count)
    day = random.integers(0, 1_400, count)
    built = random.integers(1930, 2010, count)
    log_price = 7 + 0.7 * np.log(area) + 0.08 * np.log(land) + 0.2 * place - 0.002 * (2020 - built) + 0.0001 * day
    rows = {
        "sale_id": [f"s{at:05}" for at in range(count)],
        "parcel_id": [f"p{at:05}" for at in range(count)],
        "sale_date": [date(2018, 1, 1) + timedelta(days=int(one)) for one in day],
        "sale_price_usd": np.round(np.exp(log_price + random.normal(0, 0.12, count))),
        "is_qualified": [True] * count,
        "parcel_count": [1] * count,
        "deed_type": ["WD"] * count,
        "validity_code": ["100"] * count,
        "kind": ["improved_residential"] * count,
        "neighborhood": [PLACES[at] for at in place],
        "building_class": ["3"] * count,
        "condition": [None] * count,
        "living_area_sqft": area,
        "land_area_sqft": land,
        "year_built": built.astype(float),
        "longitude": -119 + 0.01 * place + random.uniform(0, 0.01, count),
        "latitude": random.uniform(46, 46.01, count),
    }
    return pl.DataFrame(rows, schema=SCRUTINY_SCHEMA)


def planted(sales: pl.DataFrame, row: int, **values: Any) -> pl.DataFrame:
    """The sales with one of them altered."""
    return sales.with_columns(
        pl.when(pl.int_range(pl.len()) == row).then(pl.lit(value, dtype=sales.schema[name])).otherwise(name).alias(name)
        for name, value in values.items()
    )


def reasons(found: list[OddSale]) -> Mapping[str, dict[str, Finding]]:
    return {sale.sale_id: {finding.reason: finding for finding in sale.findings} for sale in found}


def test_ordinary_sales_have_no_findings() -> None:
    assert len(scrutinize_sales(market())) <= SALES * 0.002


@pytest.mark.parametrize(("factor", "reason"), [(3.0, "price_too_high"), (0.3, "price_too_low")])
def test_an_odd_price_is_found_with_what_was_expected(factor: float, reason: str) -> None:
    sales = market()
    was = sales["sale_price_usd"][17]
    found = reasons(scrutinize_sales(planted(sales, 17, sale_price_usd=was * factor)))["s00017"][reason]
    assert found.strength > 0.75
    assert found.figures["expected_price_usd"] == pytest.approx(was, rel=0.4)
    assert found.figures["compared_within"] == "place"


def test_without_neighborhoods_a_price_is_judged_by_its_place_on_the_map() -> None:
    sales = market().with_columns(neighborhood=pl.lit(None, dtype=pl.String))
    row = int(sales["longitude"].arg_min() or 0)  # where prices are lowest
    was = sales["sale_price_usd"][row]
    odd = planted(sales, row, sale_price_usd=was * 2.2)  # a usual price on the other side of the county
    assert "price_too_high" in reasons(scrutinize_sales(odd))[f"s{row:05}"]
    nowhere = odd.with_columns(longitude=pl.lit(None, dtype=pl.Float64))
    assert f"s{row:05}" not in reasons(scrutinize_sales(nowhere))


def test_many_odd_prices_do_not_hide_one_another() -> None:
    sales = market()
    odd = pl.int_range(pl.len()) % 8 == 0
    sales = sales.with_columns(
        sale_price_usd=pl.when(odd).then(pl.col("sale_price_usd") * 0.3).otherwise("sale_price_usd")
    )
    found = {sale.sale_id for sale in scrutinize_sales(sales)}
    wanted = set(sales.filter(odd)["sale_id"])
    assert len(found & wanted) >= 0.95 * len(wanted)
    assert len(found - wanted) <= 0.01 * SALES


def test_kinds_with_few_sales_are_not_judged_by_price() -> None:
    few = planted(market(count=29), 3, sale_price_usd=9_000_000.0)
    assert scrutinize_sales(few) == []


def test_a_flip_is_told_of_both_sales() -> None:
    sales = market()
    price = sales["sale_price_usd"][5]
    again = sales[5].with_columns(
        sale_id=pl.lit("again"), sale_price_usd=pl.lit(price * 1.6), sale_date=pl.col("sale_date") + timedelta(days=120)
    )
    found = reasons(scrutinize_sales(pl.concat([sales, again])))
    first, second = found["s00005"]["flip"], found["again"]["flip"]
    assert (first.figures["sold"], second.figures["sold"]) == ("first", "again")
    assert first.figures["days_between"] == 120
    assert first.figures["change_percent"] == pytest.approx(60, abs=0.1)
    assert first.strength > second.strength


def test_several_parcels_at_one_price_on_one_day_are_a_bulk_and_two_by_chance_are_not() -> None:
    sales = market()
    for row in range(6):
        sales = planted(sales, row, sale_price_usd=251_337.0, sale_date=date(2019, 5, 6))
    assert reasons(scrutinize_sales(sales))["s00003"]["bulk"].figures["parcels_same_day_and_price"] == 6
    round_prices = 100_000.0 + 50_000 * (pl.int_range(pl.len()) % 7)
    few_days = pl.lit(date(2019, 5, 6)) + pl.duration(days=pl.int_range(pl.len()) % 90)
    usual = market().with_columns(sale_price_usd=round_prices, sale_date=few_days)
    assert not any("bulk" in told for told in reasons(scrutinize_sales(usual)).values())


def test_deeds_tokens_parcels_and_buildings_are_told() -> None:
    sales = market()
    sales = planted(sales, 1, sale_price_usd=1.0)
    sales = planted(sales, 2, parcel_count=3)
    sales = planted(sales, 3, deed_type="Sheriff's deed")
    sales = planted(sales, 4, deed_type="QCD")
    sales = planted(sales, 5, year_built=2025.0)
    sales = planted(sales, 6, validity_code="31")
    copy = sales[7].with_columns(sale_id=pl.lit("t7"))
    found = reasons(scrutinize_sales(pl.concat([sales, copy]), DeedCodes(forced=("31",), not_market=("QCD",))))
    told = {name: set(found[name]) for name in ("s00001", "s00002", "s00003", "s00004", "s00006", "t7")}
    assert told == {
        "s00001": {"token_price"},
        "s00002": {"several_parcels"},
        "s00003": {"forced_sale"},
        "s00004": {"nonmarket_deed"},
        "s00006": {"forced_sale"},
        "t7": {"repeated_entry"},
    }
    assert found["s00005"]["built_after_sale"].strength > 0.9
    assert "s00007" not in found


def test_of_a_repeated_entry_the_qualified_one_stays() -> None:
    sales = planted(market(), 7, is_qualified=False)
    copy = sales[7].with_columns(sale_id=pl.lit("t7"), is_qualified=pl.lit(value=True))
    found = reasons(scrutinize_sales(pl.concat([sales, copy])))
    assert "t7" not in found
    assert found["s00007"]["repeated_entry"].figures == {"entered_as": "t7"}


def test_a_type_of_deed_that_sells_below_the_market_is_told() -> None:
    is_forced = pl.int_range(pl.len()) % 20 == 0
    sales = market().with_columns(
        deed_type=pl.when(is_forced).then(pl.lit("XD")).otherwise("deed_type"),
        sale_price_usd=pl.when(is_forced).then(pl.col("sale_price_usd") * 0.75).otherwise("sale_price_usd"),
    )
    told = [one["deed_type_below_market"] for one in reasons(scrutinize_sales(sales)).values() if len(one)]
    assert {finding.figures["deed_type"] for finding in told} == {"XD"}
    assert len(told) > SALES / 20 * 0.7


def test_a_sale_that_counts_nowhere_has_no_influence() -> None:
    sales = planted(market(), 1, sale_price_usd=9_000_000.0, is_qualified=False)
    sales = planted(sales, 2, sale_price_usd=9_000_000.0)
    found = {sale.sale_id: sale.influence_percent for sale in scrutinize_sales(sales)}
    assert found["s00001"] == 0
    assert found["s00002"] > 0


@settings(max_examples=15, deadline=None)
@given(
    prices=st.lists(
        st.none() | st.floats(-1, 1e9) | st.just(float("inf")) | st.just(float("nan")), min_size=1, max_size=12
    ),
    area=st.none() | st.floats(-1, 1e6),
    built=st.none() | st.floats(0, 3_000),
    seed=st.integers(0, 10_000),
)
def test_anything_in_the_record_is_told_of_in_any_order(
    prices: list[float | None], area: float | None, built: float | None, seed: int
) -> None:
    sales = market(count=60)
    for row, price in enumerate(prices):
        sales = planted(sales, row, sale_price_usd=price, living_area_sqft=area, year_built=built)
    found = scrutinize_sales(sales)
    assert found == scrutinize_sales(sales.sample(fraction=1, shuffle=True, seed=seed))
    for sale in found:
        assert 0.5 <= sale.findings[-1].strength <= sale.strength <= 1
        assert np.isfinite(sale.influence_percent)
