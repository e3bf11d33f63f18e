"""Sales that are few, alike or wrong: a coded refusal or a reason, never a number without support."""

import json
from datetime import date
from xml.etree import ElementTree as ET

import polars as pl
import pytest

from appraisal.sale_screening import ScreeningRules
from contracts.api.market import MarketStudy
from services.market.domain.index_chart import draw_indices
from services.market.domain.refusal import MarketRefusedError
from services.market.domain.sales_map import map_sales
from services.market.domain.segments import Segment
from services.market.domain.study import Terms, study_market
from tests.support.planted_market import planted_sales

PERIOD = ScreeningRules(from_date=date(2023, 1, 1), to_date=date(2024, 12, 31))
EVERYTHING = [Segment("all", ("",))]


def study(sales: pl.DataFrame, terms: Terms | None = None) -> MarketStudy:
    return study_market(sales, county="demo", rules=PERIOD, segments=EVERYTHING, terms=terms)


@pytest.mark.parametrize("count", [0, 5, 29])
def test_too_few_sales_are_refused(count: int) -> None:
    with pytest.raises(MarketRefusedError) as refusal:
        study(planted_sales(count=40).head(count))
    assert (refusal.value.code, refusal.value.details["sales"]) == ("too_few_sales", count)


def test_a_thin_segment_has_reasons_and_no_numbers() -> None:
    sales = planted_sales(count=200).with_columns(
        use_code=pl.when(pl.int_range(pl.len()) < 4).then(pl.lit("9")).otherwise(pl.lit("11"))
    )
    made = study_market(sales, county="demo", rules=PERIOD, segments=[Segment("11", ("11",)), Segment("9", ("9",))])
    thin = made.segments[1]
    assert (thin.sales, thin.reason, thin.monthly_trend_percent, thin.base_month) == (4, "too_few_sales", None, None)
    assert (thin.median_price_usd, thin.median_price_per_sqft_usd) == (None, None)
    assert thin.repeat_sales is not None
    assert (thin.repeat_sales.reason, thin.repeat_sales.monthly_trend_percent) == ("no_repeat_sales", None)
    assert thin.seasonality is not None
    assert (thin.seasonality.reason, thin.seasonality.p_value) == ("too_few_sales", None)
    assert thin.regrouping is not None
    assert (thin.regrouping.reason, thin.regrouping.groups) == ("too_few_sales", [])
    for point in thin.months:
        assert (point.index, point.median_price_usd, point.median_index) == (None, None, None)
        assert point.reason is not None
    for place in thin.neighborhoods:
        assert (place.level, place.median_price_usd, place.reason) == (None, None, "too_few_sales")


def test_months_of_supply_are_never_made_up() -> None:
    parcels = pl.DataFrame(
        {"use_code": ["11"], "neighborhood": ["N1"], "parcels": [4_000], "located": [0]}
    ).with_columns(longitude=pl.lit(None, pl.Float64), latitude=pl.lit(None, pl.Float64))
    made = study(planted_sales(count=600), Terms(parcels=parcels)).segments[0].absorption
    assert made is not None
    assert (made.months_of_supply, made.months_of_supply_reason) == (None, "listings_unknown")
    assert made.sales_last_year == pytest.approx(300, abs=40)
    assert made.sales_per_month == pytest.approx(made.sales_last_year / 12)
    assert made.annual_turnover_percent == pytest.approx(100 * made.sales_last_year / 4_000)
    short = study(planted_sales(count=600, first=date(2024, 6, 1), days=200)).segments[0].absorption
    assert short is not None
    assert (short.reason, short.sales_per_month, short.parcels) == ("period_too_short", None, None)


def test_one_neighborhood_and_constant_columns_do_not_matter() -> None:
    sales = planted_sales(count=500).filter(pl.col("neighborhood") == "N3")
    alike = sales.with_columns(
        living_area_sqft=pl.lit(1_500.0), land_area_sqft=pl.lit(8_000.0), bedrooms=pl.lit(3.0), condition=pl.lit("Good")
    )
    made = study(alike).segments[0]
    assert made.monthly_trend_percent is not None
    assert made.regrouping is not None
    assert (made.regrouping.reason, made.regrouping.merges) == ("one_neighborhood", [])


