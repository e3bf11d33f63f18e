"""SQL Server as a source. Where no server can be had, none of this is verified, and the run's first lines say so."""

import secrets
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy.engine import URL, make_url

from chassis.errors import TerraFusionError
from services.ingest.sources.odbc import connection_string
from services.ingest.sources.source import HASH, Marker
from tests.support import odd_tables as odd
from tests.support.source_protocol import OddSource, SourceProtocol, odd_pair, whole
from tests.support.sql_server import sql_server, why_none
from tests.support.waiting import eventually

pytestmark = [
    pytest.mark.skipif(why_none() is not None, reason=why_none() or ""),
    pytest.mark.timeout(600),  # the first run fetches the server
]


def quoted(name: str) -> str:
    return f"[{name.replace(']', ']]')}]"


def connect(url: URL) -> Any:
    import pyodbc  # noqa: PLC0415  # needs the driver manager

    return pyodbc.connect(connection_string(url, installed=pyodbc.drivers()), autocommit=True)


_INSERTED = {
    "bytes": "CONVERT(varbinary(300), ?, 2)",
    "moment": "CONVERT(datetime, ?, 121)",
    "fine": "CONVERT(datetime2(7), ?, 121)",
    "day": "CONVERT(date, ?, 23)",
}


def fill(connection: Any) -> None:
    for table in odd.ODD_TABLES:
        connection.execute(table.create(quoted, is_sql_server=True))
        marks = ", ".join(_INSERTED.get(kind, "?") for kind in table.columns.values())
        for row in table.rows:
            connection.execute(f"INSERT INTO {odd.SCHEMA}.{quoted(table.name)} VALUES ({marks})", *row)


@pytest.fixture(scope="module")
def database() -> Iterator[URL]:
    """A database of its own that allows snapshots where the server can do that."""
    with sql_server() as address:
        master = make_url(address)
        name = f"odd_{secrets.token_hex(4)}"
        with connect(master) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        url = master.set(database=name)
        with connect(url) as connection:
            tolerated(connection, f"ALTER DATABASE {name} SET ALLOW_SNAPSHOT_ISOLATION ON")
            fill(connection)
        yield url
        with connect(master) as connection:
            tolerated(connection, f"ALTER DATABASE {name} SET SINGLE_USER WITH ROLLBACK IMMEDIATE")
            connection.execute(f"DROP DATABASE {name}")


def tolerated(connection: Any, statement: str) -> bool:
    """Runs what not every server of this protocol can do."""
    import pyodbc  # noqa: PLC0415

    try:
        connection.execute(statement)
    except pyodbc.Error:
        return False
    return True


@pytest.fixture(scope="module")
def odd_source(database: URL) -> OddSource:
    def execute(statement: str) -> None:
        with connect(database) as connection:
            cursor = connection.execute(f"SET NOCOUNT ON; {statement}")
            while cursor.nextset():  # a batch goes on, and fails, as its answers are taken
                pass

    return OddSource(database.render_as_string(hide_password=False), execute, quoted, is_sql_server=True)


def needs(database: URL, statement: str, what: str) -> None:
    """Skips a test of what a server that only speaks the protocol, such as Babelfish, does not have."""
    with connect(database) as connection:
        if not tolerated(connection, statement):
            pytest.skip(f"this server has no {what}")


class TestSqlServerSource(SourceProtocol):
    """The protocol that every database keeps."""


def mapped(name: str) -> Any:
    return odd.OddTable(name, {"id": "integer", "word": "word"}, ("id",), []).mapped


def test_the_probe_knows_the_server(odd_source: OddSource) -> None:
    with odd_source.open() as source:
        facts = source.facts()
    assert facts.product == "SQL Server"
    assert facts.version
    assert facts.can_write
    assert facts.tables["layers"].rows in {len(odd.LAYERS.rows), None}


def test_seven_digits_of_a_time_are_kept(odd_source: OddSource) -> None:
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


def test_a_rowversion_that_was_open_is_not_lost(odd_source: OddSource, database: URL) -> None:
    needs(database, "SELECT MIN_ACTIVE_ROWVERSION()", "MIN_ACTIVE_ROWVERSION")
    odd_source.execute("CREATE TABLE dbo.stamped (id int PRIMARY KEY, word nvarchar(9), stamp rowversion)")
    odd_source.execute("INSERT INTO dbo.stamped (id) VALUES (1)")
    table, marker = mapped("stamped"), Marker("rowversion", "stamp")
    slow = connect(database)
    slow.autocommit = False
    slow.execute("INSERT INTO dbo.stamped (id) VALUES (2)")  # stamped first, committed last
    odd_source.execute("INSERT INTO dbo.stamped (id) VALUES (3)")
    with odd_source.open() as source:
        until = source.high_mark(table, marker)
        assert source.is_consistent
        assert [row for block in source.changed(table, marker, None, until) for row in block["id"]] == ["1"]
        slow.commit()
        assert whole(source, table)["id"].to_list() == ["1", "3"]
    slow.close()
    with odd_source.open() as source:
        later = source.high_mark(table, marker)
        found = [row for block in source.changed(table, marker, until, later) for row in block["id"]]
    assert sorted(found) == ["2", "3"]


def test_change_tracking_tells_of_rows_as_they_are_now(odd_source: OddSource, database: URL) -> None:
    needs(database, f"ALTER DATABASE {database.database} SET CHANGE_TRACKING = ON", "change tracking")
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


async def test_captured_changes_come_in_order_with_the_rows_before_them(odd_source: OddSource, database: URL) -> None:
    needs(database, "EXEC sys.sp_cdc_enable_db", "change data capture")
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


def test_a_login_that_is_refused_is_said_so(odd_source: OddSource, database: URL) -> None:
    wrong = database.set(password="wrong").render_as_string(hide_password=False)
    with pytest.raises(TerraFusionError) as refused, OddSource(wrong, odd_source.execute, quoted).open():
        pass
    assert refused.value.code == "source_login_refused"
    assert odd_pair().pair in refused.value.message
