"""The real sales of King County, Washington, in the columns that a market study reads."""

import polars as pl

from tests.support.shared_data import shared_data


def king_county_sales() -> pl.DataFrame:
    """All 21,613 sales from May 2014 to May 2015; skips the test where the file is missing."""
    texts = ("id", "grade", "condition", "zipcode")
    file = shared_data("king_county_wa/sales.csv")
    return pl.read_csv(file, schema_overrides=dict.fromkeys(texts, pl.String)).select(
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
        bedrooms="bedrooms",
        bathrooms="bathrooms",
        stories="floors",
        longitude="long",
        latitude="lat",
    )
