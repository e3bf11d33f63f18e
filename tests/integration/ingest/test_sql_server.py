"""SQL Server as a source. Where no server can be had, none of this is verified, and the run's first lines say so.

Any server of its protocol will do; what one that only speaks it, such as Babelfish, does not have is skipped by name.
"""

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from sqlalchemy.engine import make_url

from chassis.errors import TerraFusionError
from services.ingest.sources.dialects.dialect import Sql
from services.ingest.sources.odbc import OdbcSession
from services.ingest.sources.source import HASH, Asked, Marker
from services.ingest.sources.sql_source import SqlSource
from tests.support import odd_tables as odd
from tests.support.pacs_record import actual_record, differences
from tests.support.pair_benches import COUNTIES, county_files, pair_bench
from tests.support.small_source import NO_BRAKE
from tests.support.source_protocol import OddSource, SourceProtocol, odd_pair, whole
from tests.support.sql_server import sql_server, why_none
from tests.support.sql_server_capabilities import SqlServer
from tests.support.sql_server_pacs import EDITS, build_pacs, create_reader, drop_reader, expected_record
from tests.support.sync_jobs import SyncBench
from tests.support.waiting import eventually

pytestmark = [
    pytest.mark.skipif(why_none() is not None, reason=why_none() or ""),
    pytest.mark.timeout(600),  # the first run fetches the server
]


def quoted(name: str) -> str:
    return f"[{name.replace(']', ']]')}]"


_INSERTED = {
    "bytes": "CONVERT(varbinary(300), ?, 2)",
    "moment": "CONVERT(datetime, ?, 121)",
    "fine": "CONVERT(datetime2(7), ?, 121)",
    "day": "CONVERT(date, ?, 23)",
}


def fill(server: SqlServer) -> None:
    with server.connect() as connection:
        for table in odd.ODD_TABLES:
            if table.name in server.odd_tables_lacking:
                continue
            connection.execute(table.create(quoted, is_sql_server=True))
            marks = ", ".join(_INSERTED.get(kind, "?") for kind in table.columns.values())
            for row in table.rows:
                connection.execute(f"INSERT INTO {odd.SCHEMA}.{quoted(table.name)} VALUES ({marks})", *row)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with sql_server() as url:
        yield url


@contextmanager
def database(address: str) -> Iterator[SqlServer]:
    """A database of its own that allows snapshots where the server can do that."""
    master = SqlServer(make_url(address))
    name = f"test_{secrets.token_hex(4)}"
    master.execute(f"CREATE DATABASE {name}")
    try:
        found = SqlServer(master.url.set(database=name))
        found.tolerates(f"ALTER DATABASE {name} SET ALLOW_SNAPSHOT_ISOLATION ON")
        yield found
    finally:
        master.tolerates(f"ALTER DATABASE {name} SET SINGLE_USER WITH ROLLBACK IMMEDIATE")
        deadline = time.monotonic() + 30
        while not master.tolerates(f"DROP DATABASE {name}") and time.monotonic() < deadline:
            time.sleep(0.1)  # a session that was closed may still be going


@pytest.fixture(scope="module")
def server(address: str) -> Iterator[SqlServer]:
    with database(address) as found:
        yield found


@pytest.fixture(scope="module")
def odd_source(server: SqlServer) -> OddSource:
    server.needs("digits", "bytes", "iso")
    fill(server)
    url = server.url.render_as_string(hide_password=False)
    return OddSource(url, server.execute, quoted, is_sql_server=True, lacks=server.odd_tables_lacking)


class TestSqlServerSource(SourceProtocol):
    """The protocol that every database keeps."""


def mapped(name: str) -> Any:
    return odd.OddTable(name, {"id": "integer", "word": "word"}, ("id",), []).mapped


def test_the_probe_knows_the_server(odd_source: OddSource, server: SqlServer) -> None:
    with odd_source.open() as source:
        facts = source.facts()
    counted = "SELECT SUM(rows) FROM sys.partitions WHERE object_id = OBJECT_ID('dbo.layers') AND index_id IN (0, 1)"
    assert facts.product == "SQL Server"
    assert facts.version
    assert facts.can_write
    assert facts.tables["layers"].rows == server.rows(counted)[0][0]


