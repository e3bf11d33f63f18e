"""The year-layered rows of land and buildings: land_detail, imprv, imprv_detail, imprv_attr."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from services.ingest.synthetic.houses import CONDITION_CODES, HEAT_CODES, QUALITY_CODES, Use
from services.ingest.synthetic.prices import Assessment
from services.ingest.synthetic.streets import type_ints
from services.ingest.synthetic.world import World

SQFT_PER_ACRE = 43_560
MAIN_BUILDING, OUTBUILDING = 1, 2
GROUND_FLOOR, UPPER_FLOOR, GARAGE, POLE_BUILDING = 1, 2, 3, 4

#: attribute ids of imprv_attr, as pacs_system names them
HEAT_AC, FIREPLACE, BEDROOMS, FULL_BATHS, HALF_BATHS = 9, 10, 15, 45, 46

BUILDING_TYPES = ("RES", "MH", "COMM", "")
LAND_TYPES = ("RES", "MH", "COMM", "VAC")
USE_CODES = ("11", "18", "59", "91")
_HOMESITE_LIMIT_SQFT = 2 * SQFT_PER_ACRE


@dataclass(frozen=True, slots=True)
class Layer:
    """A year's base layer to write rows of: supplement 0, live rows (sale_id 0)."""

    world: World
    year: int
    values: Assessment

    def keys(self, parcel: type_ints) -> dict[str, object]:
        """The columns that every layered row of these parcels begins with."""
        return {
            "prop_id": self.world.prop_id[parcel],
            "prop_val_yr": pl.repeat(self.year, len(parcel), dtype=pl.Int64, eager=True),
            "sup_num": pl.repeat(0, len(parcel), dtype=pl.Int64, eager=True),
            "sale_id": pl.repeat(0, len(parcel), dtype=pl.Int64, eager=True),
        }


def standing_in(layer: Layer) -> type_ints:
    """The improved parcels whose main building stood in the layer's year."""
    buildings = layer.world.buildings
    return np.flatnonzero(buildings.is_improved & (buildings.year_built < layer.year))


def land_rows(layer: Layer) -> pl.DataFrame:
    """One segment a parcel; large lots have an acre of homesite and the rest."""
    lots, use = layer.world.lots, layer.world.buildings.use
    large = np.flatnonzero(lots.area_sqft > _HOMESITE_LIMIT_SQFT)
    everyone = np.arange(len(lots.lot))
    first = np.where(lots.area_sqft > _HOMESITE_LIMIT_SQFT, SQFT_PER_ACRE, lots.area_sqft)
    parcel = np.concatenate([everyone, large])
    size = np.concatenate([first, lots.area_sqft[large] - SQFT_PER_ACRE])
    value = layer.values.land_usd
    rest_value = (value[large] * 0.4).astype(np.int64)
    first_value = value.copy()
    first_value[large] -= rest_value
    segment = np.concatenate([np.ones(len(everyone), np.int64), np.full(len(large), 2)])
    segment_value = np.concatenate([first_value, rest_value])
    return pl.DataFrame(
        {
            **layer.keys(parcel),
            "land_seg_id": segment,
            "land_type_cd": np.array(LAND_TYPES)[use[parcel]],
            "state_cd": np.array(USE_CODES)[use[parcel]],
            "size_acres": (size / SQFT_PER_ACRE).round(4),
            "size_square_feet": size,
            "effective_front": lots.frontage_ft[parcel],
            "effective_depth": lots.depth_ft[parcel],
            "mkt_unit_price": (segment_value / size).round(2),
            "land_seg_mkt_val": segment_value,
            "mkt_val_source": np.full(len(parcel), "C"),
            "ag_apply": np.full(len(parcel), "F"),
            "land_seg_homesite": np.where((use[parcel] == Use.RESIDENTIAL) & (segment == 1), "T", "F"),
        }
    ).sort("prop_id", "land_seg_id")


