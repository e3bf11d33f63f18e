"""Which rows entities are made of, and that batches make what the whole makes."""

from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.mapping import Link, Pair
from services.ingest.domain.entities import Years, assemble_parcels, assemble_sales, linked
from services.ingest.domain.reach import (
    Needed,
    built_years,
    needed_for_neighborhoods,
    needed_for_parcels,
    needed_for_sales,
    reaches_everything,
)
from tests.support.mappings import county_pair
from tests.unit.ingest.test_entities import PAIR, VALIDITY, layer, pacs, pointer

LEBANON = county_pair("lebanon_nh")


def ways(needed: list[Needed]) -> dict[str, Link | None]:
    return {found.table.name: found.link for found in needed}


def test_rows_are_found_by_the_nearest_link_that_their_table_has() -> None:
    found = ways(needed_for_parcels(PAIR))
    assert (found["property_val"], found["owner"], found["account"]) == (Link.PARCEL_ID, Link.PARCEL_ID, Link.OWNER_ID)
    assert "sale" not in found
    assert ways(needed_for_sales(PAIR)) == dict.fromkeys(
        ("chg_of_owner_prop_assoc", "sale", "chg_of_owner"), Link.SALE_ID
    )
    assert ways(needed_for_parcels(LEBANON))["parcels"] is Link.LOT_ID


def test_of_neighborhoods_no_more_columns_are_read_than_they_have() -> None:
    (found,) = needed_for_neighborhoods(LEBANON)
    assert (found.table.name, found.columns) == ("properties", ("neighborhood",))


@pytest.mark.parametrize(
    ("changed", "says"), [(["pacs_system", "sale"], True), (["sale", "property_use"], False), ([], False)]
)
def test_the_working_year_reaches_everything(changed: list[str], says: bool) -> None:  # noqa: FBT001
    assert reaches_everything(PAIR, changed) is says


def with_code_table() -> Pair:
    """A pair whose parcels take a text from a table that says nothing of parcels."""
    document = PAIR.model_dump(exclude_unset=True)
    use = next(table for table in document["tables"] if table["name"] == "property_use")
    use["links"] = {"neighborhood": "property_use_cd"}
    value = next(table for table in document["tables"] if table["name"] == "prop_supp_assoc")
    value["columns"]["hood"] = "text"
    value["links"]["neighborhood"] = "hood"
    document["entities"]["parcel"]["attributes"]["use"] = "property_use.property_use_desc"
    return Pair.model_validate(document)


def test_codes_that_parcels_are_made_of_reach_everything() -> None:
    assert ways(needed_for_parcels(with_code_table()))["property_use"] is None
    assert reaches_everything(with_code_table(), ["property_use"])


def test_a_certified_year_is_built_only_where_it_is_read_as_a_whole() -> None:
    document: dict[str, Any] = PAIR.model_dump(exclude_unset=True)
    group = {
        "name": "supplement",
        "key": ["year", "number"],
        "columns": {"year": "integer", "number": "integer", "group": "integer", "status": "text"},
        "links": {"tax_year": "year", "supplement": "number"},
    }
    document["tables"] = [*document["tables"], group]
    document["official"] = {
        "layers": "property_val", "group": "supplement.group", "status": "supplement.status", "accepted": ["A"],
    }  # fmt: skip
    short = Pair.model_validate(document)
    longer = [t.model_copy(update={"years": 2 if t.years else None}) for t in short.tables]
    long = short.model_copy(update={"tables": tuple(longer)})
    assert built_years(short, working=2026, certified=2025) == Years(2026)
    assert built_years(long, working=2026, certified=2025) == Years(2026, 2025)
    assert built_years(long, working=2026, certified=2024) == Years(2026)
    assert built_years(long, working=2026, certified=2026).built == [2026]
    assert built_years(PAIR, working=2026, certified=2025) == Years(2026)


def county(people: list[int], ties: list[tuple[int, int]], values: list[int]) -> dict[str, list[dict[str, Any]]]:
    parcels = range(1, 5)
    return {
        "property": [{"prop_id": p, "geo_id": p} for p in parcels],
        "prop_supp_assoc": [pointer(p) for p in parcels],
        "property_val": [layer(p, assessed_val=values[p - 1]) for p in parcels],
        "owner": [{"prop_id": p, "owner_tax_yr": 2026, "sup_num": 0, "owner_id": people[p - 1]} for p in parcels],
        "account": [{"acct_id": a, "file_as_name": f"N{sum(people)}-{a}"} for a in range(3)],
        "chg_of_owner_prop_assoc": [{"chg_of_owner_id": s, "prop_id": p} for s, p in sorted(set(ties))],
        "sale": [{"chg_of_owner_id": s, "sl_price": 1000 + len(ties) * s} for s in range(3)],
    }


counties = st.builds(
    county,
    st.lists(st.integers(0, 2), min_size=4, max_size=4),
    st.lists(st.tuples(st.integers(0, 2), st.integers(1, 4)), max_size=5),
    st.lists(st.integers(0, 3), min_size=4, max_size=4),
)


@settings(max_examples=25, deadline=None)
@given(counties, st.permutations(["1", "2", "3", "4"]), st.integers(1, 4))
def test_batches_make_what_the_whole_makes(
    tables: dict[str, list[dict[str, Any]]], order: list[str], size: int
) -> None:
    rows = pacs(**tables)
    years = Years(2026)
    whole = assemble_parcels(PAIR, rows, years=years, epsg=2927)
    batches = [order[start : start + size] for start in range(0, 4, size)]
    parts = [
        assemble_parcels(PAIR, batch_of(rows, needed_for_parcels(PAIR), batch), years=years, epsg=2927)
        for batch in batches
    ]
    for kind, keys in ((0, ["parcel_id"]), (1, ["parcel_id", "owner_id"])):
        assert pl.concat([part[kind] for part in parts]).sort(keys).equals(whole[kind].sort(keys))
    assert assemble_sales(PAIR, rows, validity=VALIDITY).height == len(
        {tuple(row.values()) for row in tables["chg_of_owner_prop_assoc"]}
    )


def batch_of(rows: dict[str, pl.DataFrame], needed: list[Needed], ids: list[str]) -> dict[str, pl.DataFrame]:
    """The rows of some parcels, found as the record finds them."""
    found = {}
    owners: list[str] = []
    for one in sorted(needed, key=lambda one: one.link is not Link.PARCEL_ID):
        frame = linked(one.table, rows[one.table.name])
        wanted = ids if one.link is Link.PARCEL_ID else owners
        kept = frame if one.link is None else frame.filter(pl.col(one.link).is_in(wanted))
        if one.link is Link.PARCEL_ID and Link.OWNER_ID in one.table.links:
            owners = kept[Link.OWNER_ID].drop_nulls().to_list()
        found[one.table.name] = kept.select(one.columns)
    return found
