"""Plans what happens at the county after the first synchronisation, and the fact that must come of each thing."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import cycle, islice
from typing import Any, Literal

import numpy as np
import polars as pl

from services.ingest.synthetic.casting import Cast
from services.ingest.synthetic.layers import YEAR_COLUMNS, Frames
from services.ingest.synthetic.local_time import local_time
from services.ingest.synthetic.prices import log_price
from services.ingest.synthetic.shape import read_shape
from services.ingest.synthetic.streets import split_in_two, to_wkb_hex
from services.ingest.synthetic.structures import (
    BEDROOMS,
    FULL_BATHS,
    GROUND_FLOOR,
    MAIN_BUILDING,
    SQFT_PER_ACRE,
    UPPER_FLOOR,
)
from services.ingest.synthetic.truth import ExpectedFact, PlantedChange, RowChange
from services.ingest.synthetic.world import World

PARCELS_PER_CHANGE = 120
_PARCEL_TABLES = ("property", "property_val", "prop_supp_assoc", "property_profile", "owner", "situs", "land_detail",
                  "imprv", "imprv_detail", "imprv_attr", "parcelsandassess")  # fmt: skip
_SALE_TABLES = ("chg_of_owner", "chg_of_owner_prop_assoc", "sale")
_FIRST_NEW_SUPPLEMENT = 3
_FIRST_NEW_OBJECTID = 10_000_000
_NEW_HOUSE_SQFT = 1_850

type_row = dict[str, Any]
type_subject = Literal["parcel.changed", "parcel.removed", "sale.recorded", "sale.changed", "owner.changed"]


@dataclass(frozen=True, slots=True)
class Scene:
    """One change's surroundings: the rows of its parcel and sale, and its number among its kind."""

    world: World
    rows: dict[str, list[type_row]]
    parcel: int
    sale: int
    turn: int

    @property
    def prop_id(self) -> int:
        """The source key of the parcel that is changed."""
        return int(self.world.prop_id[self.parcel])

    @property
    def when(self) -> str:
        """When the change is made, as the source writes local time."""
        return (local_time(self.world.tax_year, 5, 4, 9, 12) + timedelta(minutes=self.turn)).isoformat()

    def current(self, table: str) -> list[type_row]:
        """The table's rows of the parcel in the tax year, or all where it has no years."""
        year = {**YEAR_COLUMNS, "prop_supp_assoc": "owner_tax_yr", "property_profile": "prop_val_yr"}.get(table)
        return [row for row in self.rows[table] if year is None or row[year] == self.world.tax_year]


