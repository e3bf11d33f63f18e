"""The county's own settings and code tables."""

import numpy as np
import polars as pl

from services.ingest.synthetic.houses import HEAT_CODES
from services.ingest.synthetic.local_time import LOCAL_TIME, local_time
from services.ingest.synthetic.roll import subdivision_of
from services.ingest.synthetic.structures import BEDROOMS, FIREPLACE, FULL_BATHS, HALF_BATHS, HEAT_AC, USE_CODES
from services.ingest.synthetic.world import World

ACCEPTED_GROUP, PENDING_GROUP = 1, 2

_USE_NAMES = ("HOUSEHOLD, SINGLE FAMILY UNITS", "MOBILE HOME", "OTHER RETAIL TRADE", "UNDEVELOPED LAND")
_OTHER_USES = (("12", "HOUSEHOLD, 2-4 UNITS"), ("65", "PROFESSIONAL SERVICES"), ("83", "AGRICULTURE CURRENT USE"))
_COUNTY_RATIO_NAMES = (("100", "VALID"), ("200", "INVALID"), ("300", "LAND ONLY"), ("400", "REVIEW"), ("500", "DARK"))
_RATIO_TYPES = (("00", "VALID SALE", False), ("01", "NOT ARMS LENGTH", True), ("02", "UNDER REVIEW", True))
_ATTRIBUTES = (
    (HEAT_AC, "HEAT/AC", HEAT_CODES),
    (FIREPLACE, "FIREPLACE", ("FP",)),
    (BEDROOMS, "BEDROOMS", tuple("123456")),
    (FULL_BATHS, "FULL BATHS", ("BATH",)),
    (HALF_BATHS, "HALF BATHS", ("HALF",)),
)


def code_frames(world: World) -> dict[str, pl.DataFrame]:
    """pacs_system and the code tables, by year where the real ones are (0 is the future year)."""
    return {
        "pacs_system": _system_row(world),
        "neighborhood": _every_year(world, _neighborhood_rows(world), "hood_yr"),
        "abs_subdv": _every_year(world, _subdivision_rows(world), "abs_subdv_yr"),
        "property_use": pl.DataFrame(
            [*zip(USE_CODES, _USE_NAMES, strict=True), *_OTHER_USES],
            schema=["property_use_cd", "property_use_desc"],
            orient="row",
        ),
        "sale_ratio_type": pl.DataFrame(
            _RATIO_TYPES, schema=["sl_ratio_type_cd", "sl_ratio_desc", "invalid_sale"], orient="row"
        ),
        "county_ratio_code": pl.DataFrame(_COUNTY_RATIO_NAMES, schema=["ratio_cd", "ratio_desc"], orient="row"),
        "attribute": pl.DataFrame(
            [(number, name, "N") for number, name, _ in _ATTRIBUTES],
            schema=["imprv_attr_id", "imprv_attr_desc", "cCompSalesAdjust"],
            orient="row",
        ),
        "attribute_val": pl.DataFrame(
            [(number, code) for number, _, codes in _ATTRIBUTES for code in codes],
            schema=["imprv_attr_id", "imprv_attr_val_cd"],
            orient="row",
        ),
        "sup_group": _supplement_groups(world),
    }


def _system_row(world: World) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "id": [1],
            "tax_yr": [world.tax_year - 1],
            "appr_yr": [world.tax_year],
            "future_yr": [world.tax_year + 1],
            "system_type": ["A"],
            "client_name": ["SYNTHETIC COUNTY"],
            "face_map_field": [""],
            "heat_ac_code_attribute_id": [HEAT_AC],
            "num_bedrooms_code_attribute_id": [BEDROOMS],
            "num_bathrooms_code_attribute_id": [FULL_BATHS],
        }
    )


def _neighborhood_rows(world: World) -> pl.DataFrame:
    codes = world.neighborhood_codes
    return pl.DataFrame(
        {
            "hood_cd": codes,
            "hood_name": [f"NEIGHBORHOOD {number}" for number in range(1, len(codes) + 1)],
            "hood_land_pct": np.full(len(codes), 100.0),
            "hood_imprv_pct": np.full(len(codes), 100.0),
            "cycle": np.arange(len(codes)) % 6 + 1,
        }
    )


def _subdivision_rows(world: World) -> pl.DataFrame:
    codes = np.unique(subdivision_of(world))
    return pl.DataFrame(
        {
            "abs_subdv_cd": codes,
            "abs_subdv_desc": np.strings.add("SUBDIVISION ", codes),
            "abs_land_pct": np.full(len(codes), 100.0),
            "abs_imprv_pct": np.full(len(codes), 100.0),
            "abs_subdv_ind": np.full(len(codes), "S"),
            "cInCounty": np.full(len(codes), "T"),
        }
    )


def _every_year(world: World, frame: pl.DataFrame, column: str) -> pl.DataFrame:
    years = (0, world.tax_year - 1, world.tax_year)
    return pl.concat([frame.with_columns(pl.lit(year, dtype=pl.Int64).alias(column)) for year in years])


def _supplement_groups(world: World) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "sup_group_id": [ACCEPTED_GROUP, PENDING_GROUP],
            "sup_group_desc": ["CORRECTIONS", "CORRECTIONS IN WORK"],
            "sup_create_dt": [local_time(world.tax_year, 3, 2, 10), local_time(world.tax_year, 4, 6, 10)],
            "sup_accept_dt": [local_time(world.tax_year, 3, 20, 15, 30), None],
            "status_cd": ["A", "P"],
        },
        schema_overrides={"sup_create_dt": LOCAL_TIME, "sup_accept_dt": LOCAL_TIME},
    )
