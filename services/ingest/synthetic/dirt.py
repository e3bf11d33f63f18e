"""Plants rows that break one rule each, on parcels and sales that are plain otherwise."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl

from contracts.quarantine import QuarantineRule as Rule
from services.ingest.synthetic.layers import Frames
from services.ingest.synthetic.local_time import local_time
from services.ingest.synthetic.shape import read_shape
from services.ingest.synthetic.streets import self_crossing, to_wkb_hex
from services.ingest.synthetic.structures import GROUND_FLOOR, MAIN_BUILDING
from services.ingest.synthetic.truth import DirtyRow, type_cell
from services.ingest.synthetic.world import World

DIRTY_SHARE = 0.004

SALE_RULES = (Rule.SALE_PRICE_NEGATIVE, Rule.SALE_DATE_IN_FUTURE, Rule.SALE_DATE_MISSING, Rule.SALE_PARCEL_UNKNOWN)
PARCEL_RULES = tuple(rule for rule in Rule if rule not in SALE_RULES)


@dataclass(frozen=True, slots=True)
class _Spot:
    """One cell to spoil: the row is found by `where`, in the tax year's base layer."""

    table: str
    where: dict[str, type_cell]
    field: str
    value: type_cell | datetime


def dirty_counts(parcels: int) -> tuple[int, int]:
    """How many parcels and how many sales to spoil: 0.4 % together, and every rule at least once."""
    rules = len(Rule)
    total = max(rules, round(parcels * DIRTY_SHARE))
    sales = total * len(SALE_RULES) // rules
    return total - sales, sales


