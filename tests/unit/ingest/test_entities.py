"""Parcels, owners and sales out of a small PACS, by the mapping that counties use."""

from dataclasses import dataclass
from typing import Any

import polars as pl
import pytest
import shapely

from contracts.county import SaleValidity
from services.ingest.domain.entities import (
    Years,
    assemble_neighborhoods,
    assemble_parcels,
    assemble_sales,
)
from services.ingest.domain.rows import normalise
from tests.support.mappings import county_pair

PAIR = county_pair()
VALIDITY = SaleValidity(qualified_codes=("100",), minimum_price_usd=1000)
BOX = shapely.to_wkb(shapely.box(1_960_000, 316_000, 1_960_100, 316_100), hex=True)


def pacs(**tables: list[dict[str, Any]]) -> dict[str, pl.DataFrame]:
    found = {}
    for table in PAIR.tables:
        rows = [
            {**dict.fromkeys(table.columns), **{k: str(v) for k, v in row.items()}}
            for row in tables.get(table.name, [])
        ]
        raw = pl.DataFrame(rows, schema=dict.fromkeys(table.columns, pl.String))
        found[table.name] = normalise(table, raw).select(list(table.columns))
    return found


@dataclass(frozen=True)
class Built:
    """The entities of a county's rows."""

    parcels: pl.DataFrame
    owners: pl.DataFrame
    sales: pl.DataFrame
    neighborhoods: pl.DataFrame


def built(**tables: list[dict[str, Any]]) -> Built:
    rows = pacs(**tables)
    return Built(
        *assemble_parcels(PAIR, rows, years=Years(2026), epsg=2927),
        assemble_sales(PAIR, rows, validity=VALIDITY),
        assemble_neighborhoods(PAIR, rows, working_year=2026),
    )


def pointer(prop_id: int = 1, year: int = 2026, sup: int = 0) -> dict[str, int]:
    return {"prop_id": prop_id, "owner_tax_yr": year, "sup_num": sup}


def layer(prop_id: int = 1, year: int = 2026, sup: int = 0, **more: Any) -> dict[str, Any]:
    return {"prop_id": prop_id, "prop_val_yr": year, "sup_num": sup, **more}


def one(frame: pl.DataFrame) -> dict[str, Any]:
    assert frame.height == 1
    return frame.to_dicts()[0]


def test_a_parcel_follows_the_pointer_and_knows_last_years_value() -> None:
    parcel = one(
        built(
            property=[{"prop_id": 1, "prop_type_cd": "R    ", "geo_id": " 1-2 "}],
            prop_supp_assoc=[pointer(sup=1), pointer(year=2025)],
            property_val=[
                layer(assessed_val=100),
                layer(sup=1, assessed_val=120, land_hstd_val=20, land_non_hstd_val=0, income_market=0),
                layer(year=2025, assessed_val=90),
                layer(year=2025, sup=1, assessed_val=95),
            ],
        ).parcels
    )
    assert (parcel["tax_year"], parcel["supplement"], parcel["parcel_number"]) == (2026, 1, "1-2")
    assert (parcel["total_value_usd"], parcel["prior_total_value_usd"], parcel["land_value_usd"]) == (120, 90, 20)
    assert (parcel["income_approach_value_usd"], parcel["improvement_value_usd"]) == (None, None)
    assert (parcel["is_active"], parcel["property_type"], parcel["attributes"]) == (True, "R", one_document())


def one_document() -> str:
    names = PAIR.entities.parcel.attributes
    return "{" + ",".join(f'"{name}":null' for name in names) + "}"


def test_characteristics_are_summed_picked_and_joined() -> None:
    detail = {"imprv_id": 1, "sale_id": 0}
    parcel = one(
        built(
            property=[{"prop_id": 1, "geo_id": "x"}],
            prop_supp_assoc=[pointer()],
            imprv=[
                layer(sale_id=0, imprv_id=2, primary_imprv="N", actual_year_built=2020),
                layer(sale_id=0, imprv_id=1, primary_imprv="Y", actual_year_built=1950, stories="1.5  "),
            ],
            imprv_detail=[
                layer(**detail, imprv_det_id=1, imprv_det_type_cd="MA  ", imprv_det_area=1000.5, condition_cd="A"),
                layer(**detail, imprv_det_id=2, imprv_det_type_cd="MA", imprv_det_area=500),
                layer(**detail, imprv_det_id=3, imprv_det_type_cd="ATTGAR", imprv_det_area=400),
            ],
            imprv_attr=[
                layer(**detail, imprv_det_id=1, imprv_attr_id=1, i_attr_val_id=15, i_attr_val_cd="4", i_attr_unit=1),
                layer(**detail, imprv_det_id=1, imprv_attr_id=2, i_attr_val_id=45, i_attr_unit=2),
                layer(**detail, imprv_det_id=1, imprv_attr_id=3, i_attr_val_id=46, i_attr_unit=1),
            ],
            situs=[
                {"prop_id": 1, "situs_id": 1, "primary_situs": "N", "situs_num": "9"},
                {
                    "prop_id": 1,
                    "situs_id": 2,
                    "primary_situs": "Y",
                    "situs_num": "12",
                    "situs_street": "HOP",
                    "situs_street_sufix": "LN",
                },
            ],
            parcelsandassess=[
                {"objectid": 1, "prop_id": 1, "shape": "00"},
                {"objectid": 2, "prop_id": 1, "shape": BOX},
            ],
        ).parcels
    )
    assert (parcel["living_area_sqft"], parcel["bedrooms"], parcel["bathrooms"]) == (1500.5, 4, 2.5)
    assert (parcel["year_built"], parcel["stories"], parcel["condition"]) == (1950, 1.5, "A")
    assert parcel["situs_address"] == "12 HOP LN"
    assert '"garage_area_sqft":400.0' in parcel["attributes"]
    assert parcel["geometry_wkb"] == BOX
    assert (parcel["longitude"], parcel["latitude"]) == pytest.approx((-119.2, 46.2), abs=0.5)
    assert parcel["west"] < parcel["longitude"] < parcel["east"]