def test_seven_digits_of_a_time_are_kept(odd_source: OddSource, server: SqlServer) -> None:
    server.needs("ticks")
    odd_source.execute(
        "CREATE TABLE dbo.ticks (id int PRIMARY KEY, word nvarchar(9), at datetime2(7)); "
        "INSERT INTO dbo.ticks VALUES (1, 'a', '2026-01-01 00:00:00.1234567'), (2, 'b', '2026-01-01 00:00:00.1234568')"
    )
    marker = Marker("timestamp", "at")
    with odd_source.open() as source:
        last = "2026-01-01 00:00:00.1234568"
        below = [row for block in source.changed(mapped("ticks"), marker, None, last) for row in block["id"]]
        above = [r for block in source.changed(mapped("ticks"), marker, last, "2027-01-01") for r in block["id"]]
    assert (below, above) == (["1"], ["2"])


def test_a_rowversion_that_was_open_is_not_lost(odd_source: OddSource, server: SqlServer) -> None:
    server.needs("rowversion", "snapshot")
    odd_source.execute("CREATE TABLE dbo.stamped (id int PRIMARY KEY, word nvarchar(9), stamp rowversion)")
    odd_source.execute("INSERT INTO dbo.stamped (id) VALUES (1)")
    table, marker = mapped("stamped"), Marker("rowversion", "stamp")
    with server.connect(autocommit=False) as slow:
        slow.execute("INSERT INTO dbo.stamped (id) VALUES (2)")  # stamped first, committed last
        odd_source.execute("INSERT INTO dbo.stamped (id) VALUES (3)")
        with odd_source.open() as source:
            until = source.high_mark(table, marker)
            assert source.is_consistent
            assert [row for block in source.changed(table, marker, None, until) for row in block["id"]] == ["1"]
            slow.commit()
            assert whole(source, table)["id"].to_list() == ["1", "3"]
    with odd_source.open() as source:
        later = source.high_mark(table, marker)
        found = [row for block in source.changed(table, marker, until, later) for row in block["id"]]
    assert sorted(found) == ["2", "3"]


def test_change_tracking_tells_of_rows_as_they_are_now(odd_source: OddSource, server: SqlServer) -> None:
    server.needs_to_run(f"ALTER DATABASE {server.url.database} SET CHANGE_TRACKING = ON", "change tracking")
    odd_source.execute(
        "CREATE TABLE dbo.tracked (id int PRIMARY KEY, word nvarchar(50)); "
        "ALTER TABLE dbo.tracked ENABLE CHANGE_TRACKING; INSERT INTO dbo.tracked VALUES (1, N'a'), (2, N'b')"
    )
    table, marker = mapped("tracked"), Marker("change_tracking")
    with odd_source.open() as source:
        assert source.facts().tables["tracked"].has_change_tracking
        since = source.high_mark(table, marker)
        assert str(source.low_mark(table, marker)) <= since
    odd_source.execute(
        "UPDATE dbo.tracked SET word = N'ä' WHERE id = 1; DELETE dbo.tracked WHERE id = 2; "
        "INSERT INTO dbo.tracked VALUES (3, N'c'), (4, N'd'); DELETE dbo.tracked WHERE id = 4"
    )
    with odd_source.open() as source:
        until = source.high_mark(table, marker)
        told = [row for block in source.changed(table, marker, since, until) for row in block.to_dicts()]
        hashes = dict(whole(source, table).select("id", HASH).iter_rows())
        assert list(source.changed(table, marker, until, until)) == []
    assert {row["id"]: (row["@op"], row["word"]) for row in told} == {
        "1": ("u", "ä"), "2": ("d", None), "3": ("c", "c"), "4": ("d", None),
    }  # fmt: skip
    assert {row["id"]: row[HASH] for row in told if row["@op"] != "d"} == hashes


async def test_captured_changes_come_in_order_with_the_rows_before_them(
    odd_source: OddSource, server: SqlServer
) -> None:
    server.needs_to_run("EXEC sys.sp_cdc_enable_db", "change data capture")
    odd_source.execute("CREATE TABLE dbo.captured (id int PRIMARY KEY, word nvarchar(50))")
    odd_source.execute(
        "EXEC sys.sp_cdc_enable_table @source_schema = N'dbo', @source_name = N'captured', @role_name = NULL"
    )
    table = mapped("captured")
    with odd_source.open() as source:
        instances = source.facts().tables["captured"].capture_instances
    assert instances == ("dbo_captured",)
    marker = Marker("cdc", instance="dbo_captured")
    odd_source.execute("INSERT INTO dbo.captured VALUES (1, N'a')")
    odd_source.execute("UPDATE dbo.captured SET word = N'b' WHERE id = 1")
    odd_source.execute("DELETE dbo.captured WHERE id = 1")

    async def three_changes() -> list[dict[str, Any]] | None:
        try:
            with odd_source.open() as source:
                until = source.high_mark(table, marker)
                found = [row for block in source.changed(table, marker, None, until) for row in block.to_dicts()]
        except TerraFusionError:
            return None  # the capture job has not run yet
        return found if len(found) == 3 else None

    told = await eventually(three_changes, "three changes are captured", wait_seconds=120, pause_seconds=1)
    assert [(row["@op"], row["word"], row["@before"]) for row in told] == [
        ("c", "a", None), ("u", "b", '{"id":"1","word":"a"}'), ("d", "b", '{"id":"1","word":"b"}'),
    ]  # fmt: skip
    assert [row["@token"] for row in told] == sorted({row["@token"] for row in told})


