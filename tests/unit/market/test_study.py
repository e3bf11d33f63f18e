"""A market study recovers what was planted and says nothing where sales are too few."""

from datetime import date

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appraisal.sale_screening import ScreeningRules, screen_sales
from contracts.api.market import MarketStudy
from services.market.domain.refusal import MarketRefusedError
from services.market.domain.segments import Segment, segments_asked
from services.market.domain.study import study_market
from tests.support.planted_market import NEIGHBORHOODS, planted_sales

PERIOD = ScreeningRules(from_date=date(2023, 1, 1), to_date=date(2024, 12, 31))
EVERYTHING = [Segment("all", ("",))]


def study(sales: pl.DataFrame, segments: list[Segment] | None = None) -> MarketStudy:
    return study_market(sales, county="demo", rules=PERIOD, segments=segments or EVERYTHING)


@settings(max_examples=15, deadline=None)
@given(st.floats(-1.0, 1.5), st.integers(1, 10_000))
def test_planted_trend_is_recovered_though_the_mix_drifts(monthly_percent: float, seed: int) -> None:
    made = study(planted_sales(monthly_percent=monthly_percent, seed=seed, mix_drift=0.4))
    assert made.monthly_trend_percent == pytest.approx(monthly_percent, abs=0.25)


def test_median_price_falls_with_the_mix_while_the_index_rises() -> None:
    made = study(planted_sales(count=2_000, monthly_percent=0.6, mix_drift=0.6))
    months = made.segments[0].months
    first, last = months[0], months[-1]
    assert first.index == 100
    assert last.index is not None
    assert last.index == pytest.approx(100 * 1.006**23, rel=0.05)
    assert first.median_price_usd is not None
    assert last.median_price_usd is not None
    assert last.median_price_usd < first.median_price_usd


@pytest.mark.slow
def test_interval_of_the_trend_holds_the_truth_about_as_often_as_it_says() -> None:
    held = 0
    for seed in range(40):
        interval = study(planted_sales(count=300, seed=seed)).monthly_trend_interval
        assert interval is not None
        held += interval[0] <= 0.6 <= interval[1]
    assert held >= 34  # 95 % nominal: fewer than 34 of 40 has a chance below one in a hundred


@pytest.mark.parametrize("each", [1, 2])
def test_the_trend_and_its_interval_hold_where_few_sales_are_of_each_neighborhood(each: int) -> None:
    found = []
    for seed in range(10):
        names = pl.Series("neighborhood", [f"N{row % (300 // each)}" for row in range(300)])
        made = study(planted_sales(count=300, seed=seed, monthly_percent=0.6).with_columns(names))
        assert made.monthly_trend_interval is not None
        found.append((made.monthly_trend_percent, *made.monthly_trend_interval))
    assert np.mean([trend for trend, *_ in found]) == pytest.approx(0.6, abs=0.2)
    assert sum(low <= 0.6 <= high for _, low, high in found) >= 8


def test_levels_of_neighborhoods_are_recovered_with_intervals() -> None:
    found = study(planted_sales(count=3_000)).segments[0].neighborhoods
    planted = np.linspace(-0.3, 0.3, NEIGHBORHOODS)
    assert [place.neighborhood for place in found] == [f"N{n}" for n in range(NEIGHBORHOODS)]
    for place, log_level in zip(found, planted, strict=True):
        assert place.level == pytest.approx(100 * np.exp(log_level), rel=0.05)
        assert place.level is not None
        assert place.level_interval is not None
        assert place.level_interval[0] < place.level < place.level_interval[1]
        assert place.monthly_trend_percent == pytest.approx(0.6, abs=0.4)


def test_thin_months_and_neighborhoods_are_null_with_a_reason() -> None:
    sales = planted_sales(count=400)
    thin = (pl.col("sale_date").dt.truncate("1mo") == date(2023, 6, 1)) | (pl.col("neighborhood") == "N3")
    keep = pl.col("sale_id").is_in(sales.filter(thin)["sale_id"].head(3).implode())
    gap = pl.col("sale_date").dt.truncate("1mo") == date(2023, 9, 1)
    made = study(sales.filter((~thin | keep) & ~gap)).segments[0]
    june, september = made.months[5], made.months[8]
    assert (june.month, june.index, june.interval) == (date(2023, 6, 1), None, None)
    assert june.reason == "fewer than 5 usable sales"
    assert (september.month, september.sales, september.index) == (date(2023, 9, 1), 0, None)
    [place] = [place for place in made.neighborhoods if place.neighborhood == "N3"]
    assert (place.level, place.monthly_trend_percent, place.reason) == (None, None, "too_few_sales")


