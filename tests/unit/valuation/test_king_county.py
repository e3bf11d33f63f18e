"""Real sales, by a fixed protocol: fitted before 2015-03-01, tested from then on, nothing trimmed."""

from datetime import date

import polars as pl
import pytest

from services.valuation.domain.evaluation import evaluate
from services.valuation.domain.properties import UseCodes
from services.valuation.domain.sales import Sales, to_sales
from tests.support.shared_data import shared_data

pytestmark = pytest.mark.slow


def king_county() -> Sales:
    frame = pl.read_csv(
        shared_data("king_county_wa/sales.csv"),
        schema_overrides={"id": pl.String, "grade": pl.String, "condition": pl.String, "zipcode": pl.String},
    ).select(
        sale_id=pl.col("id") + pl.col("date"),
        parcel_id=pl.col("id").str.zfill(10),
        sale_date=pl.col("date").str.slice(0, 8).str.to_date("%Y%m%d"),
        sale_price_usd=pl.col("price").cast(pl.Float64),
        use_code=pl.lit("11"),
        neighborhood="zipcode",
        building_class="grade",
        condition="condition",
        living_area_sqft="sqft_living",
        land_area_sqft="sqft_lot",
        year_built="yr_built",
        effective_year_built=pl.max_horizontal("yr_built", "yr_renovated"),
        bedrooms="bedrooms",
        bathrooms="bathrooms",
        stories="floors",
        longitude="long",
        latitude="lat",
    )
    return to_sales(frame.sort("sale_date", "sale_id"), UseCodes())


def test_comparables_and_regression_reach_their_measured_accuracy() -> None:
    sold = king_county()
    for model, largest_cod in {"comparables": 13.6, "hedonic": 14.8}.items():
        accuracy = evaluate(sold, model=model, valuation_date=date(2015, 5, 31), test_from=date(2015, 3, 1))
        assert accuracy is not None
        assert (accuracy.trained_on, accuracy.n) == (16_861, 4_752)
        assert accuracy.cod is not None
        assert accuracy.cod < largest_cod
        assert 0.93 < accuracy.median_ratio < 1.0  # the market rose after the training sales ended
        assert accuracy.interval_coverage > 84