def building_rows(layer: Layer) -> pl.DataFrame:
    """The main building of each improved parcel, and the outbuildings."""
    buildings = layer.world.buildings
    main = standing_in(layer)
    outside = main[buildings.outbuilding_sqft[main] > 0]
    parcel = np.concatenate([main, outside])
    is_main = np.arange(len(parcel)) < len(main)
    outside_value = (layer.values.improvement_usd * 0.05).astype(np.int64)
    main_value = layer.values.improvement_usd - np.where(buildings.outbuilding_sqft > 0, outside_value, 0)
    return pl.DataFrame(
        {
            **layer.keys(parcel),
            "imprv_id": np.where(is_main, MAIN_BUILDING, OUTBUILDING),
            "imprv_type_cd": np.where(is_main, np.array(BUILDING_TYPES)[buildings.use[parcel]], "OUTB"),
            "imprv_sl_locked": np.full(len(parcel), "F"),
            "primary_imprv": np.where(is_main, "Y", "N"),
            "imprv_state_cd": np.array(USE_CODES)[buildings.use[parcel]],
            "imprv_homesite": np.where(buildings.use[parcel] == Use.RESIDENTIAL, "Y", "N"),
            "imprv_desc": np.where(is_main, "MAIN BUILDING", "POLE BUILDING"),
            "imprv_val": np.where(is_main, main_value[parcel], outside_value[parcel]),
            "imprv_val_source": np.full(len(parcel), "C"),
            "stories": np.where(is_main & (buildings.upper_area_sqft[parcel] > 0), "2", "1"),
            "actual_year_built": buildings.year_built[parcel],
            "effective_yr_blt": buildings.effective_year_built[parcel],
            "percent_complete": np.full(len(parcel), 100.0),
            "num_imprv": np.ones(len(parcel), np.int64),
        }
    ).sort("prop_id", "imprv_id")


def detail_rows(layer: Layer) -> pl.DataFrame:
    """The parts of the buildings; living area is the sum of those of type MA."""
    buildings = layer.world.buildings
    main = standing_in(layer)
    area = buildings.living_area_sqft
    parts = (
        (MAIN_BUILDING, GROUND_FLOOR, "MA", area - buildings.upper_area_sqft, 1),
        (MAIN_BUILDING, UPPER_FLOOR, "MA", buildings.upper_area_sqft, 2),
        (MAIN_BUILDING, GARAGE, "ATTGAR", buildings.garage_sqft, 1),
        (OUTBUILDING, POLE_BUILDING, "POLEBLDG", buildings.outbuilding_sqft, 1),
    )
    frames = []
    for building, detail, kind, size, floor in parts:
        parcel = main[size[main] > 0]
        count = len(parcel)
        frames.append(
            pl.DataFrame(
                {
                    **layer.keys(parcel),
                    "imprv_id": np.full(count, building),
                    "imprv_det_id": np.full(count, detail),
                    "imprv_det_class_cd": np.array(QUALITY_CODES)[buildings.quality[parcel]],
                    "imprv_det_meth_cd": np.full(count, "R"),
                    "imprv_det_type_cd": np.full(count, kind),
                    "imprv_det_area": size[parcel],
                    "calc_area": size[parcel],
                    "condition_cd": np.array(CONDITION_CODES)[buildings.condition[parcel]],
                    "yr_built": buildings.year_built[parcel],
                    "depreciation_yr": buildings.effective_year_built[parcel],
                    "num_units": np.ones(count, np.int64),
                    "floor_number": np.full(count, floor),
                }
            )
        )
    return pl.concat(frames).sort("prop_id", "imprv_det_id")


def attribute_rows(layer: Layer) -> pl.DataFrame:
    """Rooms, heating and fireplaces of the main building's ground floor."""
    buildings = layer.world.buildings
    main = standing_in(layer)
    heat = np.array(HEAT_CODES)[buildings.heat]
    attributes = (
        (HEAT_AC, heat, np.ones_like(buildings.use)),
        (FIREPLACE, np.full(len(heat), "FP"), buildings.fireplaces),
        (BEDROOMS, buildings.bedrooms.astype(str), np.where(buildings.bedrooms > 0, 1, 0)),
        (FULL_BATHS, np.full(len(heat), "BATH"), buildings.full_baths),
        (HALF_BATHS, np.full(len(heat), "HALF"), buildings.half_baths),
    )
    frames = []
    for row, (attribute, code, units) in enumerate(attributes, start=1):
        parcel = main[units[main] > 0]
        count = len(parcel)
        frames.append(
            pl.DataFrame(
                {
                    **layer.keys(parcel),
                    "imprv_id": np.full(count, MAIN_BUILDING),
                    "imprv_det_id": np.full(count, GROUND_FLOOR),
                    "imprv_attr_id": np.full(count, row),
                    "i_attr_val_id": np.full(count, attribute),
                    "i_attr_val_cd": code[parcel],
                    "i_attr_unit": units[parcel].astype(np.float64),
                }
            )
        )
    return pl.concat(frames).sort("prop_id", "imprv_attr_id")