def test_segments_by_use_code_and_what_is_left() -> None:
    sales = planted_sales(count=400).with_columns(
        use_code=pl.when(pl.int_range(pl.len()) < 300).then(pl.lit("111")).otherwise(pl.lit("91"))
    )
    made = study(sales, segments_asked(None, residential=["11"], vacant=["91"]))
    assert [(part.segment, part.sales) for part in made.segments] == [
        ("improved_residential", 300),
        ("vacant_land", 100),
        ("other", 0),
    ]
    assert made.main_segment == "improved_residential"
    assert made.segments[2].reason == "too_few_sales"
    asked = segments_asked(["91", "vacant_land", "91"], residential=["11"], vacant=["9"])
    assert asked == [Segment("91", ("91",)), Segment("vacant_land", ("9",))]
    assert segments_asked(None, residential=[], vacant=[]) == EVERYTHING


def test_wrong_prices_are_left_out_of_the_trend_and_counted() -> None:
    sales = planted_sales(count=400).with_columns(
        sale_price_usd=pl.when(pl.int_range(pl.len()) % 80 == 79)
        .then(pl.col("sale_price_usd") * 100)
        .otherwise("sale_price_usd")
    )
    made = study(sales)
    assert made.segments[0].sales_unexplained >= 5
    assert made.monthly_trend_percent == pytest.approx(0.6, abs=0.25)


def test_too_few_sales_are_refused_with_counts() -> None:
    sales = planted_sales(count=40).with_columns(is_qualified=pl.int_range(pl.len()) < 29)
    with pytest.raises(MarketRefusedError) as refusal:
        study(sales)
    assert refusal.value.code == "too_few_sales"
    assert refusal.value.details == {"sales": 29, "needed": 30, "refused": {"not_qualified": 11}}


def test_segments_without_a_sale_are_refused() -> None:
    with pytest.raises(MarketRefusedError) as refusal:
        study(planted_sales(count=80), segments=[Segment("99", ("99",))])
    assert refusal.value.code == "too_few_sales"
    assert refusal.value.details["segments"] == ["99"]


def test_sales_of_one_month_have_no_trend_and_say_why() -> None:
    made = study(planted_sales(count=80, days=20))
    assert made.monthly_trend_percent is None
    assert made.segments[0].reason == "trend_not_identified"


def test_screening_names_the_first_reason() -> None:
    sales = planted_sales(count=7).with_columns(
        sale_date=pl.Series([None, *[date(2023, 5, 1)] * 4, date(2026, 1, 1), date(1999, 1, 1)]),
        sale_price_usd=pl.Series([1e5, 0.0, 10.0, 1e5, 1e5, 1e5, 1e5]),
        is_qualified=pl.Series([True, True, True, None, True, True, True]),
        parcel_count=pl.Series([1, 1, 1, 1, 3, 1, 1]),
    )
    kept, refused = screen_sales(sales, PERIOD)
    assert kept.height == 0
    assert refused == {
        "after_period": 1,
        "before_period": 1,
        "no_date": 1,
        "no_price": 1,
        "nominal_price": 1,
        "not_qualified": 1,
        "several_parcels": 1,
    }


@pytest.mark.slow
def test_intervals_of_neighborhoods_and_their_trends_cover_as_declared() -> None:
    planted = np.linspace(-0.3, 0.3, NEIGHBORHOODS)
    levels, trends = [], []
    for seed in range(30):
        sales = planted_sales(count=1_500, seed=seed, mix_drift=0.3)
        average = np.mean([planted[int(name[1:])] for name in sales["neighborhood"]])
        for place in study(sales).segments[0].neighborhoods:
            low, high = place.level_interval or (np.nan, np.nan)
            levels.append(low <= 100 * np.exp(planted[int(place.neighborhood[1:])] - average) <= high)
            low, high = place.monthly_trend_interval or (np.nan, np.nan)
            trends.append(low <= 0.6 <= high)
    assert np.mean(levels) == pytest.approx(0.95, abs=0.045)
    assert np.mean(trends) == pytest.approx(0.95, abs=0.045)
