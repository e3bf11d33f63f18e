from datetime import date
from typing import Any

import polars as pl
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from contracts.events.ingest import MASK
from contracts.mapping import Check, ColumnType, Link, Pair, SourceTable
from services.ingest.domain.checks import Judged, Known, judge
from services.ingest.domain.rows import KEY, normalise

TODAY = date(2026, 3, 1)
SQUARE = shapely.to_wkb(shapely.box(0, 0, 1, 1), hex=True)
BOW_TIE = shapely.to_wkb(shapely.Polygon([(0, 0), (1, 1), (1, 0), (0, 1)]), hex=True)


def pair_of(*tables: SourceTable, scope: str | None = None) -> Pair:
    return Pair(
        pair="some_pair",
        connector="pacs",
        working_year={"year": 2026},
        scope=scope,
        tables=tables,
        entities={"parcel": {"root": tables[0].name, "fields": {}}},
    )


def rows_of(table: SourceTable, rows: list[dict[str, Any]]) -> pl.DataFrame:
    filled = [{**dict.fromkeys(table.columns), **row} for row in rows]
    return normalise(table, pl.DataFrame(filled, schema=dict.fromkeys(table.columns, pl.String)))


def judged(table: SourceTable, *rows: dict[str, Any]) -> Judged:
    result = judge(pair_of(table), table, rows_of(table, list(rows)), Known(), today=TODAY)
    assert result.rows_read == result.accepted.height + result.rows_quarantined + result.rows_filtered
    return result


def table_with(check: dict[str, Any], kind: ColumnType, **more: Any) -> SourceTable:
    columns = {"id": ColumnType.INTEGER, "x": kind, "price": ColumnType.DECIMAL}
    return SourceTable(name="t", key=("id",), columns=columns, checks=(Check(column="x", **check),), **more)


@pytest.mark.parametrize(
    ("kind", "check", "good", "bad"),
    [
        (ColumnType.DECIMAL, {"rule": "value_negative", "minimum": 0}, ["0", "-0", "12.5", None], ["-0.01", "-7"]),
        (
            ColumnType.INTEGER,
            {"rule": "year_built_out_of_range", "minimum": 1700, "maximum_years_ahead": 1, "ignore": [0]},
            ["1700", "2027", "0", None],
            ["1699", "2028", "-5"],
        ),
        (
            ColumnType.DECIMAL,
            {"rule": "percent_ownership_out_of_range", "minimum": 0, "maximum": 100},
            ["0", "100", None],
            ["100.0001", "-1"],
        ),
        (ColumnType.TEXT, {"rule": "parcel_number_missing", "required": True}, ["a"], ["", "   ", None]),
        (
            ColumnType.TIMESTAMP,
            {"rule": "sale_date_in_future", "not_after_today": True},
            ["2026-03-01 23:59:59", "1999-01-01", None],
            ["2026-03-02"],
        ),
        (ColumnType.GEOMETRY, {"rule": "geometry_invalid", "valid_geometry": True}, [SQUARE, None], [BOW_TIE, "01ff"]),
    ],
)
def test_each_test_holds_back_what_breaks_it_and_nothing_else(
    kind: ColumnType, check: dict[str, Any], good: list[str | None], bad: list[str | None]
) -> None:
    values = [*good, *bad]
    result = judged(table_with(check, kind), *({"id": str(n), "x": value} for n, value in enumerate(values)))
    assert result.violations[KEY].to_list() == [str(n) for n in range(len(good), len(values))]
    assert set(result.violations["rule"]) == {check["rule"]}
    assert result.rows_quarantined == len(bad)


def test_a_date_is_wanted_where_there_is_a_price() -> None:
    table = table_with({"rule": "sale_date_missing", "required_with": "price"}, ColumnType.DATE)
    rows = [("2020-01-01", "5"), (None, "5"), (None, "0"), (None, None)]
    result = judged(table, *({"id": str(n), "x": day, "price": price} for n, (day, price) in enumerate(rows)))
    assert result.violations[KEY].to_list() == ["1"]


def test_a_personal_value_is_masked_in_quarantine() -> None:
    table = table_with({"rule": "value_negative", "minimum": 0}, ColumnType.DECIMAL, personal=("x",))
    assert judged(table, {"id": "1", "x": "-3"}).violations["value"].to_list() == [MASK]
    assert judged(table, {"id": "1", "x": "three"}).violations["value"].to_list() == [MASK]


