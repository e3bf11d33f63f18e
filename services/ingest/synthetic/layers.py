"""Layers above the base roll: supplements, the future year, and what was frozen at a sale."""

from datetime import datetime

import numpy as np
import polars as pl

from services.ingest.synthetic.codes import ACCEPTED_GROUP, PENDING_GROUP
from services.ingest.synthetic.local_time import LOCAL_TIME, local_time
from services.ingest.synthetic.structures import GROUND_FLOOR
from services.ingest.synthetic.world import World

Frames = dict[str, pl.DataFrame]

YEAR_COLUMNS = {
    "property_val": "prop_val_yr",
    "owner": "owner_tax_yr",
    "land_detail": "prop_val_yr",
    "imprv": "prop_val_yr",
    "imprv_detail": "prop_val_yr",
    "imprv_attr": "prop_val_yr",
}
FROZEN_TABLES = ("land_detail", "imprv", "imprv_detail", "imprv_attr")
_CORRECTION = 0.94  # what the supplement made of the improvement's base value


def add_layers(
    world: World, frames: Frames, *, accepted: np.ndarray, pending: np.ndarray, future: np.ndarray
) -> Frames:
    """The frames with supplement 1 (accepted) and 2 (pending) of these properties, and the layers of year 0.

    The three arguments are prop_ids of improved parcels that do not overlap.
    """
    layered = _freeze_at_sales(world, frames)
    for number, group, chosen in ((1, ACCEPTED_GROUP, accepted), (2, PENDING_GROUP, pending)):
        layered = _add_supplement(world, layered, number=number, chosen=chosen)
        entry = {"sup_tax_yr": [world.tax_year], "sup_num": [number], "sup_group_id": [group]}
        layered["supplement"] = pl.concat([layered["supplement"], pl.DataFrame(entry)])
    return _add_future_year(world, layered, future)


def _add_supplement(world: World, frames: Frames, *, number: int, chosen: np.ndarray) -> Frames:
    """Copies the properties' rows to the supplement, corrects them there, and moves the pointer."""
    result = dict(frames)
    prop_ids = pl.Series(chosen).implode()
    is_chosen = pl.col("prop_id").is_in(prop_ids)
    for table, year in YEAR_COLUMNS.items():
        frame = frames[table]
        base = is_chosen & (pl.col(year) == world.tax_year) & (pl.col("sup_num") == 0)
        live = base & (pl.col("sale_id") == 0) if "sale_id" in frame.columns else base
        copies = frame.filter(live).with_columns(pl.lit(number, dtype=pl.Int64).alias("sup_num"))
        if table == "property_val":
            copies = _correct_values(copies, when=local_time(world.tax_year, 3 + number, 5, 11))
        if table == "imprv":
            copies = copies.with_columns((pl.col("imprv_val") * _CORRECTION).cast(pl.Int64))
        result[table] = pl.concat([frame, copies], how="vertical_relaxed")
    for table, year in (("prop_supp_assoc", "owner_tax_yr"), ("property_profile", "prop_val_yr")):
        moved = is_chosen & (pl.col(year) == world.tax_year)
        result[table] = frames[table].with_columns(
            pl.when(moved).then(pl.lit(number, dtype=pl.Int64)).otherwise("sup_num").alias("sup_num")
        )
    return result


def _correct_values(copies: pl.DataFrame, *, when: datetime) -> pl.DataFrame:
    corrected = copies.with_columns(
        (pl.col(name) * _CORRECTION).cast(pl.Int64).alias(name) for name in ("imprv_hstd_val", "imprv_non_hstd_val")
    )
    total = pl.sum_horizontal("land_hstd_val", "land_non_hstd_val", "imprv_hstd_val", "imprv_non_hstd_val")
    return corrected.with_columns(
        *(total.alias(name) for name in ("market", "appraised_val", "assessed_val")),
        pl.lit("M").alias("sup_action"),
        pl.lit("CLER").alias("sup_cd"),
        pl.lit("CLERICAL ERROR IN CHARACTERISTICS").alias("sup_desc"),
        pl.lit(when, dtype=LOCAL_TIME).alias("sup_dt"),
        pl.lit(0, dtype=pl.Int64).alias("prev_sup_num"),
    )


def _freeze_at_sales(world: World, frames: Frames) -> Frames:
    """Copies land and buildings of frozen sales under the sale's id, with the living area as sold."""
    sales = world.sales
    frozen = np.flatnonzero(sales.is_frozen)
    first = sales.first_parcel[frozen]
    grown = world.buildings.living_area_sqft[first] - sales.sold_living_area_sqft[frozen]
    sold = pl.DataFrame(
        {"prop_id": world.prop_id[first], "frozen_id": world.change_of_owner_id[frozen], "grown_sqft": grown}
    )
    result = dict(frames)
    for table in FROZEN_TABLES:
        frame = frames[table]
        base = frame.filter(pl.col("prop_val_yr") == world.tax_year).join(sold, on="prop_id", how="inner")
        copies = base.with_columns(pl.col("frozen_id").alias("sale_id"))
        if table == "imprv_detail":
            is_ground = pl.col("imprv_det_id") == GROUND_FLOOR
            smaller = pl.col("imprv_det_area") - pl.when(is_ground).then("grown_sqft").otherwise(0.0)
            copies = copies.with_columns(smaller.alias("imprv_det_area"), smaller.alias("calc_area"))
        result[table] = pl.concat([frame, copies.select(frame.columns).sort(copies.columns[0], "sale_id")])
    return result


def _add_future_year(world: World, frames: Frames, chosen: np.ndarray) -> Frames:
    """Copies of the current layer under year 0, which stands for the year after the appraisal year."""
    result = dict(frames)
    is_chosen = pl.col("prop_id").is_in(pl.Series(chosen).implode())
    for table, year in {**YEAR_COLUMNS, "prop_supp_assoc": "owner_tax_yr"}.items():
        frame = frames[table]
        live = is_chosen & (pl.col(year) == world.tax_year) & (pl.col("sup_num") == 0)
        if "sale_id" in frame.columns:
            live &= pl.col("sale_id") == 0
        copies = frame.filter(live).with_columns(pl.lit(0, dtype=pl.Int64).alias(year))
        result[table] = pl.concat([frame, copies], how="vertical_relaxed")
    return result