def plant_dirt(
    world: World, frames: Frames, *, parcels: np.ndarray, sales: np.ndarray
) -> tuple[Frames, list[DirtyRow]]:
    """Spoils one row of each chosen improved lot and of each chosen sale (indices into the world's arrays)."""
    spots: list[tuple[Rule, _Spot]] = []
    for number, parcel in enumerate(parcels):
        rule = PARCEL_RULES[number % len(PARCEL_RULES)]
        spots.append((rule, _PARCEL_SPOTS[rule](world, int(parcel), number // len(PARCEL_RULES))))
    for number, sale in enumerate(sales):
        rule = SALE_RULES[number % len(SALE_RULES)]
        turn = number // len(SALE_RULES)
        spots.append((rule, _SALE_SPOTS[rule](world, int(sale), turn)))
    result = dict(frames)
    dirty = []
    for table in dict.fromkeys(spot.table for _, spot in spots):
        here = [(rule, spot) for rule, spot in spots if spot.table == table]
        result[table], rows = _spoil(table, frames[table], here)
        dirty.extend(rows)
    _blank_other_dates(result, dirty)
    return result, dirty


def _spoil(table: str, frame: pl.DataFrame, spots: list[tuple[Rule, _Spot]]) -> tuple[pl.DataFrame, list[DirtyRow]]:
    """Sets the cells; a frame's rows are looked up once by a key of their own."""
    rows = []
    key = read_shape()[table].key
    candidates = frame.with_row_index("place")
    first = next(iter(spots[0][1].where))
    candidates = candidates.filter(pl.col(first).is_in([spot.where[first] for _, spot in spots]))
    columns: dict[str, list[tuple[int, type_cell | datetime]]] = {}
    for rule, spot in spots:
        found = candidates.filter(*(pl.col(name) == value for name, value in spot.where.items()))
        row = found.row(0, named=True)
        assert found.height == 1, f"{table}: {spot.where} finds {found.height} rows"
        columns.setdefault(spot.field, []).append((row["place"], spot.value))
        changed = {**row, spot.field: spot.value}
        value = spot.value.isoformat() if isinstance(spot.value, datetime) else spot.value
        rows.append(
            DirtyRow(table=table, key={name: changed[name] for name in key}, rule=rule, field=spot.field, value=value)
        )
    for name, cells in columns.items():
        series = frame[name].clone()
        places = [place for place, _ in cells]
        values = pl.Series([value for _, value in cells], dtype=series.dtype)
        frame = frame.with_columns(series.scatter(places, values).alias(name))
    return frame, rows


def _blank_other_dates(frames: Frames, dirty: list[DirtyRow]) -> None:
    """A sale without a date has none on its deed either, or a reader could make one up."""
    dateless = [row.key["chg_of_owner_id"] for row in dirty if row.rule is Rule.SALE_DATE_MISSING]
    keeps = ~pl.col("chg_of_owner_id").is_in(dateless)
    frames["chg_of_owner"] = frames["chg_of_owner"].with_columns(
        pl.when(keeps).then(name).alias(name) for name in ("deed_dt", "coo_sl_dt")
    )


def _base(world: World, parcel: int, year: str = "prop_val_yr") -> dict[str, type_cell]:
    return {"prop_id": int(world.prop_id[parcel]), year: world.tax_year, "sup_num": 0}


def _cycle(*values: type_cell) -> Callable[[int], type_cell]:
    return lambda turn: values[turn % len(values)]


_BAD_YEARS = _cycle(1066, 2999)
_VALUE_FIELDS = ("market", "assessed_val", "land_hstd_val")


def _year_built(world: World, parcel: int, turn: int) -> _Spot:
    where = {**_base(world, parcel), "sale_id": 0, "imprv_id": MAIN_BUILDING}
    return _Spot("imprv", where, "actual_year_built", _BAD_YEARS(turn))


def _living_area(world: World, parcel: int, turn: int) -> _Spot:
    where = {**_base(world, parcel), "sale_id": 0, "imprv_det_id": GROUND_FLOOR}
    return _Spot("imprv_detail", where, "imprv_det_area", -1_200.0 - turn)


def _land_area(world: World, parcel: int, turn: int) -> _Spot:
    where = {**_base(world, parcel), "sale_id": 0, "land_seg_id": 1}
    return _Spot("land_detail", where, "size_square_feet", -7_500.0 - turn)


def _value(world: World, parcel: int, turn: int) -> _Spot:
    return _Spot("property_val", _base(world, parcel), _VALUE_FIELDS[turn % len(_VALUE_FIELDS)], -150_000 - turn)


def _neighborhood(world: World, parcel: int, turn: int) -> _Spot:
    return _Spot("property_val", _base(world, parcel), "hood_cd", f"ZZ{turn % 100:02d}")


def _use_code(world: World, parcel: int, turn: int) -> _Spot:
    return _Spot("property_val", _base(world, parcel), "property_use_cd", f"X{turn % 100:02d}")


def _parcel_number(world: World, parcel: int, turn: int) -> _Spot:
    return _Spot("property", {"prop_id": int(world.prop_id[parcel])}, "geo_id", _cycle("", "   ", None)(turn))


def _polygon(world: World, parcel: int, turn: int) -> _Spot:
    objectid = parcel + 1 + len(range(0, world.parcels, 100))
    crossed = self_crossing(world.lots.corners_ft[parcel])
    return _Spot("parcelsandassess", {"objectid": objectid}, "shape", to_wkb_hex(crossed[None])[0])


def _ownership(world: World, parcel: int, turn: int) -> _Spot:
    account = world.owners.account[np.searchsorted(world.owners.holding, parcel)]
    where = {**_base(world, parcel, "owner_tax_yr"), "owner_id": int(world.account_id[account])}
    return _Spot("owner", where, "pct_ownership", _cycle(150.0, -5.0)(turn))


def _sale(world: World, sale: int) -> dict[str, type_cell]:
    return {"chg_of_owner_id": int(world.change_of_owner_id[sale])}


def _sale_price(world: World, sale: int, turn: int) -> _Spot:
    return _Spot("sale", _sale(world, sale), "sl_price", -185_000 - turn)


def _sale_in_future(world: World, sale: int, turn: int) -> _Spot:
    return _Spot("sale", _sale(world, sale), "sl_dt", local_time(world.tax_year + 73, 5, 17))


def _sale_dateless(world: World, sale: int, turn: int) -> _Spot:
    return _Spot("sale", _sale(world, sale), "sl_dt", None)


def _sale_elsewhere(world: World, sale: int, turn: int) -> _Spot:
    return _Spot("chg_of_owner_prop_assoc", _sale(world, sale), "prop_id", 90_000_001 + turn)


_PARCEL_SPOTS: dict[Rule, Callable[[World, int, int], _Spot]] = {
    Rule.YEAR_BUILT_OUT_OF_RANGE: _year_built,
    Rule.LIVING_AREA_NEGATIVE: _living_area,
    Rule.LAND_AREA_NEGATIVE: _land_area,
    Rule.VALUE_NEGATIVE: _value,
    Rule.NEIGHBORHOOD_UNKNOWN: _neighborhood,
    Rule.USE_CODE_UNKNOWN: _use_code,
    Rule.PARCEL_NUMBER_MISSING: _parcel_number,
    Rule.GEOMETRY_INVALID: _polygon,
    Rule.PERCENT_OWNERSHIP_OUT_OF_RANGE: _ownership,
}
_SALE_SPOTS: dict[Rule, Callable[[World, int, int], _Spot]] = {
    Rule.SALE_PRICE_NEGATIVE: _sale_price,
    Rule.SALE_DATE_IN_FUTURE: _sale_in_future,
    Rule.SALE_DATE_MISSING: _sale_dateless,
    Rule.SALE_PARCEL_UNKNOWN: _sale_elsewhere,
}