def test_a_login_that_is_refused_is_said_so(odd_source: OddSource, server: SqlServer) -> None:
    if not server.checks_passwords:
        pytest.skip("this server checks no passwords")
    wrong = server.url.set(password="wrong").render_as_string(hide_password=False)
    with pytest.raises(TerraFusionError) as refused, OddSource(wrong, odd_source.execute, quoted).open():
        pass
    assert refused.value.code == "source_login_refused"
    assert odd_pair().pair in refused.value.message


def test_long_texts_of_every_plane_come_whole(odd_source: OddSource, server: SqlServer) -> None:
    texts = [
        "",
        "ä€" * 200_000,
        "🏡𝄞" * 3_000,
        "x" * 3_999 + "é",
        "tab\tline\r\nend",
        " spaces ",
        "'quotes' \"and\" [more]",
    ]
    odd_source.execute("CREATE TABLE dbo.long_texts (id int PRIMARY KEY, word nvarchar(max))")
    with server.connect() as connection:
        for number, text in enumerate(texts):
            connection.execute("INSERT INTO dbo.long_texts VALUES (?, ?)", number, text)
    with odd_source.open() as source:
        rows = whole(source, mapped("long_texts"))
    assert dict(rows.select("id", "word").iter_rows()) == {str(n): text for n, text in enumerate(texts)}
    assert rows[HASH].n_unique() == len(texts)


def test_more_rows_than_are_fetched_at_once_come_once_each(odd_source: OddSource) -> None:
    odd_source.execute(
        "CREATE TABLE dbo.many (id int PRIMARY KEY, word nvarchar(50)); "
        "INSERT INTO dbo.many SELECT TOP 5001 ROW_NUMBER() OVER (ORDER BY a.column_id), N'w' "
        "FROM sys.all_columns AS a CROSS JOIN sys.all_columns AS b"
    )
    with odd_source.open() as source:
        rows = whole(source, mapped("many"))
        blocks = list(source.read(mapped("many")))
        abandoned = next(iter(source.read(mapped("many"))))  # a reader may stop in the midst of an answer
        again = pl.concat(source.read_keyed(mapped("many"), ("id",), [("5001",), ("1",)]))
    assert sorted(map(int, rows["id"])) == list(range(1, 5002))
    assert len(blocks) > 1
    assert 0 < abandoned.height < 5001
    assert sorted(again["id"]) == ["1", "5001"]


def test_a_lock_is_waited_for_no_longer_than_told(odd_source: OddSource, server: SqlServer) -> None:
    odd_source.execute("CREATE TABLE dbo.locked (id int PRIMARY KEY, word nvarchar(50))")
    with odd_source.open(lock_timeout_seconds=1) as source:
        source.catalog()
        with server.connect(autocommit=False) as other:
            other.execute("ALTER TABLE dbo.locked ADD more int")  # a lock that even a snapshot waits for
            with pytest.raises(TerraFusionError) as refused:
                whole(source, mapped("locked"))
            other.rollback()
    server.needs_numbered_errors()  # that the wait ended is seen on any server, what ended it is not
    assert refused.value.code == "source_locked"


def test_a_query_that_takes_too_long_is_given_up(odd_source: OddSource, server: SqlServer) -> None:
    many = "sys.all_columns"
    odd_source.execute(
        f"CREATE VIEW dbo.endless AS SELECT a.column_id AS id, a.name AS word "
        f"FROM {many} AS a CROSS JOIN {many} AS b CROSS JOIN {many} AS c WHERE a.name + b.name + c.name = 'x'"
    )
    with odd_source.open() as source:
        source.catalog()
        assert isinstance(source, SqlSource)
        assert isinstance(source.session, OdbcSession)
        assert source.session.connection.timeout == odd_source.pair.following.query_timeout_seconds
        number = source.session.value(Sql("SELECT @@SPID"))
        source.session.connection.timeout = 1  # only now: a busy server may take longer to be asked who it is
        with pytest.raises(TerraFusionError) as refused:
            whole(source, mapped("endless"))
    server.tolerates(f"KILL {number}")  # a server that does not hear that a query is given up goes on with it
    assert refused.value.code == "source_timeout"


