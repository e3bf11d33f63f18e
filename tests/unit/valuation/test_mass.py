"""Revaluing a county: every parcel is valued or refused with a reason."""

import numpy as np
import polars as pl
import pytest

from contracts.api.valuation import ComparableSale
from services.valuation.domain.hedonic import fit_hedonic
from services.valuation.domain.mass import CountyModel, fit_county, value_parcels
from services.valuation.domain.model_card import count_reasons, holdout, model_card
from services.valuation.domain.properties import KINDS, UseCodes, properties
from services.valuation.domain.refusal import ValuationRefusedError
from services.valuation.domain.sales import Sales, TrainingSales, to_sales
from tests.support.planted_market import planted_sales
from tests.unit.valuation.conftest import VALUED_AT

CODES = UseCodes(residential=("11",), vacant_land=("91",))


def county(sold: Sales, model: str = "comparables", kinds: tuple[str, ...] = KINDS) -> CountyModel:
    return fit_county(sold, kinds=kinds, model=model, comparables=5, valuation_date=VALUED_AT)


@pytest.fixture(scope="module")
def model(sold: Sales) -> CountyModel:
    return county(sold)


def test_every_parcel_is_valued_or_refused_with_its_reason(model: CountyModel, frame: pl.DataFrame) -> None:
    area = [1_800.0, None, None, 0.0, -5.0, 1_800.0]
    parcels = frame.head(6).with_columns(
        parcel_id=pl.Series(list("abcdef")),
        use_code=pl.Series(["11", "11", "91", "71", "11", "11"]),
        living_area_sqft=pl.Series(area),
        land_area_sqft=pl.Series([8e3, 8e3, 8e3, 0.0, 8e3, 9e12]),
    )
    valued = value_parcels(model, properties(parcels, use_codes=CODES))
    assert [row["parcel_id"] for row in valued.values] == ["a"]
    assert valued.refused == {
        "b": "living_area_missing",
        "c": "too_few_sales",
        "d": "too_few_sales",
        "e": "living_area_missing",
        "f": "interval_too_wide",
    }
    assert count_reasons(valued.refused)["too_few_sales"] == 2


def test_rows_carry_interval_confidence_and_comparables(model: CountyModel, sold: Sales) -> None:
    rows = value_parcels(model, sold.properties.take(np.arange(20))).values
    assert len(rows) == 20
    for row in rows:
        assert row["low_usd"] < row["value_usd"] < row["high_usd"]
        assert row["land_value_usd"] + row["improvement_value_usd"] == pytest.approx(row["value_usd"], abs=0.01)
        assert row["land_value_usd"] == pytest.approx(0.2 * row["value_usd"], abs=0.01)
        comparables = [ComparableSale.model_validate(comparable) for comparable in row["comparables"]]
        indicated = sum(comparable.weight * comparable.adjusted_price_usd for comparable in comparables)
        assert indicated == pytest.approx(row["value_usd"], abs=0.0051)


def test_batches_do_not_matter(model: CountyModel, sold: Sales) -> None:
    whole = value_parcels(model, sold.properties.take(np.arange(30))).values
    parts = [value_parcels(model, sold.properties.take(np.arange(n, n + 10))).values for n in (0, 10, 20)]
    assert whole == [row for part in parts for row in part]


def test_a_county_without_enough_sales_of_any_kind_is_refused_with_counts(sold: Sales) -> None:
    with pytest.raises(ValuationRefusedError) as refusal:
        county(sold.take(np.arange(12)), kinds=("improved_residential", "vacant_land"))
    assert refusal.value.code == "too_few_sales"
    assert refusal.value.details["kinds"]["improved_residential"]["sales"] == 12
    assert refusal.value.details["kinds"]["vacant_land"]["sales"] == 0


def test_vacant_land_is_valued_from_sales_of_vacant_land_and_is_all_land(frame: pl.DataFrame) -> None:
    nothing = pl.lit(None, dtype=pl.Float64)
    lots = planted_sales(count=120, seed=9).with_columns(
        parcel_id="v" + pl.col("parcel_id"),
        sale_id="v" + pl.col("sale_id"),
        use_code=pl.lit("91"),
        sale_price_usd=40_000 * (pl.col("land_area_sqft") / 8_000).pow(0.6),
        building_class=pl.lit(None, dtype=pl.String),
        condition=pl.lit(None, dtype=pl.String),
        **dict.fromkeys(("living_area_sqft", "year_built", "bedrooms", "bathrooms", "stories"), nothing),
    )
    both = pl.concat([frame, lots], how="vertical_relaxed").sort("sale_date", "sale_id")
    sold = to_sales(both, CODES)
    model = county(sold, "blend", ("vacant_land",))
    rows = value_parcels(model, to_sales(lots, CODES).properties).values
    ratio = np.array([row["value_usd"] for row in rows]) / lots["sale_price_usd"].to_numpy()
    assert np.abs(ratio - 1).mean() < 0.05
    assert all(row["improvement_value_usd"] == 0 and row["land_value_usd"] == row["value_usd"] for row in rows)


def test_kind_without_use_codes_is_told_by_characteristics() -> None:
    frame = pl.DataFrame(
        {
            "parcel_id": ["house", "lot", "shed", "nothing"],
            "living_area_sqft": [1_500.0, 0.0, None, None],
            "land_area_sqft": [5_000.0, 5_000.0, 5_000.0, None],
            "improvement_value_usd": [1e5, 0.0, 2e4, None],
        }
    )
    assert properties(frame).kind.tolist() == ["improved_residential", "vacant_land", "other", "other"]


def test_model_card_names_data_accuracy_and_coefficients(model: CountyModel) -> None:
    card = model_card(model, sales_refused={"no_price": 3}, version="1.2.3")
    residential = card["kinds"]["improved_residential"]
    assert residential["sales"] == 600
    assert residential["accuracy"] == holdout(model)
    assert residential["hedonic"]["coefficients"]["living_area"] == pytest.approx(0.75, abs=0.15)
    assert card["kinds_refused"]["vacant_land"]["code"] == "too_few_sales"
    assert card["sales_refused"] == {"no_price": 3}


def test_neighborhood_effects_shrink_with_few_sales_and_order_as_planted(training: TrainingSales) -> None:
    effects = fit_hedonic(training).neighborhoods
    location = fit_hedonic(training).contributions(training.properties)["location"]
    by_name = [location[training.properties.neighborhood == f"N{n}"].mean() for n in range(8)]
    assert set(effects) == {f"N{n}" for n in range(8)}
    assert by_name == sorted(by_name)
    few = training.take(np.flatnonzero((training.properties.neighborhood != "N7") | (np.arange(len(training)) < 20)))
    assert fit_hedonic(few).neighborhood_sales["N7"] < 10
    assert abs(fit_hedonic(few).neighborhoods["N7"]) < abs(effects["N7"])
