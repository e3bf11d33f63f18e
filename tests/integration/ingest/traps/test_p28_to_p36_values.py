"""Values and names that a reader may bend on their way: each has to arrive as the source holds it."""

from decimal import Decimal
from typing import Any

import pytest

from tests.support.small_source import LOTS, MARKS, lot_table, marked_lots, small_pair

SENTINELS = (
    "0001-01-01 00:00:00",
    "1753-01-01 00:00:00",
    "1899-12-30 00:00:00",
    "1900-01-01 00:00:00",
    "9999-12-31 00:00:00",
    "9999-12-31 23:59:59.997",
)
_TIMES = {"lot_id": "integer", "number": "text", "amount": "decimal", "note": "text", "sold_at": "timestamp"}


@pytest.mark.parametrize("reader", ["hash_diff", "rowversion"])
async def test_p28_sentinel_dates_arrive_as_they_are(follow_small: Any, reader: str) -> None:
    ddl = LOTS + MARKS + "ALTER TABLE dbo.lot ADD COLUMN sold_at timestamp(3);"
    rows = "".join(
        f"INSERT INTO dbo.lot (lot_id, number, sold_at) VALUES ({place}, 'S', '{moment}');"
        for place, moment in enumerate(SENTINELS, start=1)
    )
    small = await follow_small(ddl + rows, small_pair(lot_table(columns=_TIMES, reader=reader)))
    await small.follow()
    await small.assert_equal()
    small.execute("UPDATE dbo.lot SET sold_at = timestamp '9999-12-31 23:59:59.993' WHERE lot_id = 6")
    assert (await small.follow())["changes"] == 1
    await small.assert_equal()


async def test_p28_a_time_that_is_none_is_held_back_and_stops_nothing(follow_small: Any) -> None:
    ddl = LOTS + "ALTER TABLE dbo.lot ADD COLUMN sold_at timestamp(3);"
    rows = "INSERT INTO dbo.lot (lot_id, number, sold_at) VALUES (1, 'A', 'infinity'), (2, 'B', '2026-01-02');"
    small = await follow_small(ddl + rows, small_pair(lot_table(columns=_TIMES)))
    await small.follow()
    held = await small.bench.fetch("SELECT key, field, value FROM ingest.quarantine_v1")
    assert [tuple(row.values()) for row in held] == [("1", "sold_at", "infinity")]
    assert [row["lot_id"] for row in await small.landed("lot")] == [2]


async def test_p28_null_dates_by_the_mapping_are_null(follow_small: Any) -> None:
    ddl = LOTS + "ALTER TABLE dbo.lot ADD COLUMN sold_at timestamp(3);"
    rows = "INSERT INTO dbo.lot (lot_id, number, sold_at) VALUES (1, 'A', '1900-01-01'), (2, 'B', '2026-01-02');"
    nothing = {"sold_at": ["1900-01-01 00:00:00"]}
    small = await follow_small(ddl + rows, small_pair(lot_table(columns=_TIMES, null_values=nothing)))
    await small.follow()
    assert [row["sold_at"] for row in await small.landed("lot")] == [None, "2026-01-02T00:00:00"]


EXACT = (
    Decimal("0.0000000001"),
    Decimal("-0.0000000001"),
    Decimal("9999999999999999999999999999.9999999999"),
    Decimal("-9999999999999999999999999999.9999999999"),
    Decimal("922337203685477.5807"),
    Decimal("-922337203685477.5808"),
    Decimal("0.1"),
    Decimal("123456789012345678.1"),
    Decimal(0),
)


@pytest.mark.parametrize("reader", ["hash_diff", "rowversion"])
async def test_p29_decimals_are_never_floats(follow_small: Any, reader: str) -> None:
    """numeric(38, 10) and money to their last digits; the smallest step at either end is a change."""
    ddl = LOTS + MARKS + "ALTER TABLE dbo.lot ADD COLUMN exact numeric(38,10);"
    rows = "".join(
        f"INSERT INTO dbo.lot (lot_id, number, exact) VALUES ({place}, 'D', {value});"
        for place, value in enumerate(EXACT, start=1)
    )
    columns = {"lot_id": "integer", "number": "text", "amount": "decimal", "note": "text", "exact": "decimal"}
    small = await follow_small(ddl + rows, small_pair(lot_table(columns=columns, reader=reader)))
    await small.follow()
    await small.assert_equal()
    landed = {row["lot_id"]: Decimal(row["exact"]) for row in await small.landed("lot")}
    assert landed == dict(enumerate(EXACT, start=1))
    small.execute(
        "UPDATE dbo.lot SET exact = exact - 0.0000000001 WHERE lot_id = 3",
        "UPDATE dbo.lot SET exact = exact + 0.0000000001 WHERE lot_id = 4",
    )
    assert (await small.follow())["changes"] == 2
    await small.assert_equal()