def test_sales_without_any_characteristic_still_have_a_trend() -> None:
    columns = ("living_area_sqft", "land_area_sqft", "year_built", "bedrooms", "bathrooms", "stories")
    bare = planted_sales(count=3_000).with_columns(pl.lit(None, pl.Float64).alias(name) for name in columns)
    made = study(bare).segments[0]
    assert made.monthly_trend_percent == pytest.approx(0.6, abs=0.3)
    assert (made.area_basis, made.median_price_per_sqft_usd) == (None, None)
    assert all(point.median_index is None for point in made.months)


def test_impossible_prices_and_dates_are_refused_by_name() -> None:
    row = pl.int_range(pl.len())
    sales = planted_sales(count=400).with_columns(
        sale_price_usd=pl.when(row == 0)
        .then(float("inf"))
        .when(row == 1)
        .then(1.0)
        .when(row == 2)
        .then(float("nan"))
        .otherwise("sale_price_usd"),
        sale_date=pl.when(row == 3).then(date(2999, 1, 1)).otherwise("sale_date"),
    )
    made = study(sales)
    assert made.sales_refused == {"after_period": 1, "no_price": 2, "nominal_price": 1}
    assert made.sales_used == 396
    assert made.monthly_trend_percent == pytest.approx(0.6, abs=0.3)


def test_impossible_characteristics_count_as_unknown() -> None:
    row = pl.int_range(pl.len())
    sales = planted_sales(count=600)
    wrong = sales.with_columns(
        living_area_sqft=pl.when(row % 100 == 0)
        .then(float("inf"))
        .when(row % 100 == 1)
        .then(-5.0)
        .otherwise("living_area_sqft"),
        year_built=pl.when(row % 100 == 2).then(9_999.0).otherwise("year_built"),
        longitude=pl.when(row % 100 == 3).then(float("inf")).when(row % 100 == 4).then(None).otherwise("longitude"),
    )
    made = study(wrong)
    assert made.monthly_trend_percent == pytest.approx(study(sales).monthly_trend_percent, abs=0.05)
    assert made.sales_without_place == 12
    MarketStudy.model_validate_json(made.model_dump_json())  # a number that JSON cannot hold would come back as null


def test_the_map_shows_what_was_paid_and_nobody() -> None:
    sales = planted_sales(count=60).with_columns(assessed_value_usd="total_value_usd")
    placed = sales.with_columns(longitude=pl.when(pl.int_range(pl.len()) < 10).then(None).otherwise("longitude"))
    both = [Segment("11", ("11",)), Segment("all", ("",))]
    made = map_sales(placed, rules=PERIOD, segments=both)
    assert made is not None
    assert len(made["features"]) == 50
    feature = made["features"][0]
    assert set(feature["properties"]) == {
        "sale_id",
        "sale_date",
        "sale_price_usd",
        "price_per_sqft_usd",
        "ratio",
        "segment",
        "neighborhood",
    }
    row = placed.row(10, named=True)
    assert feature["id"] == row["sale_id"]
    assert feature["geometry"]["coordinates"] == pytest.approx([row["longitude"], row["latitude"]], abs=1e-6)
    assert feature["properties"]["ratio"] == pytest.approx(300_000 / row["sale_price_usd"], abs=1e-4)
    json.dumps(made, allow_nan=False)
    nowhere = sales.with_columns(latitude=pl.lit(None, pl.Float64))
    assert map_sales(nowhere, rules=PERIOD, segments=both) is None


def test_the_chart_is_well_formed_and_breaks_at_silent_months() -> None:
    sales = planted_sales(count=500)
    gap = pl.col("sale_date").dt.truncate("1mo") == date(2023, 9, 1)
    made = study_market(sales.filter(~gap), county="a <county> & more", rules=PERIOD, segments=EVERYTHING)
    drawn = draw_indices(made)
    assert drawn is not None
    root = ET.fromstring(drawn)
    space = "{http://www.w3.org/2000/svg}"
    assert "a <county> & more" in root.findtext(f"{space}title", "")
    hedonic = [path for path in root.iter(f"{space}path") if path.get("stroke-width") == "2.4"]
    assert len(hedonic) == 3  # the legend's, before the gap and after it
    assert b"nan" not in drawn
    assert len(list(root.iter(f"{space}circle"))) >= 46


def test_nothing_is_drawn_without_an_index() -> None:
    made = study(planted_sales(count=80, days=20))
    assert made.segments[0].base_month is None
    assert draw_indices(made) is None