def test_codes_are_looked_up_for_their_year_among_all_rows_that_were_read() -> None:
    hoods = SourceTable(
        name="hood", key=("cd", "yr"), columns={"cd": ColumnType.TEXT, "yr": ColumnType.INTEGER}, where={"cd": ("A",)}
    )
    check = Check(
        rule="neighborhood_unknown", column="cd", references="hood.cd", references_year="hood.yr", year_column="yr"
    )
    values = SourceTable(
        name="value",
        key=("id",),
        columns={"id": ColumnType.INTEGER, "cd": ColumnType.TEXT, "yr": ColumnType.INTEGER},
        checks=(check,),
    )
    cells = [("A", "2025"), ("A", "2026"), ("B  ", "2025"), (None, "2025"), (" A", "2025")]
    rows = {
        "hood": rows_of(hoods, [{"cd": "A", "yr": "2025"}, {"cd": "B", "yr": "2025"}]),
        "value": rows_of(values, [{"id": str(n), "cd": code, "yr": year} for n, (code, year) in enumerate(cells)]),
    }
    there = rows["hood"].select(pl.col("cd").alias("part0"), pl.col("yr").cast(pl.String).alias("part1"))
    known = Known(values={("hood.cd", "hood.yr"): there})
    result = judge(pair_of(hoods, values), values, rows["value"], known, today=TODAY)
    assert result.violations[KEY].to_list() == ["1"]


def test_rows_of_parcels_out_of_scope_are_filtered_with_them() -> None:
    linked = {Link.PARCEL_ID: "id"}
    kinds = {"id": ColumnType.INTEGER, "kind": ColumnType.TEXT}
    parcels = SourceTable(name="p", key=("id",), columns=kinds, links=linked, where={"kind": ("R",)})
    values = SourceTable(name="v", key=("id",), columns={"id": ColumnType.INTEGER}, links=linked)
    rows = {
        "p": rows_of(parcels, [{"id": "1", "kind": "R    "}, {"id": "2", "kind": "P"}, {"id": "3"}]),
        "v": rows_of(values, [{"id": "1"}, {"id": "2"}, {"id": "3"}, {"id": "4"}]),
    }
    pair, known = pair_of(parcels, values, scope="p"), Known(left_out=pl.Series(["2", "3"]))
    assert judge(pair, parcels, rows["p"], known, today=TODAY).rows_filtered == 2
    result = judge(pair, values, rows["v"], known, today=TODAY)
    assert (result.accepted[KEY].to_list(), result.rows_filtered) == (["1", "4"], 2)


def test_repeated_keys_are_held_back_where_they_differ() -> None:
    table = SourceTable(name="t", key=("id",), columns={"id": ColumnType.INTEGER, "x": ColumnType.TEXT})
    rows = [("1", "a"), ("1", "b"), ("2", "c"), ("2", "c"), ("3", "d"), (None, "e")]
    result = judged(table, *({"id": key, "x": value} for key, value in rows))
    assert result.accepted[KEY].to_list() == ["2", "3"]
    assert (result.rows_quarantined, result.rows_filtered) == (3, 1)
    assert set(zip(result.violations[KEY], result.violations["rule"], strict=True)) == {
        ("1", "key_repeated"),
        ("", "key_missing"),
    }


@pytest.mark.parametrize("kind", [ColumnType.INTEGER, ColumnType.DECIMAL])
def test_an_order_says_which_of_repeated_rows_counts(kind: ColumnType) -> None:
    table = SourceTable(
        name="t",
        key=("id",),
        columns={"id": ColumnType.INTEGER, "seq": kind},
        repeats_ordered_by="seq",
    )
    result = judged(table, {"id": "1", "seq": "10"}, {"id": "1", "seq": "9"}, {"id": "1"})
    assert (result.accepted["seq"].cast(pl.String).to_list(), result.rows_filtered) == (["9"], 2)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(-2, 2), st.booleans()), max_size=12))
def test_every_row_is_counted_once(cells: list[tuple[int, int, bool]]) -> None:
    table = SourceTable(
        name="t",
        key=("id",),
        columns={"id": ColumnType.INTEGER, "x": ColumnType.DECIMAL, "live": ColumnType.BOOLEAN},
        where={"live": (True,)},
        checks=(Check(rule="value_negative", column="x", minimum=0),),
    )
    result = judged(table, *({"id": str(i), "x": str(x), "live": str(live)} for i, x, live in cells))
    assert result.accepted[KEY].is_unique().all()
    assert (result.accepted["x"].cast(pl.Float64) >= 0).all()
    assert result.accepted["live"].all()
