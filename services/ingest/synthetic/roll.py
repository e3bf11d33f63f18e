"""The assessment roll's rows: properties, their values by year, profiles, places, polygons."""

import numpy as np
import polars as pl

from services.ingest.synthetic.houses import CONDITION_CODES, HEAT_CODES, QUALITY_CODES, Use
from services.ingest.synthetic.local_time import LOCAL_TIME, local_time, repeat_time
from services.ingest.synthetic.people import CITIES, city_of, street_of
from services.ingest.synthetic.streets import to_wkb_hex
from services.ingest.synthetic.structures import (
    BUILDING_TYPES,
    LAND_TYPES,
    SQFT_PER_ACRE,
    USE_CODES,
    Layer,
    standing_in,
)
from services.ingest.synthetic.world import World

SUBDIVISIONS_PER_NEIGHBORHOOD = 3
_OLD_POLYGON_SHARE = 100  # one parcel in so many has an older polygon that a newer one supersedes


def parcel_numbers(world: World) -> np.ndarray:
    """The 15-digit parcel number of every property, with dashes, by neighborhood, block and lot."""
    lots = world.lots
    real = [
        f"1-{hood + 1:04d}-{block + 1:03d}-{lot + 1:04d}-000"
        for hood, block, lot in zip(lots.neighborhood, lots.block, lots.lot, strict=True)
    ]
    rest = [f"9-9999-{number // 10_000:03d}-{number % 10_000:04d}-000" for number in range(1, 1 + _rest(world))]
    return np.array(real + rest)


def _rest(world: World) -> int:
    return world.inactive + world.personal


def subdivision_of(world: World) -> np.ndarray:
    """The subdivision code of every lot."""
    lots = world.lots
    return np.array(
        [
            f"S{hood + 1:04d}{block % SUBDIVISIONS_PER_NEIGHBORHOOD}"
            for hood, block in zip(lots.neighborhood, lots.block, strict=True)
        ]
    )


def property_rows(world: World) -> pl.DataFrame:
    """Real property first, then inactive, then personal property."""
    lots, count = world.lots, len(world.prop_id)
    use = np.concatenate([world.buildings.use, np.full(_rest(world), Use.VACANT)])
    kind = np.where(use == Use.MOBILE_HOME, "MH", "R")
    kind[count - world.personal :] = "P"
    numbers = parcel_numbers(world)
    zoning = np.concatenate([np.where(lots.area_sqft > 30_000, "RR-1", "R-1"), np.full(_rest(world), "")])
    return pl.DataFrame(
        {
            "prop_id": world.prop_id,
            "prop_type_cd": kind,
            "prop_create_dt": repeat_time(local_time(world.tax_year - 20, 3, 1, 8, 30), count),
            "geo_id": numbers,
            "simple_geo_id": np.strings.replace(numbers, "-", ""),
            "zoning": np.where(use == Use.COMMERCIAL, "C-1", zoning),
            "state_cd": np.array(USE_CODES)[use],
            "reference_flag": np.full(count, "F"),
        }
    ).with_columns(pl.when(pl.col("zoning") != "").then("zoning").alias("zoning"))


def value_rows(layer: Layer) -> pl.DataFrame:
    """property_val of the year: lots, inactive and personal property."""
    world, values, lots = layer.world, layer.values, layer.world.lots
    use, parcels = world.buildings.use, world.parcels
    is_home = (use == Use.RESIDENTIAL) | (use == Use.MOBILE_HOME)
    total = values.total_usd
    subdivisions = subdivision_of(world)
    real = pl.DataFrame(
        {
            "prop_id": world.prop_id[:parcels],
            "land_hstd_val": np.where(is_home, values.land_usd, 0),
            "land_non_hstd_val": np.where(is_home, 0, values.land_usd),
            "imprv_hstd_val": np.where(is_home, values.improvement_usd, 0),
            "imprv_non_hstd_val": np.where(is_home, 0, values.improvement_usd),
            "market": total,
            "appraised_val": total,
            "assessed_val": total,
            "cost_market": (total * 0.98 / 10).astype(np.int64) * 10,
            "mktappr_market": np.where(is_home, (total * 1.02 / 10).astype(np.int64) * 10, 0),
            "income_market": np.where(use == Use.COMMERCIAL, (total * 1.05 / 10).astype(np.int64) * 10, 0),
            "hood_cd": world.neighborhood_codes[lots.neighborhood],
            "abs_subdv_cd": subdivisions,
            "property_use_cd": np.array(USE_CODES)[use],
            "cycle": lots.neighborhood % 6 + 1,
            "legal_desc": [
                f"SUBDIVISION {code}, BLOCK {block + 1}, LOT {lot + 1}"
                for code, block, lot in zip(subdivisions, lots.block, lots.lot, strict=True)
            ],
            "block": (lots.block + 1).astype(str),
            "tract_or_lot": (lots.lot + 1).astype(str),
            "legal_acreage": (lots.area_sqft / SQFT_PER_ACRE).round(4),
            "prop_inactive_dt": repeat_time(None, parcels),
        }
    )
    rest = pl.DataFrame(
        {
            "prop_id": world.prop_id[parcels:],
            "market": np.full(_rest(world), 5_000),
            "appraised_val": np.full(_rest(world), 5_000),
            "assessed_val": np.full(_rest(world), 5_000),
            "prop_inactive_dt": [local_time(layer.year - 2, 6, 15)] * world.inactive + [None] * world.personal,
        },
        schema_overrides={"prop_inactive_dt": LOCAL_TIME},
    )
    zeros = ("ag_use_val", "ag_market", "ag_loss", "timber_use", "timber_market", "timber_loss", "ten_percent_cap")
    return pl.concat([real, rest], how="diagonal").with_columns(
        pl.lit(layer.year, dtype=pl.Int64).alias("prop_val_yr"),
        pl.lit(0, dtype=pl.Int64).alias("sup_num"),
        pl.lit("C").alias("appr_method"),
        pl.lit("F").alias("recalc_flag"),
        pl.lit(local_time(layer.year, 2, 1, 22, 5), dtype=LOCAL_TIME).alias("recalc_dt"),
        pl.lit(local_time(layer.year - 1, 9, 3), dtype=LOCAL_TIME).alias("last_appraisal_dt"),
        *(pl.lit(None, dtype=kind).alias(name) for name, kind in _SUPPLEMENT_COLUMNS.items()),
        *(pl.lit(0, dtype=pl.Int64).alias(name) for name in zeros),
    )


