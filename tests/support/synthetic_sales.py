"""The sales of a synthetic world as a market study or a model reads them, without a database between."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from pyproj import Transformer

from services.ingest.synthetic.houses import CONDITION_CODES, QUALITY_CODES, Use
from services.ingest.synthetic.sales import Validity
from services.ingest.synthetic.streets import SRID
from services.ingest.synthetic.world import World
from services.market.domain.study import PARCEL_SCHEMA

USE_CODES = {Use.RESIDENTIAL: "11", Use.MOBILE_HOME: "18", Use.COMMERCIAL: "59", Use.VACANT: "91"}
RESIDENTIAL, VACANT = ("11", "18"), ("91",)


@dataclass(frozen=True)
class SyntheticMarket:
    """Sales in the columns of the market room's query, and active parcels in those of PARCEL_SCHEMA."""

    sales: pl.DataFrame
    parcels: pl.DataFrame


def synthetic_market(world: World) -> SyntheticMarket:
    """Every transfer that is a sale, with what was sold, and the parcels counted."""
    sold = world.sales
    every = characteristics(world)
    start = np.datetime64(f"{world.tax_year}-01-01", "D")
    sales = (
        every[sold.first_parcel]
        .with_columns(
            sale_id=pl.Series([f"s{number:06d}" for number in range(len(sold.day))]),
            sale_date=pl.Series(start + sold.day.astype("timedelta64[D]")),
            sale_price_usd=pl.Series(sold.price_usd.astype(float)),
            is_qualified=pl.Series(sold.validity == Validity.VALID),
            parcel_count=pl.Series(sold.parcel_count),
            living_area_sqft=pl.when(pl.col("living_area_sqft").is_not_nan())
            .then(pl.Series(sold.sold_living_area_sqft))
            .otherwise(float("nan")),
            assessed_value_usd=pl.Series(world.current.total_usd[sold.first_parcel].astype(float)),
        )
        .filter(pl.Series(sold.validity != Validity.NO_SALE))
    )
    counted = every.group_by("use_code", "neighborhood").agg(
        parcels=pl.len().cast(pl.Int64),
        located=pl.len().cast(pl.Int64),
        longitude=pl.col("longitude").mean(),
        latitude=pl.col("latitude").mean(),
    )
    return SyntheticMarket(sales, counted.select(*PARCEL_SCHEMA).sort("use_code", "neighborhood"))


def characteristics(world: World) -> pl.DataFrame:
    """What the platform knows of every parcel, in the order of the world's; NaN where nothing is noted."""
    lots, buildings = world.lots, world.buildings
    to_degrees = Transformer.from_crs(SRID, 4326, always_xy=True)
    centre_ft = lots.corners_ft.mean(axis=1)
    longitude, latitude = to_degrees.transform(centre_ft[:, 0], centre_ft[:, 1])

    def of_house(values: np.ndarray) -> np.ndarray:
        return np.where(buildings.is_improved, values, np.nan)

    return pl.DataFrame(
        {
            "parcel_id": world.prop_id[: world.parcels].astype(str),
            "use_code": np.array([USE_CODES[Use(kind)] for kind in Use])[buildings.use],
            "neighborhood": world.neighborhood_codes[lots.neighborhood],
            "building_class": np.array(QUALITY_CODES)[buildings.quality],
            "condition": np.array(CONDITION_CODES)[buildings.condition],
            "living_area_sqft": of_house(buildings.living_area_sqft),
            "land_area_sqft": lots.area_sqft,
            "year_built": of_house(buildings.year_built.astype(float)),
            "effective_year_built": of_house(buildings.effective_year_built.astype(float)),
            "bedrooms": of_house(buildings.bedrooms.astype(float)),
            "bathrooms": of_house(buildings.full_baths + buildings.half_baths / 2),
            "stories": of_house(1.0 + (buildings.upper_area_sqft > 0)),
            "garage_area_sqft": np.where(buildings.garage_sqft > 0, buildings.garage_sqft, np.nan),
            "fireplaces": np.where(buildings.fireplaces > 0, buildings.fireplaces.astype(float), np.nan),
            "longitude": longitude,
            "latitude": latitude,
        }
    )
