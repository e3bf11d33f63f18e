"""Keys: reading range by range while rows are written, collations, composite keys, times, and none at all."""

import threading
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.support.postgis import postgis_server
from tests.support.servers import ExistingServer
from tests.support.small_source import LOTS, MARKS, NO_BRAKE, lot_table, marked_lots, small_pair
from tests.support.tcp_proxy import tcp_proxy

#: more than the smallest range, so that keys lie on both sides of its end
MANY = 2_500


@pytest.mark.usefixtures("moments")
async def test_p10_writes_during_every_range_are_not_lost_and_not_overwritten(
    follow_small: Any, postgres: Any, reader: str
) -> None:
    """A row is written again and again before, in and behind the range that is being read for the first time."""
    rows = f"INSERT INTO dbo.lot SELECT n, 'L' || n, n, 'old' FROM generate_series(1, {MANY}) n;"
    with tcp_proxy(postgres.url) as proxy:
        small = await follow_small(LOTS + MARKS + rows, small_pair(marked_lots(reader)), through=proxy.url)
        writer = psycopg.connect(small.url, autocommit=True)
        lock = threading.Lock()
        turns: list[int] = []

        def write(_asked: bytes) -> None:
            with lock:
                turns.append(len(turns))
                for row in (1, MANY // 2, MANY):
                    writer.execute(f"UPDATE dbo.lot SET amount = amount + 1 WHERE lot_id = {row}".encode())
                writer.execute(f"DELETE FROM dbo.lot WHERE lot_id = {2 + len(turns)}".encode())
                writer.execute(f"INSERT INTO dbo.lot VALUES ({-len(turns)}, 'N', 1, NULL)".encode())

        proxy.before_asking = write
        await small.follow("full")
        assert len(turns) >= 3
        proxy.heal()
        await small.follow()
        await small.assert_equal()
        assert (await small.follow())["changes"] == 0
        writer.close()


TEXT_KEYS = """
INSERT INTO dbo.lot SELECT k, k, length(k), 'x' FROM (
  SELECT DISTINCT p || b || s AS k FROM unnest(ARRAY['', 'a', 'A', '-', '-a', '_', '.', '/', '%', '%25', '''', 'ä', 'Ä',
    'ß', 'ss', 'z', 'Z', '0', '9', ' x', E'\\\\', '"', ',', 'é', '中']) p,
  generate_series(1, 12) n, LATERAL (VALUES (lpad(n::text, 2, '0')), (n::text || '-'), ('é' || n)) t(b),
  unnest(ARRAY['', 'q', ' q', '-q']) s) keys;
"""


@pytest.fixture(scope="module")
def collating() -> Iterator[ExistingServer]:
    """A server that orders texts by language, as SQL Server's collations do."""
    with postgis_server() as server:
        yield server


COLLATIONS = {
    "bytes": "",
    "language": "CREATE COLLATION dbo.ordered (provider = icu, locale = 'en-US');",
    "case": "CREATE COLLATION dbo.ordered (provider = icu, locale = 'en-US-u-ks-level2', deterministic = false);",
}


def _keyed_by_text(collation: str) -> str:
    collated = " COLLATE dbo.ordered" if COLLATIONS[collation] else ""
    return (
        f"{COLLATIONS[collation]} CREATE TABLE dbo.lot (lot_id varchar(40){collated} PRIMARY KEY, number varchar(50),"
        " amount numeric(18,4), note text);"
    )


@pytest.mark.parametrize("collation", ["bytes", "language"])
async def test_p11_text_keys_of_every_kind_are_read_once_each(
    follow_small: Any, collating: ExistingServer, collation: str
) -> None:
    """The database compares: by our own order of texts a block of rows would be skipped or read twice."""
    small = await follow_small(
        _keyed_by_text(collation) + TEXT_KEYS, small_pair(_text_lots(), following=NO_BRAKE), server=collating
    )
    (count,) = [row["n"] for row in small.rows("SELECT count(*) AS n FROM dbo.lot")]
    assert count > MANY
    await small.follow()
    await small.assert_equal()
    small.execute(
        "UPDATE dbo.lot SET note = 'changed' WHERE strpos(lot_id, 'é') > 0 AND amount > 4",
        "DELETE FROM dbo.lot WHERE starts_with(lot_id, '-a')",
        "UPDATE dbo.lot SET lot_id = lot_id || '!' WHERE starts_with(lot_id, 'Z')",
    )
    await small.follow()
    await small.assert_equal()
    assert (await small.follow())["changes"] == 0


async def test_p11_keys_that_differ_in_case_alone_are_one_key(follow_small: Any, collating: ExistingServer) -> None:
    rows = (
        "INSERT INTO dbo.lot SELECT CASE n % 2 WHEN 0 THEN 'Key' ELSE 'kEY' END || n, 'L' || n, n, NULL"
        f" FROM generate_series(1, {MANY}) n;"
    )
    small = await follow_small(
        _keyed_by_text("case") + rows, small_pair(_text_lots(), following=NO_BRAKE), server=collating
    )
    await small.follow()
    await small.assert_equal()
    small.execute("UPDATE dbo.lot SET lot_id = upper(lot_id) WHERE amount < 10")
    await small.follow()
    await small.assert_equal()


def _text_lots() -> dict[str, Any]:
    columns = {"lot_id": "text", "number": "text", "amount": "decimal", "note": "text"}
    return lot_table(columns=columns, reader="hash_diff")


async def test_p11_guid_keys(follow_small: Any) -> None:
    ddl = "CREATE TABLE dbo.lot (lot_id uuid PRIMARY KEY, number varchar(50), amount numeric(18,4), note text);"
    rows = f"INSERT INTO dbo.lot SELECT md5(n::text)::uuid, 'L' || n, n, NULL FROM generate_series(1, {MANY}) n;"
    small = await follow_small(ddl + rows, small_pair(_text_lots(), following=NO_BRAKE))
    await small.follow()
    await small.assert_equal()
    small.execute("DELETE FROM dbo.lot WHERE amount % 7 = 0", "UPDATE dbo.lot SET note = 'x' WHERE amount % 11 = 0")
    await small.follow()
    await small.assert_equal()


COMPOSITE = f"""
CREATE TABLE dbo.lot (tax_year numeric(4), sup_num integer, lot_id integer, number varchar(50), amount numeric(18,4),
  note text, "tsRowVersion" bytea NOT NULL, PRIMARY KEY (tax_year, sup_num, lot_id));
CREATE TRIGGER stamp_rowversion BEFORE INSERT OR UPDATE ON dbo.lot FOR EACH ROW EXECUTE FUNCTION dbo.stamp_rowversion();
INSERT INTO dbo.lot SELECT 2024 + n % 3, n % 5 * 100, n, 'L' || n, n, NULL FROM generate_series(1, {MANY}) n;
"""


@pytest.mark.parametrize("reader", ["hash_diff", "rowversion"])
async def test_p12_keys_of_three_columns_compare_as_tuples(follow_small: Any, reader: str) -> None:
    columns = {
        "tax_year": "integer", "sup_num": "integer", "lot_id": "integer",
        "number": "text", "amount": "decimal", "note": "text",
    }  # fmt: skip
    table = lot_table(columns=columns, key=["tax_year", "sup_num", "lot_id"], reader=reader)
    small = await follow_small(COMPOSITE, small_pair(table))
    await small.follow()
    await small.assert_equal()
    small.execute(
        "UPDATE dbo.lot SET sup_num = sup_num + 1 WHERE lot_id % 50 = 0",
        "UPDATE dbo.lot SET note = 'x' WHERE sup_num = 0 AND lot_id % 9 = 0",
        "DELETE FROM dbo.lot WHERE tax_year = 2025 AND lot_id % 60 = 1",
        "INSERT INTO dbo.lot SELECT 2023, 9, n, 'N', n, NULL FROM generate_series(10001, 10050) n",
    )
    await small.follow()
    await small.assert_equal()
    assert (await small.follow())["changes"] == 0


async def test_p13_a_table_with_a_time_in_its_key_is_read_once_and_not_again(follow_small: Any) -> None:
    ddl = f"""
    CREATE TABLE dbo.lot (read_at timestamp(3), lot_id integer, number varchar(50), amount numeric(18,4), note text,
      PRIMARY KEY (read_at, lot_id));
    INSERT INTO dbo.lot SELECT timestamp '2026-03-08 01:59:59.990' + n * interval '3.333 milliseconds', n, 'L' || n, n,
      NULL FROM generate_series(1, {MANY}) n;
    """
    columns = {"read_at": "timestamp", "lot_id": "integer", "number": "text", "amount": "decimal", "note": "text"}
    small = await follow_small(ddl, small_pair(lot_table(columns=columns, key=["read_at", "lot_id"])))
    assert (await small.follow())["changes"] == MANY
    await small.assert_equal()
    assert (await small.follow())["changes"] == 0
    small.execute("UPDATE dbo.lot SET read_at = read_at + interval '1 millisecond' WHERE lot_id % 500 = 0")
    await small.follow()
    await small.assert_equal()


KEYLESS = """
CREATE TABLE dbo.lot (lot_id integer, number varchar(50), amount numeric(18,4), note varchar(200));
"""


@pytest.mark.usefixtures("moments")
async def test_p14_a_table_without_an_index_loses_nothing_to_inserts_during_its_scan(
    follow_small: Any, postgres: Any
) -> None:
    """The heap's order moves: rows are deleted in front of the scan and written behind it."""
    rows = f"INSERT INTO dbo.lot SELECT n, 'L' || n, n, repeat('x', 150) FROM generate_series(1, {MANY}) n;"
    with tcp_proxy(postgres.url) as proxy:
        table = lot_table(reader="hash_diff")
        small = await follow_small(KEYLESS + rows, small_pair(table), through=proxy.url)
        writer = psycopg.connect(small.url, autocommit=True)
        turns: list[bytes] = []

        def write(asked: bytes) -> None:
            turns.append(asked)
            writer.execute(f"UPDATE dbo.lot SET note = 'moved' WHERE lot_id = {len(turns)}".encode())
            writer.execute(f"INSERT INTO dbo.lot VALUES ({MANY + len(turns)}, 'N', 1, 'new')".encode())

        proxy.before_asking = write
        await small.follow("full")
        proxy.heal()
        writer.close()
        assert len(turns) >= 3
        await small.follow()
        await small.assert_equal()
        assert (await small.follow())["changes"] == 0


async def test_p14_rows_without_a_whole_key_are_held_back_and_released(follow_small: Any) -> None:
    small = await follow_small(
        KEYLESS + "INSERT INTO dbo.lot VALUES (1, 'A', 1, NULL), (NULL, 'B', 2, NULL), (NULL, 'C', 3, NULL);",
        small_pair(lot_table(reader="hash_diff")),
    )
    await small.follow()
    held = "SELECT rule FROM ingest.quarantine_v1"
    assert {row["rule"] for row in await small.bench.fetch(held)} == {"key_missing"}
    assert [row["lot_id"] for row in await small.landed("lot")] == [1]
    small.execute("UPDATE dbo.lot SET lot_id = amount WHERE lot_id IS NULL")
    await small.follow()
    await small.assert_equal()
    assert await small.bench.fetch(held) == []