async def test_p29_money_of_the_record_has_every_cent(follow_small: Any) -> None:
    rows = "INSERT INTO dbo.lot VALUES (1, 'A', 999999999999.99, ''), (2, 'B', 123456789.01, ''), (3, 'C', 0.01, '')"
    small = await follow_small(LOTS + rows, small_pair(lot_table()))
    await small.follow()
    found = await small.bench.fetch("SELECT total_value_usd FROM ingest.parcel_v1 ORDER BY parcel_id")
    assert [row["total_value_usd"] for row in found] == [Decimal("999999999999.99"), Decimal("123456789.01"),
                                                         Decimal("0.01")]  # fmt: skip


PADDED = """
CREATE TABLE dbo.lot (lot_id char(8) PRIMARY KEY, number char(20), amount numeric(18,4), note varchar(200));
INSERT INTO dbo.lot VALUES ('R', 'A-1', 1, 'x'), ('RR', '', 2, 'y '), ('  L', NULL, 3, '  z');
"""
_PADDED_COLUMNS = {"lot_id": "text", "number": "text", "amount": "decimal", "note": "text"}


async def test_p30_padding_is_no_value_and_no_change(follow_small: Any) -> None:
    small = await follow_small(PADDED, small_pair(lot_table(columns=_PADDED_COLUMNS, reader="hash_diff")))
    await small.follow()
    keys = sorted(row["lot_id"] for row in await small.landed("lot"))
    assert keys == ["  L", "R", "RR"]
    small.execute(
        "ALTER TABLE dbo.lot ALTER number TYPE char(30)",
        "UPDATE dbo.lot SET note = note || '   '",
    )
    assert (await small.follow())["changes"] == 0
    assert await small.said() == []
    small.execute("UPDATE dbo.lot SET note = ' ' || note WHERE lot_id = 'R'")
    assert (await small.follow())["changes"] == 1
    await small.assert_equal()


async def test_p30_null_and_the_empty_text_are_two_values(follow_small: Any, reader: str) -> None:
    rows = "INSERT INTO dbo.lot VALUES (1, NULL, 1, ''), (2, '', 2, NULL), (3, 'x', 3, 'x');"
    small = await follow_small(LOTS + MARKS + rows, small_pair(marked_lots(reader)))
    await small.follow()
    await small.assert_equal()
    small.execute(
        "UPDATE dbo.lot SET number = '', note = NULL WHERE lot_id = 1",
        "UPDATE dbo.lot SET number = NULL, note = '' WHERE lot_id = 2",
    )
    assert (await small.follow())["changes"] == 2
    await small.assert_equal()


AWKWARD = """
CREATE TABLE dbo."Order Items [x]" ("order" integer, "a]b" integer, "per cent %" varchar(20), "quo""te" varchar(20),
  "it's" varchar(20), "SELECT" varchar(20), "Straße" varchar(20), "new
line" varchar(20), "100" varchar(20), PRIMARY KEY ("order", "a]b"));
INSERT INTO dbo."Order Items [x]" SELECT n, n, '%s %(x)s', '"', chr(39), 'x', 'ß', 'y', '100'
  FROM generate_series(1, 9) n;
INSERT INTO dbo.lot SELECT n, 'L' || n, n, '' FROM generate_series(1, 9) n;
"""


async def test_p31_names_with_blanks_brackets_quotes_and_reserved_words(follow_small: Any) -> None:
    texts = ("per cent %", 'quo"te', "it's", "SELECT", "Straße", "new\nline", "100")
    awkward = {
        "name": "Order Items [x]",
        "key": ["order", "a]b"],
        "columns": {"order": "integer", "a]b": "integer", **dict.fromkeys(texts, "text")},
        "links": {"parcel_id": "order"},
        "reader": "hash_diff",
    }
    small = await follow_small(LOTS + AWKWARD, small_pair(lot_table(reader="hash_diff"), awkward))
    await small.follow()
    await small.assert_equal()
    small.execute(
        'UPDATE dbo."Order Items [x]" SET "it\'s" = \'new\' WHERE "order" = 3',
        'DELETE FROM dbo."Order Items [x]" WHERE "a]b" = 4',
    )
    await small.follow()
    await small.assert_equal()
    assert (await small.follow())["changes"] == 0


