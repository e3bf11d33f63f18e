from datetime import date
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.api.reporting import RatioStudyArguments
from services.reporting.domain.sales import decile_labels, outlier_fences, screen, with_groups
from tests.support.reports import random_sales, sale, sales_frame


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"parcel_number": None}, "no_parcel"),
        ({"sale_price_usd": None}, "no_price"),
        ({"sale_price_usd": 0.0}, "no_price"),
        ({"sale_price_usd": -5.0}, "no_price"),
        ({"sale_price_usd": float("nan")}, "no_price"),
        ({"estimate_usd": float("inf")}, "no_estimate"),
        ({"sale_price_usd": 19_999.0}, "below_minimum_price"),
        ({"estimate_usd": None}, "no_estimate"),
        ({"estimate_usd": 0.0}, "no_estimate"),
        ({"parcel_count": 2}, "several_parcels"),
        ({"is_qualified": None}, "not_reviewed"),
        ({"is_qualified": False}, "not_qualified"),
        ({"is_qualified": False, "parcel_number": None}, "no_parcel"),
    ],
)
def test_a_sale_is_left_out_for_the_first_reason_that_holds(changes: dict[str, Any], reason: str) -> None:
    screened = screen(sales_frame([sale(1), sale(2, **changes)]), RatioStudyArguments(minimum_price_usd=20_000))
    assert screened.used["sale_id"].to_list() == ["S1"]
    assert screened.left_out["reason"].to_list() == [reason]


def test_unqualified_sales_count_only_where_asked_for() -> None:
    sales = sales_frame([sale(1), sale(2, is_qualified=False), sale(3, is_qualified=None)])
    assert screen(sales, RatioStudyArguments(qualified_only=False)).used.height == 3
    assert screen(sales, RatioStudyArguments()).used.height == 1


def test_the_adjusted_price_goes_before_the_sale_price() -> None:
    sales = sales_frame([sale(1, adjusted_price_usd=300_000.0), sale(2, adjusted_price_usd=0.0)])
    used = screen(sales, RatioStudyArguments()).used.sort("sale_id")
    assert used["price_usd"].to_list() == [300_000.0, 400_000.0]
    assert used["ratio"].to_list() == pytest.approx([1.2, 0.9])


def test_only_ratios_beyond_the_fences_are_trimmed() -> None:
    sales = pl.concat([random_sales(60), sales_frame([sale(900, estimate_usd=4_000_000.0)])])
    kept = screen(sales, RatioStudyArguments(trim_outliers=True))
    assert kept.left_out["sale_id"].to_list() == ["S900"]
    assert kept.untrimmed.height == 61
    assert kept.fences is not None
    low, high = kept.fences
    assert kept.used["ratio"].is_between(low, high).all()
    assert screen(sales, RatioStudyArguments()).left_out.is_empty()


def test_small_samples_are_never_trimmed() -> None:
    assert outlier_fences(np.array([0.9] * 18 + [9.0])) is None


def test_the_fences_are_three_interquartile_ranges_from_the_quartiles() -> None:
    assert outlier_fences(np.arange(1.0, 22.0)) == (6.0 - 30.0, 16.0 + 30.0)


@given(st.integers(2, 200), st.booleans())
def test_every_sale_is_used_or_left_out_once(count: int, trim: bool) -> None:  # noqa: FBT001
    screened = screen(random_sales(count, seed=count), RatioStudyArguments(trim_outliers=trim))
    seen = screened.used["sale_id"].to_list() + screened.left_out["sale_id"].to_list()
    assert sorted(seen) == sorted(f"S{number}" for number in range(count))


@given(st.integers(10, 300))
def test_deciles_differ_by_one_sale_at_most_and_rise_in_value(count: int) -> None:
    grouped = with_groups(screen(random_sales(count, seed=count), RatioStudyArguments()).used, 0.95)
    sizes = grouped["group_value_decile"].value_counts()["count"]
    bounds = (
        grouped.group_by("group_value_decile")
        .agg(pl.col("value_proxy_usd").min().alias("low"), pl.col("value_proxy_usd").max().alias("high"))
        .sort("group_value_decile")
    )
    assert sizes.len() == 10
    assert sizes.max() - sizes.min() <= 1  # type: ignore[operator]
    assert (bounds["high"].head(9) <= bounds["low"].tail(9)).all()
    assert set(decile_labels(grouped)) == set(grouped["group_value_decile"])


@pytest.mark.parametrize(
    ("year_built", "band"),
    [
        (2024, "0 to 5 years"),
        (2026, "0 to 5 years"),
        (2018, "6 to 10 years"),
        (1984, "21 to 40 years"),
        (1983, "41 to 60 years"),
        (1924, "61 to 100 years"),
        (1923, "Over 100 years"),
        (None, "(not recorded)"),
        (0, "(not recorded)"),
    ],
)
def test_age_is_counted_from_building_to_sale(year_built: int | None, band: str) -> None:
    sold = sales_frame([sale(1, year_built=year_built, sale_date=date(2024, 6, 1))])
    grouped = with_groups(screen(sold, RatioStudyArguments()).used, 0.9)
    assert grouped["group_building_age"].to_list() == [band]