def test_a_connection_that_is_killed_is_unavailable(odd_source: OddSource, server: SqlServer) -> None:
    with odd_source.open() as source:
        assert isinstance(source, SqlSource)
        number = source.session.value(Sql("SELECT @@SPID"))
        server.needs_to_run(f"KILL {number}", "KILL")
        with pytest.raises(TerraFusionError) as refused:
            whole(source, odd.LAYERS.mapped)
    assert refused.value.code == "source_unavailable"


def test_what_is_gone_is_named_by_its_kind(odd_source: OddSource, server: SqlServer) -> None:
    odd_source.execute("CREATE TABLE dbo.gone (id int PRIMARY KEY, word nvarchar(50))")
    with odd_source.open() as source:
        source.catalog()
        odd_source.execute("ALTER TABLE dbo.gone DROP COLUMN word")
        with pytest.raises(TerraFusionError) as no_column:
            whole(source, mapped("gone"))
    with odd_source.open() as source:
        source.catalog()
        odd_source.execute("DROP TABLE dbo.gone")
        with pytest.raises(TerraFusionError) as no_table:
            source.digests([Asked(mapped("gone").model_copy(update={"columns": {"id": "integer"}}))])
    server.needs_numbered_errors()
    assert (no_column.value.code, no_table.value.code) == ("source_column_missing", "source_table_missing")


COUNTY, PAIR = "synthetic_wa", "synthetic_wa_pacs"


@pytest.fixture(scope="module")
def pacs(address: str) -> Iterator[tuple[SqlServer, SqlServer]]:
    """A county's PACS as its owner sees it, and by a login that may only read."""
    mappings = yaml.safe_load((COUNTIES / COUNTY / "mappings.yaml").read_text(encoding="utf-8"))
    names = [table["name"] for table in mappings["pairs"][0]["tables"]]
    with database(address) as owner:
        owner.needs("digits", "bytes", "iso")
        build_pacs(owner, names, parcels=300, seed=5)
        reader = create_reader(owner, names)
        yield owner, reader
        drop_reader(owner, reader)


async def assert_record_is_of(bench: SyncBench, owner: SqlServer) -> None:
    expected = expected_record(owner)
    actual = await actual_record(bench, expected)
    there = {row["parcel_id"] for row in expected["parcel_v1"]}
    actual["parcel_v1"] = [row for row in actual["parcel_v1"] if row["is_active"] or row["parcel_id"] in there]
    assert differences(expected, actual) == {}


@pytest.mark.parametrize(("wanted", "follows_values"), [("hash_diff", "hash_diff"), ("auto", "rowversion")])
async def test_a_county_is_followed_through_edits(
    pacs: tuple[SqlServer, SqlServer], database_url: str, tmp_path: Path, wanted: str, follows_values: str
) -> None:
    owner, reader = pacs
    if follows_values == "rowversion":
        owner.needs("rowversion")
    counties = county_files(
        tmp_path / "counties", COUNTY, lambda pair: pair.update({"reader": wanted, "following": NO_BRAKE})
    )
    url = reader.url.render_as_string(hide_password=False)
    async with pair_bench(
        database_url, county=COUNTY, pair=PAIR, source_url=url, folder=tmp_path, counties_dir=counties
    ) as bench:
        first = await bench.run("incremental")
        assert first["status"] == "succeeded", first["error"]
        await assert_record_is_of(bench, owner)
        readers = await bench.fetch("SELECT source_table, reader FROM ingest.sync_table")
        assert {r["source_table"]: r["reader"] for r in readers}["property_val"] == follows_values
        for edit in EDITS:
            owner.execute(edit)
        second = await bench.run("incremental")
        assert second["status"] == "succeeded", second["error"]
        assert second["result"]["events"] > 0
        await assert_record_is_of(bench, owner)
        third = await bench.run("incremental")
        assert third["status"] == "succeeded", third["error"]
        assert third["result"]["events"] == 0
        verified = await bench.run("verify")
        assert verified["status"] == "succeeded", verified["error"]


def test_a_login_that_may_only_read_is_known(pacs: tuple[SqlServer, SqlServer]) -> None:
    owner, reader = pacs
    told = {}
    for name, login in (("owner", owner), ("reader", reader)):
        with OddSource(login.url.render_as_string(hide_password=False), owner.execute, quoted).open() as source:
            told[name] = source.facts().can_write
    assert told == {"owner": True, "reader": False}
    assert not reader.tolerates("UPDATE dbo.property SET geo_id = geo_id")