def plan_changes(world: World, frames: Frames, cast: Cast) -> list[PlantedChange]:
    """About one change per 120 parcels and at least one of every kind, in turns."""
    count = max(len(_KINDS), round(world.parcels / PARCELS_PER_CHANGE))
    pools = {
        "house": iter(cast.spare_houses),
        "two_storey": iter(cast.spare_two_storey_houses),
        "vacant": iter(cast.spare_vacant),
        "sale": iter(cast.spare_sales),
    }
    picked = []
    for number, (name, pool, kind) in enumerate(islice(cycle(_KINDS), count)):
        index = next(pools[pool], None)
        if index is not None:
            picked.append((name, pool, kind, int(index), number // len(_KINDS)))
    sales = {index: int(world.sales.first_parcel[index]) for _, pool, _, index, _ in picked if pool == "sale"}
    parcels = [sales[index] if pool == "sale" else index for _, pool, _, index, _ in picked]
    local = _local_rows(world, frames, np.array(parcels), np.array(list(sales), dtype=np.int64))
    changes = []
    for (name, pool, kind, index, turn), parcel in zip(picked, parcels, strict=True):
        sale = index if pool == "sale" else -1
        scene = Scene(world, _rows_of(world, local, parcel, sale), parcel, sale, turn)
        rows, facts = kind(scene)
        changes.append(PlantedChange(name=name, rows=list(rows), facts=facts))
    return changes


def _local_rows(world: World, frames: Frames, parcels: np.ndarray, sales: np.ndarray) -> Frames:
    """Only the rows of the picked parcels and sales, so that each later look-up is short."""
    is_parcel = pl.col("prop_id").is_in(world.prop_id[parcels].tolist())
    is_sale = pl.col("chg_of_owner_id").is_in(world.change_of_owner_id[sales].tolist())
    return {
        **{table: frames[table].filter(is_parcel) for table in _PARCEL_TABLES},
        **{table: frames[table].filter(is_sale) for table in _SALE_TABLES},
    }


def _rows_of(world: World, local: Frames, parcel: int, sale: int) -> dict[str, list[type_row]]:
    is_parcel = pl.col("prop_id") == int(world.prop_id[parcel])
    is_sale = pl.col("chg_of_owner_id") == (int(world.change_of_owner_id[sale]) if sale >= 0 else -1)
    filters = {**dict.fromkeys(_PARCEL_TABLES, is_parcel), **dict.fromkeys(_SALE_TABLES, is_sale)}
    return {table: [_to_cells(row) for row in local[table].filter(f).to_dicts()] for table, f in filters.items()}


def _to_cells(row: type_row) -> type_row:
    cells = {name: value.isoformat() if isinstance(value, datetime) else value for name, value in row.items()}
    return {name: value for name, value in cells.items() if value is not None}


def _write(op: Literal["c", "u", "d"], table: str, row: type_row, **fields: Any) -> RowChange:
    """A write of the row: its key comes from `row`; an insert carries the rest of `row` too."""
    names = read_shape()[table].key
    rest = {name: value for name, value in row.items() if name not in names} if op == "c" else {}
    return RowChange(table=table, op=op, key={name: row[name] for name in names}, fields={**rest, **fields})


def _facts(subject: type_subject, *ids: int) -> list[ExpectedFact]:
    return [ExpectedFact(subject=subject, id=str(number)) for number in ids]


type_play = tuple[Iterator[RowChange] | list[RowChange], list[ExpectedFact]]


def _values(row: type_row, *, land: float = 1.0, improvement: float = 1.0) -> type_row:
    """The value columns of a property_val row after its land or improvement is revalued, in whole dollars."""
    fields = {name: int(row[name] * land) for name in ("land_hstd_val", "land_non_hstd_val")}
    fields |= {name: int(row[name] * improvement) for name in ("imprv_hstd_val", "imprv_non_hstd_val")}
    return fields | dict.fromkeys(("market", "appraised_val", "assessed_val"), sum(fields.values()))


def _update_value(scene: Scene) -> type_play:
    value, profile = scene.current("property_val")[0], scene.current("property_profile")[0]
    fields = _values(value, improvement=1.08)
    rows = [
        _write("u", "property_val", value, **fields, last_appraisal_dt=scene.when, last_appraiser_id=7),
        _write("u", "property_profile", profile, appraised_val=fields["market"], update_dt=scene.when),
    ]
    return rows, _facts("parcel.changed", scene.prop_id)


def _recalculate(scene: Scene) -> type_play:
    """Rewrites rows with the values that they have: rowversions move, nothing changes."""
    value, building = scene.current("property_val")[0], scene.current("imprv")[0]
    rows = [
        _write("u", "property_val", value, market=value["market"], recalc_dt=scene.when),
        _write("u", "imprv", building, imprv_val=building["imprv_val"]),
    ]
    return rows, []


def _create_supplement(scene: Scene) -> type_play:
    year, number = scene.world.tax_year, _FIRST_NEW_SUPPLEMENT + scene.turn
    group = {"sup_group_id": number, "sup_group_desc": "CORRECTIONS", "sup_create_dt": scene.when, "status_cd": "P"}
    rows = [
        _write("c", "sup_group", group),
        _write("c", "supplement", {"sup_tax_yr": year, "sup_num": number, "sup_group_id": number}),
    ]
    note = {"sup_action": "M", "sup_cd": "CLER", "sup_desc": "CORRECTED VALUE", "sup_dt": scene.when, "prev_sup_num": 0}
    for table in YEAR_COLUMNS:
        for row in scene.current(table):
            edits = {**_values(row, improvement=0.9), **note} if table == "property_val" else {}
            rows.append(_write("c", table, {**row, "sup_num": number, **edits}))
    pointers = ("prop_supp_assoc", "property_profile")
    rows += [_write("u", table, scene.current(table)[0], sup_num=number) for table in pointers]
    return rows, _facts("parcel.changed", scene.prop_id)


def _record_sale(scene: Scene) -> type_play:
    """The parcel sells again: its earlier transfer steps back to seq_num 1 and is otherwise as it was."""
    world, parcel = scene.world, np.array([scene.parcel])
    number = int(world.change_of_owner_id[-1]) + 1 + scene.turn
    sold = local_time(world.tax_year - 1, 12, 10 + scene.turn % 20).isoformat()
    area = world.buildings.living_area_sqft[parcel]
    level = log_price(world.lots, world.buildings, world.neighborhood_effects, parcel=parcel,
                      year=np.array([world.tax_year - 1]), living_area_sqft=area)  # fmt: skip
    price = int(np.round(np.exp(level[0]) / 100) * 100)
    tie, deed = scene.rows["chg_of_owner_prop_assoc"][0], scene.rows["chg_of_owner"][0]
    dates = {"deed_dt": sold, "coo_sl_dt": sold, "recorded_dt": scene.when}
    deed = {**deed, **dates, "chg_of_owner_id": number, "deed_num": f"NEW-{number}", "consideration": str(price)}
    sale = {**scene.rows["sale"][0], "chg_of_owner_id": number, "sl_price": price, "adjusted_sl_price": price}
    rows = [
        _write("u", "chg_of_owner_prop_assoc", tie, seq_num=1),
        _write("c", "chg_of_owner", deed),
        _write("c", "chg_of_owner_prop_assoc", {**tie, "chg_of_owner_id": number, "sup_tax_yr": world.tax_year}),
        _write("c", "sale", {**sale, "sl_dt": sold, "sl_ratio_type_cd": "00"}),
    ]
    return rows, _facts("sale.recorded", number)


def _correct_price(scene: Scene) -> type_play:
    sale = scene.rows["sale"][0]
    price = sale["sl_price"] + 1_500
    rows = [_write("u", "sale", sale, sl_price=price, adjusted_sl_price=price)]
    return rows, _facts("sale.changed", sale["chg_of_owner_id"])


def _disqualify_sale(scene: Scene) -> type_play:
    sale = scene.rows["sale"][0]
    rows = [_write("u", "sale", sale, sl_county_ratio_cd="200", sl_ratio_type_cd="01")]
    return rows, _facts("sale.changed", sale["chg_of_owner_id"])


def _make_inactive(scene: Scene) -> type_play:
    rows = [_write("u", "property_val", scene.current("property_val")[0], prop_inactive_dt=scene.when)]
    return rows, _facts("parcel.removed", scene.prop_id)


def _delete_parcel(scene: Scene) -> type_play:
    rows = [_write("d", table, row) for table in reversed(_PARCEL_TABLES) for row in scene.rows[table]]
    return rows, _facts("parcel.removed", scene.prop_id)


def _subdivide(scene: Scene) -> type_play:
    """Cuts a vacant lot in two: the parent keeps the front half, a new parcel gets the rear."""
    world, parent = scene.world, scene.prop_id
    child = int(world.prop_id[-1]) + 1 + scene.turn
    objectid = _FIRST_NEW_OBJECTID + 2 * scene.turn
    front, rear = (to_wkb_hex(half[None])[0] for half in split_in_two(world.lots.corners_ft[scene.parcel]))
    rows = []
    for table in ("property_val", "land_detail", "property_profile"):
        row = scene.current(table)[0]
        halves = _halves(table, row)
        rows.append(_write("u", table, row, **halves))
        rows.append(_write("c", table, {**row, **halves, "prop_id": child}))
    for table in ("property", "prop_supp_assoc", "owner", "situs"):
        row = {**scene.current(table)[0], "prop_id": child}
        if table == "property":
            row |= {name: f"{row[name][:-1]}1" for name in ("geo_id", "simple_geo_id")} | {"mass_created_from": parent}
        if table == "situs":
            row["situs_num"] = f"{row['situs_num']}B"
        rows.append(_write("c", table, row))
    polygon = scene.rows["parcelsandassess"][-1]
    rows.append(_write("c", "parcelsandassess", {**polygon, "objectid": objectid, "shape": front}))
    geo_id = f"{polygon['geo_id'][:-1]}1"
    rows.append(
        _write("c", "parcelsandassess", {"objectid": objectid + 1, "prop_id": child, "geo_id": geo_id, "shape": rear})
    )
    return rows, _facts("parcel.changed", parent, child) + _facts("owner.changed", child)


def _halves(table: str, row: type_row) -> type_row:
    if table == "property_val":
        return _values(row, land=0.5) | {"legal_acreage": round(row["legal_acreage"] / 2, 4)}
    if table == "land_detail":
        size = row["size_square_feet"] / 2
        value = int(row["land_seg_mkt_val"] * 0.5)
        return {"size_square_feet": size, "size_acres": round(size / SQFT_PER_ACRE, 4), "land_seg_mkt_val": value}
    size = row["land_sqft"] / 2
    acres = round(size / SQFT_PER_ACRE, 4)
    sizes = {"land_sqft": size, "land_total_sqft": size, "land_acres": acres, "land_total_acres": acres}
    return {**sizes, "appraised_val": int(row["appraised_val"] * 0.5)}


def _change_owner(scene: Scene) -> type_play:
    owner, value = scene.current("owner")[0], scene.current("property_val")[0]
    account = int(scene.world.account_id[-1]) + 1 + scene.turn
    name = {"file_as_name": f"NEWOWNER, NUMBER {scene.turn + 1}", "confidential_flag": "F"}
    address = {"addr_type_cd": "M", "primary_addr": "Y", "addr_line1": f"PO BOX {10_000 + scene.turn}"}
    place = {"addr_city": "RIVERBEND", "addr_state": "WA", "country_cd": "US", "zip": "99001"}
    rows = [
        _write("c", "account", {"acct_id": account, **name, "acct_create_dt": scene.when}),
        _write("c", "address", {"acct_id": account, **address, **place, "last_change_dt": scene.when}),
        _write("d", "owner", owner),
        _write("c", "owner", {**owner, "owner_id": account, "updt_dt": scene.when}),
        _write("u", "property_val", value, owner_update_dt=scene.when),
    ]
    return rows, _facts("owner.changed", scene.prop_id)


def _correct_mailing_address(scene: Scene) -> type_play:
    account = {"acct_id": scene.current("owner")[0]["owner_id"], "addr_type_cd": "M"}
    line = f"PO BOX {20_000 + scene.turn}"
    rows = [_write("u", "address", account, addr_line1=line, last_change_dt=scene.when)]
    return rows, _facts("owner.changed", scene.prop_id)


def _correct_situs(scene: Scene) -> type_play:
    situs = scene.rows["situs"][0]
    rows = [_write("u", "situs", situs, situs_num=str(int(situs["situs_num"]) + 1_000))]
    return rows, _facts("parcel.changed", scene.prop_id)


def _add_improvement(scene: Scene) -> type_play:
    """A house on a vacant lot: building, area, rooms, values and the recalculated profile."""
    year, value = scene.world.tax_year, scene.current("property_val")[0]
    key = {"prop_id": scene.prop_id, "prop_val_yr": year, "sup_num": 0, "sale_id": 0, "imprv_id": MAIN_BUILDING}
    worth = 210_000
    building = {"imprv_type_cd": "RES", "imprv_sl_locked": "F", "primary_imprv": "Y", "imprv_state_cd": "11"}
    years = {"actual_year_built": year - 1, "effective_yr_blt": year - 1}
    detail = {"imprv_det_class_cd": "AVG", "imprv_det_meth_cd": "R", "imprv_det_type_cd": "MA", "condition_cd": "A"}
    area = {"imprv_det_area": _NEW_HOUSE_SQFT, "calc_area": _NEW_HOUSE_SQFT, "yr_built": year - 1, "floor_number": 1}
    detail_key = {**key, "imprv_det_id": GROUND_FLOOR}
    rooms = ((1, BEDROOMS, "3", 1), (2, FULL_BATHS, "BATH", 2))
    totals = dict.fromkeys(("market", "appraised_val", "assessed_val"), value["market"] + worth)
    profile = {"yr_blt": year - 1, "living_area": _NEW_HOUSE_SQFT, "class_cd": "AVG", "condition_cd": "A"}
    profile |= years | {"eff_yr_blt": year - 1, "appraised_val": totals["market"], "num_imprv": 1}
    del profile["effective_yr_blt"]
    rows = [
        _write("c", "imprv", {**key, **building, **years, "imprv_val": worth, "stories": "1"}),
        _write("c", "imprv_detail", {**detail_key, **detail, **area}),
        *(
            _write(
                "c",
                "imprv_attr",
                {
                    **detail_key,
                    "imprv_attr_id": row,
                    "i_attr_val_id": attribute,
                    "i_attr_val_cd": code,
                    "i_attr_unit": units,
                },
            )
            for row, attribute, code, units in rooms
        ),
        _write("u", "property_val", value, imprv_non_hstd_val=worth, property_use_cd="11", **totals),
        _write("u", "property_profile", scene.current("property_profile")[0], **profile, property_use_cd="11"),
    ]
    return rows, _facts("parcel.changed", scene.prop_id)


def _remove_upper_floor(scene: Scene) -> type_play:
    details = scene.current("imprv_detail")
    upper = next(row for row in details if row["imprv_det_id"] == UPPER_FLOOR)
    ground = next(row for row in details if row["imprv_det_id"] == GROUND_FLOOR)
    rows = [
        _write("d", "imprv_detail", upper),
        _write("u", "imprv", scene.current("imprv")[0], stories="1"),
        _write(
            "u", "property_profile", scene.current("property_profile")[0], living_area=int(ground["imprv_det_area"])
        ),
    ]
    return rows, _facts("parcel.changed", scene.prop_id)


#: name, which pool its parcel or sale comes from, and the function that writes it
_KINDS: tuple[tuple[str, str, Callable[[Scene], type_play]], ...] = (
    ("value_updated", "house", _update_value),
    ("supplement_created", "house", _create_supplement),
    ("sale_recorded", "sale", _record_sale),
    ("sale_price_corrected", "sale", _correct_price),
    ("parcel_made_inactive", "house", _make_inactive),
    ("parcel_subdivided", "vacant", _subdivide),
    ("owner_changed", "house", _change_owner),
    ("improvement_added", "vacant", _add_improvement),
    ("situs_corrected", "house", _correct_situs),
    ("upper_floor_removed", "two_storey", _remove_upper_floor),
    ("parcel_deleted", "house", _delete_parcel),
    ("mailing_address_corrected", "house", _correct_mailing_address),
    ("sale_disqualified", "sale", _disqualify_sale),
    ("recalculated_without_change", "house", _recalculate),
)
