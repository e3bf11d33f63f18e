"""A table that is altered while it is followed: what is mapped stops its table alone, the rest goes on."""

from typing import Any

import pytest

from tests.support.small_source import LOTS, MARKS, lot_table, marked_lots, small_pair

ROWS = """
INSERT INTO dbo.lot SELECT n, 'L' || n, n, 'old' FROM generate_series(1, 50) n;
CREATE TABLE dbo.code (code_id integer PRIMARY KEY, lot_id integer, meaning varchar(50));
INSERT INTO dbo.code SELECT n, n, 'C' || n FROM generate_series(1, 20) n;
"""
CODES = {
    "name": "code",
    "key": ["code_id"],
    "columns": {"code_id": "integer", "lot_id": "integer", "meaning": "text"},
    "links": {"parcel_id": "lot_id"},
}


async def _followed(follow_small: Any, reader: str) -> Any:
    small = await follow_small(LOTS + MARKS + ROWS, small_pair(marked_lots(reader), CODES))
    await small.follow()
    return small


async def _stopped(small: Any) -> dict[str, str]:
    rows = await small.bench.fetch(
        "SELECT source_table, stopped_code FROM ingest.sync_table_v1 WHERE stopped_code IS NOT NULL"
    )
    return {row["source_table"]: row["stopped_code"] for row in rows}


async def _seen(small: Any) -> list[tuple[str, str]]:
    rows = await small.bench.fetch("SELECT source_table, kind FROM ingest.schema_change_v1 ORDER BY seen_at, kind")
    return [(row["source_table"], row["kind"]) for row in rows]


@pytest.mark.parametrize(
    "alteration",
    [
        pytest.param("ADD COLUMN later varchar(10) DEFAULT 'x'", id="add"),
        pytest.param("ALTER number TYPE varchar(80)", id="widen"),
        pytest.param("ALTER amount TYPE numeric(22,4)", id="widen a decimal"),
    ],
)
async def test_p21_what_does_no_harm_goes_on_and_is_told(follow_small: Any, reader: str, alteration: str) -> None:
    small = await _followed(follow_small, reader)
    small.execute(f"ALTER TABLE dbo.lot {alteration}", "UPDATE dbo.lot SET note = 'new' WHERE lot_id = 7")
    await small.follow()
    assert await small.said() == ["parcel.changed 7"]
    await small.assert_equal()
    assert await _stopped(small) == {}
    assert [table for table, _ in await _seen(small)] == ["lot"]


async def test_p21_columns_in_another_order_are_the_same_columns(follow_small: Any, reader: str) -> None:
    small = await _followed(follow_small, reader)
    small.execute(
        'CREATE TABLE dbo.other AS SELECT "tsRowVersion", note, amount, changed_at, number, lot_id FROM dbo.lot;'
        " DROP TABLE dbo.lot CASCADE; ALTER TABLE dbo.other RENAME TO lot;"
        " ALTER TABLE dbo.lot ADD PRIMARY KEY (lot_id);"
        " GRANT SELECT ON dbo.lot TO PUBLIC; UPDATE dbo.lot SET note = 'new', changed_at = clock_timestamp() + interval"
        " '1 ms', \"tsRowVersion\" = int8send(nextval('dbo.rowversion_counter')) WHERE lot_id = 7"
    )
    await small.follow()
    assert await small.said() == ["parcel.changed 7"]
    await small.assert_equal()


@pytest.mark.parametrize(
    "alteration",
    [
        pytest.param("DROP COLUMN note", id="drop"),
        pytest.param("RENAME COLUMN note TO remark", id="rename"),
        pytest.param("ALTER number TYPE varchar(8)", id="narrow"),
        pytest.param("ALTER amount TYPE timestamp USING now()", id="retype"),
    ],
)
async def test_p21_a_mapped_column_that_breaks_stops_its_table_alone(
    follow_small: Any, reader: str, alteration: str
) -> None:
    small = await _followed(follow_small, reader)
    before = await small.landed("lot")
    small.execute(f"ALTER TABLE dbo.lot {alteration}", "UPDATE dbo.code SET meaning = 'new' WHERE code_id = 3")
    await small.bench.run("incremental")
    assert set(await _stopped(small)) == {"lot"}
    assert await small.landed("lot") == before
    assert {"code_id": 3, "lot_id": 3, "meaning": "new"} in await small.landed("code")
    assert {table for table, _ in await _seen(small)} == {"lot"}


async def test_p21_a_stopped_table_goes_on_where_it_stood_once_its_mapping_fits(follow_small: Any, reader: str) -> None:
    small = await _followed(follow_small, reader)
    small.execute("ALTER TABLE dbo.lot RENAME COLUMN note TO remark")
    await small.bench.run("incremental")
    assert set(await _stopped(small)) == {"lot"}
    small.execute("UPDATE dbo.lot SET remark = 'new' WHERE lot_id = 7", "DELETE FROM dbo.lot WHERE lot_id = 8")
    lots = marked_lots(reader)
    lots["columns"] = {"remark" if name == "note" else name: kind for name, kind in lots["columns"].items()}
    pair = small_pair(lots, CODES)
    pair["entities"]["parcel"]["fields"]["zoning"] = "lot.remark"
    small.remap(pair)
    await small.follow()
    assert await _stopped(small) == {}
    assert await small.said() == ["parcel.changed 7", "parcel.removed 8"]
    await small.assert_equal()


async def test_p21_a_column_that_is_not_mapped_may_come_and_go(follow_small: Any) -> None:
    small = await follow_small(LOTS + MARKS + ROWS, small_pair(lot_table(reader="hash_diff"), CODES))
    await small.follow()
    small.execute("ALTER TABLE dbo.lot DROP COLUMN changed_at CASCADE; DROP TRIGGER note_change ON dbo.lot")
    assert (await small.follow())["changes"] == 0
    assert await _stopped(small) == {}