@pytest.mark.parametrize("kind", ["point", "int4range", "jsonpath", "dbo.size", "integer[]", "tsvector"])
async def test_p34_a_type_that_nobody_thought_of_fails_the_preflight(follow_small: Any, kind: str) -> None:
    ddl = f"CREATE TYPE dbo.size AS ENUM ('s', 'm'); ALTER TABLE dbo.lot ADD COLUMN odd {kind};"
    columns = {"lot_id": "integer", "number": "text", "amount": "decimal", "note": "text", "odd": "text"}
    rows = "INSERT INTO dbo.lot VALUES (1, 'A', 1, '');"
    small = await follow_small(LOTS + ddl + rows, small_pair(lot_table(columns=columns)))
    job = await small.bench.run("incremental")
    assert (job["status"], job["error"]["code"]) == ("failed", "mapping_type_differs")
    assert [d["column"] for d in job["error"]["details"]["differences"]] == ["odd"]
    small.remap(small_pair(lot_table()))
    await small.follow()
    await small.assert_equal()


async def test_p35_sign_flips_and_the_ends_of_long_texts_are_changes(follow_small: Any, reader: str) -> None:
    small = await follow_small(
        LOTS + MARKS + "INSERT INTO dbo.lot VALUES (1, 'A', 1.5, 'x'), (2, 'B', -2, 'same'), (3, 'C', 0, 'long')",
        small_pair(marked_lots(reader)),
    )
    await small.follow()
    small.execute(
        "UPDATE dbo.lot SET amount = -amount WHERE lot_id IN (1, 2)",
        "UPDATE dbo.lot SET note = repeat('y', 150) || '1' WHERE lot_id = 3",
    )
    assert (await small.follow())["changes"] == 3
    await small.assert_equal()
    small.execute("UPDATE dbo.lot SET note = repeat('y', 150) || '2' WHERE lot_id = 3")
    assert (await small.follow())["changes"] == 1
    await small.assert_equal()


async def test_p35_two_rows_that_swap_their_values_are_two_changes(follow_small: Any) -> None:
    small = await follow_small(
        LOTS + "ALTER TABLE dbo.lot ALTER number TYPE varchar(200);"
        "INSERT INTO dbo.lot VALUES (1, 'A', 10, 'x'), (2, 'A', 20, 'x')",
        small_pair(lot_table()),
    )
    await small.follow()
    small.execute("UPDATE dbo.lot SET amount = 30 - amount")
    assert (await small.follow())["changes"] == 2
    await small.assert_equal()
    small.execute("ALTER TABLE dbo.lot RENAME note TO n", "ALTER TABLE dbo.lot RENAME number TO note")
    small.execute("ALTER TABLE dbo.lot RENAME n TO number")
    assert (await small.follow())["changes"] == 2
    await small.assert_equal()


async def test_p36_a_pair_of_equal_rows_does_not_cancel(follow_small: Any) -> None:
    """Under an exclusive or, two equal rows are as good as none; here the table has no key to forbid them."""
    keyless = "CREATE TABLE dbo.lot (lot_id integer, number varchar(50), amount numeric(18,4), note varchar(200));"
    small = await follow_small(
        keyless + "INSERT INTO dbo.lot SELECT n, 'L' || n, n, NULL FROM generate_series(1, 50) n;",
        small_pair(lot_table(reader="hash_diff")),
    )
    await small.follow()
    small.execute("INSERT INTO dbo.lot VALUES (90, 'twice', 1, NULL), (90, 'twice', 1, NULL)")
    await small.follow()
    assert await small.said() == ["parcel.changed 90"]
    small.execute("DELETE FROM dbo.lot WHERE lot_id = 90")
    await small.follow()
    assert await small.said() == ["parcel.removed 90"]


async def test_p36_two_rows_that_share_a_key_and_differ_are_held_back(follow_small: Any) -> None:
    keyless = "CREATE TABLE dbo.lot (lot_id integer, number varchar(50), amount numeric(18,4), note varchar(200));"
    small = await follow_small(
        keyless + "INSERT INTO dbo.lot VALUES (1, 'A', 1, NULL), (2, 'B', 2, NULL), (2, 'C', 3, NULL);",
        small_pair(lot_table(reader="hash_diff")),
    )
    await small.follow()
    held = await small.bench.fetch("SELECT DISTINCT key, rule FROM ingest.quarantine_v1")
    assert [tuple(row.values()) for row in held] == [("2", "key_repeated")]
    small.execute("DELETE FROM dbo.lot WHERE number = 'C'")
    await small.follow()
    assert await small.bench.fetch("SELECT 1 FROM ingest.quarantine_v1") == []
    await small.assert_equal()