_SUPPLEMENT_COLUMNS = {
    "prev_sup_num": pl.Int64(),
    "sup_action": pl.String(),
    "sup_cd": pl.String(),
    "sup_desc": pl.String(),
    "sup_dt": LOCAL_TIME,
}


def pointer_rows(layer: Layer) -> pl.DataFrame:
    """prop_supp_assoc of the year, every property at supplement 0."""
    prop_id = layer.world.prop_id
    return pl.DataFrame(
        {
            "prop_id": prop_id,
            "owner_tax_yr": np.full(len(prop_id), layer.year),
            "sup_num": np.zeros(len(prop_id), np.int64),
        }
    )


def profile_rows(layer: Layer) -> pl.DataFrame:
    """property_profile of the lots: the recalculation's flat copy of each parcel's characteristics."""
    world, lots, buildings = layer.world, layer.world.lots, layer.world.buildings
    stands = np.zeros(world.parcels, dtype=bool)
    stands[standing_in(layer)] = True
    acres = (lots.area_sqft / SQFT_PER_ACRE).round(4)
    frame = pl.DataFrame(
        {
            "prop_id": world.prop_id[: world.parcels],
            "prop_val_yr": np.full(world.parcels, layer.year),
            "sup_num": np.zeros(world.parcels, np.int64),
            "yr_blt": buildings.year_built,
            "actual_year_built": buildings.year_built,
            "eff_yr_blt": buildings.effective_year_built,
            "living_area": buildings.living_area_sqft.astype(np.int64),
            "class_cd": np.array(QUALITY_CODES)[buildings.quality],
            "condition_cd": np.array(CONDITION_CODES)[buildings.condition],
            "imprv_type_cd": np.array(BUILDING_TYPES)[buildings.use],
            "heat_ac_code": np.array(HEAT_CODES)[buildings.heat],
            "num_imprv": 1 + (buildings.outbuilding_sqft > 0).astype(np.int64),
        }
    )
    when_standing = [pl.when(pl.Series(stands)).then(name).alias(name) for name in frame.columns[3:]]
    return frame.with_columns(
        *when_standing,
        pl.Series("land_type_cd", np.array(LAND_TYPES)[buildings.use]),
        pl.Series("land_sqft", lots.area_sqft),
        pl.Series("land_acres", acres),
        pl.Series("land_total_sqft", lots.area_sqft),
        pl.Series("land_total_acres", acres),
        pl.Series("land_front_feet", lots.frontage_ft),
        pl.Series("land_depth", lots.depth_ft),
        pl.Series("neighborhood", world.neighborhood_codes[lots.neighborhood]),
        pl.Series("abs_subdv", subdivision_of(world)),
        pl.Series("property_use_cd", np.array(USE_CODES)[buildings.use]),
        pl.Series("appraised_val", layer.values.total_usd),
        pl.lit(local_time(layer.year, 2, 1, 23, 10), dtype=LOCAL_TIME).alias("update_dt"),
    )


def situs_rows(world: World) -> pl.DataFrame:
    """The primary situs of every lot."""
    prefix, street, suffix = street_of(world.lots.street)
    names, codes = (np.array(column) for column in zip(*CITIES, strict=True))
    city = city_of(world.lots)
    return pl.DataFrame(
        {
            "prop_id": world.prop_id[: world.parcels],
            "situs_id": np.ones(world.parcels, np.int64),
            "primary_situs": np.full(world.parcels, "Y"),
            "situs_num": world.lots.house_number.astype(str),
            "situs_street_prefx": prefix,
            "situs_street": street,
            "situs_street_sufix": suffix,
            "situs_city": names[city],
            "situs_state": np.full(world.parcels, "WA"),
            "situs_zip": codes[city],
        }
    ).with_columns(pl.when(pl.col("situs_street_prefx") != "").then("situs_street_prefx").alias("situs_street_prefx"))


def polygon_rows(world: World) -> pl.DataFrame:
    """The GIS polygons: a few old ones first, superseded by a newer objectid of the same parcel."""
    parcels = world.parcels
    old = np.arange(0, parcels, _OLD_POLYGON_SHARE)
    shrunk = world.lots.corners_ft[old].copy()
    shrunk[:, 2:] = np.round((shrunk[:, 2:] + shrunk[:, 1::-1]) / 2, 2)
    parcel = np.concatenate([old, np.arange(parcels)])
    return pl.DataFrame(
        {
            "objectid": np.arange(1, len(parcel) + 1),
            "prop_id": world.prop_id[parcel],
            "geo_id": parcel_numbers(world)[parcel],
            "shape": to_wkb_hex(shrunk) + to_wkb_hex(world.lots.corners_ft),
        }
    )