def test_no_parcel_without_its_property_row_or_its_pointer() -> None:
    parcels = built(
        property=[{"prop_id": 1}, {"prop_id": 2}], prop_supp_assoc=[pointer(2), pointer(3), pointer(1, 2025)]
    ).parcels
    assert parcels["parcel_id"].to_list() == ["2"]


def test_an_inactive_parcel_says_so() -> None:
    rows: dict[str, list[dict[str, Any]]] = {"property": [{"prop_id": 1}], "prop_supp_assoc": [pointer()]}
    parcel = one(built(**rows, property_val=[layer(prop_inactive_dt="2024-06-15 00:00:00")]).parcels)
    assert parcel["is_active"] is False


def test_owners_are_those_of_the_current_layer() -> None:
    owner = {"prop_id": 1, "owner_tax_yr": 2026}
    owners = built(
        property=[{"prop_id": 1}],
        prop_supp_assoc=[pointer(sup=1)],
        owner=[{**owner, "sup_num": 0, "owner_id": 5}, {**owner, "sup_num": 1, "owner_id": 6, "pct_ownership": "50.0"}],
        account=[{"acct_id": 5, "file_as_name": "OLD"}, {"acct_id": 6, "file_as_name": "NEW  "}],
        address=[{"acct_id": 6, "addr_type_cd": "M", "primary_addr": "Y", "addr_line1": "PO BOX 1", "zip": "99001"}],
    ).owners
    assert one(owners) == {
        "parcel_id": "1",
        "tax_year": 2026,
        "owner_id": "6",
        "name": "NEW",
        "mailing_address": "PO BOX 1 99001",
        "ownership_percent": 50.0,
    }


@pytest.mark.parametrize(("flag", "name"), [("T", None), ("F", "N"), (None, "N")])
def test_confidential_owners_have_neither_name_nor_address(flag: str | None, name: str | None) -> None:
    account = {"acct_id": 5, "file_as_name": "N", **({"confidential_flag": flag} if flag else {})}
    owner = one(
        built(
            property=[{"prop_id": 1}],
            prop_supp_assoc=[pointer()],
            owner=[{"prop_id": 1, "owner_tax_yr": 2026, "sup_num": 0, "owner_id": 5, "pct_ownership": 100}],
            account=[account],
            address=[{"acct_id": 5, "addr_type_cd": "M", "primary_addr": "Y", "addr_line1": "N"}],
        ).owners
    )
    assert (owner["name"], owner["mailing_address"], owner["ownership_percent"]) == (name, name, 100)


def test_a_sale_counts_its_parcels_and_is_qualified_by_the_countys_rule() -> None:
    sales = built(
        chg_of_owner=[{"chg_of_owner_id": 7, "deed_type_cd": "SWD       ", "recorded_dt": "2025-05-04 10:00:00"}],
        chg_of_owner_prop_assoc=[
            {"chg_of_owner_id": i, "prop_id": p} for i, p in ((7, 1), (7, 2), (8, 1), (9, 1), (10, 1))
        ],
        sale=[
            {"chg_of_owner_id": 7, "sl_price": 250000, "sl_dt": "2025-05-01 00:00:00", "sl_county_ratio_cd": "100"},
            {"chg_of_owner_id": 8, "sl_price": 900, "sl_county_ratio_cd": "100"},
            {"chg_of_owner_id": 9, "sl_price": 250000, "sl_county_ratio_cd": None},
        ],
    ).sales
    found = {(row["sale_id"], row["parcel_id"]): row for row in sales.to_dicts()}
    assert set(found) == {("7", "1"), ("7", "2"), ("8", "1"), ("9", "1")}
    first = found["7", "1"]
    assert (first["parcel_count"], first["sale_date"], first["deed_type"]) == (2, "2025-05-01", "SWD")
    assert first["recorded_date"] == "2025-05-04"
    assert {key: row["is_qualified"] for key, row in found.items()} == {
        ("7", "1"): True,
        ("7", "2"): True,
        ("8", "1"): False,
        ("9", "1"): False,
    }
