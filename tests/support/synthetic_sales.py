"""The sales of a synthetic world as a market study reads them, without a database between."""

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
    lots, buildings, sold = world.lots, world.buildings, world.sales
    parcel = sold.first_parcel
    to_degrees = Transformer.from_crs(SRID, 4326, always_xy=True)
    centre_ft = lots.corners_ft.mean(axis=1)
    longitude, latitude = to_degrees.transform(centre_ft[:, 0], centre_ft[:, 1])
    improved = buildings.is_improved
    place = world.neighborhood_codes[lots.neighborhood]
    use = np.array([USE_CODES[Use(kind)] for kind in Use])[buildings.use]

    def of_house(values: np.ndarray) -> np.ndarray:
        return np.where(improved, values, np.nan)[parcel]

    start = np.datetime64(f"{world.tax_year}-01-01", "D")
    sales = pl.DataFrame(
        {
            "sale_id": [f"s{number:06d}" for number in range(len(parcel))],
            "parcel_id": world.prop_id[parcel].astype(str),
            "sale_date": start + sold.day.astype("timedelta64[D]"),
            "sale_price_usd": sold.price_usd.astype(float),
            "is_qualified": sold.validity == Validity.VALID,
            "parcel_count": sold.parcel_count,
            "use_code": use[parcel],
            "neighborhood": place[parcel],
            "building_class": np.array(QUALITY_CODES)[buildings.quality[parcel]],
            "condition": np.array(CONDITION_CODES)[buildings.condition[parcel]],
            "living_area_sqft": np.where(improved[parcel], sold.sold_living_area_sqft, np.nan),
            "land_area_sqft": lots.area_sqft[parcel],
            "year_built": of_house(buildings.year_built.astype(float)),
            "bedrooms": of_house(buildings.bedrooms.astype(float)),
            "bathrooms": of_house(buildings.full_baths + buildings.half_baths / 2),
            "stories": of_house(1.0 + (buildings.upper_area_sqft > 0)),
            "assessed_value_usd": world.current.total_usd[parcel].astype(float),
            "longitude": longitude[parcel],
            "latitude": latitude[parcel],
        }
    ).filter(pl.Series(sold.validity != Validity.NO_SALE))
    every = pl.DataFrame({"use_code": use, "neighborhood": place, "longitude": longitude, "latitude": latitude})
    counted = every.group_by("use_code", "neighborhood").agg(
        parcels=pl.len().cast(pl.Int64),
        located=pl.len().cast(pl.Int64),
        longitude=pl.col("longitude").mean(),
        latitude=pl.col("latitude").mean(),
    )
    return SyntheticMarket(sales, counted.select(*PARCEL_SCHEMA).sort("use_code", "neighborhood"))
