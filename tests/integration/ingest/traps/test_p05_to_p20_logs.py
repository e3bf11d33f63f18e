"""Logs that were cleaned up, stand still or begin anew, on an imitation: it shows the engine's part of them."""

from typing import Any

import pytest

from contracts.mapping import SourceTable
from services.ingest.sources.sql_source import SqlSource
from tests.support.imitated_server import Logs, imitate, log_ddl
from tests.support.small_source import LOTS, NO_BRAKE, lot_table, small_pair

ROWS = """
INSERT INTO dbo.lot SELECT n, 'L' || n, n, 'old' FROM generate_series(1, 300) n;
INSERT INTO dbo.code SELECT n, n, 'C' || n FROM generate_series(1, 40) n;
"""
CODE = "CREATE TABLE dbo.code (code_id integer PRIMARY KEY, lot_id integer, meaning varchar(50));"


@pytest.fixture(params=["cdc", "change_tracking"])
def log(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    imitate(monkeypatch)
    return str(request.param)


async def _followed(follow_small: Any, log: str, **more: Any) -> tuple[Any, Logs]:
    codes = {
        "name": "code",
        "key": ["code_id"],
        "columns": {"code_id": "integer", "lot_id": "integer", "meaning": "text"},
        "links": {"parcel_id": "lot_id"},
        "reader": log,
    }
    logged = log_ddl([("lot", ("lot_id",)), ("code", ("code_id",))])
    small = await follow_small(LOTS + CODE + logged + ROWS, small_pair(lot_table(reader=log), codes, **more))
    await small.follow()
    return small, Logs(small.url)


async def _gaps(small: Any) -> list[tuple[str, ...]]:
    said = await small.bench.said(("sync.gap_found",))
    return [tuple(body["source_tables"]) for _, body in said]


def _noting(read: Any, names: list[str]) -> Any:
    """Reads as before, and notes which tables were read in ranges."""

    def noted(self: SqlSource, table: SourceTable, **how: Any) -> Any:
        names.append(table.name)
        return read(self, table, **how)

    return noted


async def test_p05_what_was_cleaned_up_before_it_was_read_is_a_gap_of_its_table(
    follow_small: Any, monkeypatch: pytest.MonkeyPatch, log: str
) -> None:
    """Never silent, and never the whole database: the other table's token is newer than what is gone."""
    small, logs = await _followed(follow_small, log)
    small.execute("UPDATE dbo.code SET meaning = 'new' WHERE code_id = 1")
    await small.follow(tables=["code"])
    small.execute(
        "UPDATE dbo.lot SET note = 'lost' WHERE lot_id = 7",
        "DELETE FROM dbo.lot WHERE lot_id = 8",
        "UPDATE dbo.lot SET lot_id = 900 WHERE lot_id = 9",
    )
    await small.follow(tables=["code"])
    logs.clean_up()
    read: list[str] = []
    monkeypatch.setattr(SqlSource, "read", _noting(SqlSource.read, read))
    await small.follow()
    assert set(read) == {"lot"}
    assert await _gaps(small) == [("lot",)]
    assert await small.said() == ["parcel.changed 7", "parcel.changed 900", "parcel.removed 8", "parcel.removed 9"]
    await small.assert_equal()
    assert (await small.follow())["changes"] == 0
    assert await _gaps(small) == []


@pytest.mark.parametrize(("above", "is_gap"), [(0, False), (1, False), (2, True)])
async def test_p06_a_token_at_the_very_edge_is_no_gap(follow_small: Any, log: str, *, above: int, is_gap: bool) -> None:
    """The oldest number that is kept is the saved one, the one after it, or one beyond."""
    small, logs = await _followed(follow_small, log)
    (newest,) = [row["n"] for row in small.rows("SELECT max(lsn) AS n FROM dbo.log_commit")]
    small.execute(
        "UPDATE dbo.lot SET note = 'one' WHERE lot_id = 1", "UPDATE dbo.lot SET note = 'two' WHERE lot_id = 2"
    )
    logs.keep_from(newest + above)
    await small.follow()
    assert bool(await _gaps(small)) is is_gap
    assert await small.said() == ["parcel.changed 1", "parcel.changed 2"]
    await small.assert_equal()


async def test_p08_a_table_that_stands_still_keeps_up_with_the_log(follow_small: Any, log: str) -> None:
    small, logs = await _followed(follow_small, log)
    for turn in range(3):
        small.execute(f"UPDATE dbo.code SET meaning = 'turn {turn}' WHERE code_id = 1")
        await small.follow()
        logs.clean_up()
        await small.follow()
        assert await _gaps(small) == []
    small.execute("UPDATE dbo.lot SET note = 'at last' WHERE lot_id = 5")
    await small.follow()
    assert await small.said() == ["parcel.changed 5"]
    await small.assert_equal()


async def test_p09_every_change_of_a_transaction_is_told_in_its_order(follow_small: Any, log: str) -> None:
    """Five changes of one transaction, two of them moves of a key on to a key that another one gave up."""
    small, _ = await _followed(follow_small, log)
    small.execute(
        "UPDATE dbo.lot SET note = 'a' WHERE lot_id = 1; UPDATE dbo.lot SET lot_id = 901 WHERE lot_id = 2;"
        "UPDATE dbo.lot SET lot_id = 2 WHERE lot_id = 3; DELETE FROM dbo.lot WHERE lot_id = 4;"
        "INSERT INTO dbo.lot VALUES (4, 'again', 4, 'b')"
    )
    await small.follow()
    await small.assert_equal()
    rows = await small.bench.fetch("SELECT body FROM chassis.outbox WHERE subject LIKE 'cdc.%' ORDER BY position")
    assert len(rows) == (7 if log == "cdc" else 5)
    assert (await small.follow())["changes"] == 0


async def test_p10_a_capture_job_that_lags_overwrites_nothing_for_good(follow_small: Any, log: str) -> None:
    """The rows that are read are newer than the log, which comes to them later."""
    small, logs = await _followed(follow_small, log)
    logs.capture(share=0)
    small.execute(
        "UPDATE dbo.lot SET note = 'first' WHERE lot_id = 1",
        "UPDATE dbo.lot SET note = 'second' WHERE lot_id = 1",
        "INSERT INTO dbo.lot VALUES (700, 'N', 1, NULL)",
        "DELETE FROM dbo.lot WHERE lot_id = 2",
        "DELETE FROM dbo.lot WHERE lot_id = 700",
    )
    await small.follow("full")
    await small.assert_equal()
    for share in (0.4, 0.5):
        logs.capture(share=share)
        await small.follow()
    logs.capture(share=None)
    await small.follow()
    await small.assert_equal()


async def test_p20_a_truncated_table_has_a_gap_and_asks_before_rows_go(follow_small: Any, log: str) -> None:
    """A log tells nothing of a TRUNCATE; what it resets is how far back changes are complete."""
    small, logs = await _followed(follow_small, log)
    small.execute(
        "CREATE TABLE dbo.kept AS SELECT * FROM dbo.lot WHERE lot_id % 3 = 0",
        "TRUNCATE dbo.lot; INSERT INTO dbo.lot TABLE dbo.kept",
    )
    logs.clean_up()
    assert await small.fail() == "approval_required"
    assert len(await small.landed("lot")) == 300
    (asked,) = await small.bench.fetch("SELECT id FROM ingest.approval_v1 WHERE status = 'pending'")
    job = await small.bench.run("approve", approval_id=str(asked["id"]))
    assert job["status"] == "succeeded", job["error"]
    await small.assert_equal()
    assert len(await small.landed("lot")) == 100


async def test_p20_a_source_that_was_set_back_is_a_gap(follow_small: Any, log: str) -> None:
    """Restored from a backup: its newest number is below the saved one."""
    small, _ = await _followed(follow_small, log, following=NO_BRAKE)
    small.execute("UPDATE dbo.lot SET note = 'to be undone' WHERE lot_id = 1")
    await small.follow()
    small.execute(
        "ALTER TABLE dbo.lot DISABLE TRIGGER USER; UPDATE dbo.lot SET note = 'old' WHERE lot_id = 1;"
        "ALTER TABLE dbo.lot ENABLE TRIGGER USER",
        'DELETE FROM dbo.log_lot WHERE "@lsn" = (SELECT max(lsn) FROM dbo.log_commit)',
        "DELETE FROM dbo.log_commit WHERE lsn = (SELECT max(lsn) FROM dbo.log_commit)",
    )
    await small.follow()
    assert await _gaps(small) != []
    await small.assert_equal()
