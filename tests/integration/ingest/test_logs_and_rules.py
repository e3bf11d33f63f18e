"""Tables that are followed by a log and of which rows are left out, held back and released."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import servers
from tests.support.imitated_server import imitate, log_ddl
from tests.support.killed_runs import killed_pair
from tests.support.replica import Replica
from tests.support.small_source import LOTS, MARKS, NO_BRAKE, Small, marked_lots, small_pair, small_source
from tests.support.source_writers import DDL

KEYS = [("lot", ("lot_id",)), ("charge", ("lot_id", "charge_cd"))]
FILL = (
    "INSERT INTO dbo.lot (lot_id, number) VALUES (1, 'a'), (2, 'a'), (3, 'b')",
    "INSERT INTO dbo.charge (lot_id, charge_cd, amount) VALUES (1, 'A', 1), (2, 'A', 1), (9, 'A', 1)",
)


@pytest.fixture(params=["cdc", "change_tracking"])
async def small(
    request: pytest.FixtureRequest,
    postgres: servers.DatabaseServer,
    migrated_template: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Small]:
    imitate(monkeypatch)
    lot, charge = (dict(table, reader=request.param) for table in killed_pair("hash_diff")["tables"][:2])
    pair: dict[str, Any] = small_pair(
        lot | {"where": {"number": ["a"]}}, charge, following=NO_BRAKE, snapshot_events=True
    )
    with servers.database(postgres, template=migrated_template) as (_, database_url):
        async with small_source(postgres, database_url, tmp_path, ddl=DDL + log_ddl(KEYS), pair=pair) as small:
            small.execute(*FILL)
            await small.follow()
            yield small


async def keys(small: Small, table: str) -> list[str]:
    query = "SELECT key FROM ingest.source_row WHERE source_table = $1 AND NOT is_filtered ORDER BY key"
    return [row["key"] for row in await small.bench.fetch(query, table)]


async def test_rows_that_are_left_out_go_and_are_told_of(small: Small) -> None:
    replica = Replica()
    await replica.hear(small.bench)
    small.execute("UPDATE dbo.lot SET number = CASE number WHEN 'a' THEN 'b' ELSE 'a' END WHERE lot_id > 1")
    await small.follow()
    await replica.hear(small.bench)
    assert await keys(small, "lot") == ["1", "3"]
    assert sorted(row["lot_id"] for row in replica.of("lot")) == [1, 3]
    assert not replica.faults


async def test_a_row_is_released_beside_changes_of_the_log(small: Small) -> None:
    replica = Replica()
    await replica.hear(small.bench)
    small.execute(
        "INSERT INTO dbo.lot (lot_id, number) VALUES (9, 'a')", "UPDATE dbo.charge SET amount = 2 WHERE lot_id = 1"
    )
    await small.follow()
    await replica.hear(small.bench)
    assert await keys(small, "charge") == ["1/A", "2/A", "9/A"]
    assert len(replica.of("charge")) == 3
    assert not replica.faults


@pytest.mark.parametrize("reader", ["cdc", "change_tracking"])
async def test_rows_of_the_next_year_come_once_that_is_the_working_year(
    postgres: servers.DatabaseServer,
    migrated_template: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    reader: str,
) -> None:
    imitate(monkeypatch)
    table = marked_lots(reader, years=1)
    table |= {"columns": table["columns"] | {"amount": "integer"}, "links": table["links"] | {"tax_year": "amount"}}
    year = {"name": "year", "key": ["year"], "columns": {"year": "integer"}}
    pair = small_pair(table, year, working_year={"column": "year.year"}, following=NO_BRAKE)
    ddl = (
        LOTS.replace("numeric(18,4)", "integer")
        + MARKS
        + "CREATE TABLE dbo.year (year integer PRIMARY KEY);"
        + log_ddl([("lot", ("lot_id",))])
    )
    with servers.database(postgres, template=migrated_template) as (_, database_url):
        async with small_source(postgres, database_url, tmp_path, ddl=ddl, pair=pair) as small:
            small.execute("INSERT INTO dbo.year VALUES (2026)", "INSERT INTO dbo.lot VALUES (1, 'a', 2026)")
            await small.follow()
            small.execute("INSERT INTO dbo.lot VALUES (2, 'a', 2027)")
            await small.follow()
            assert await keys(small, "lot") == ["1"]
            small.execute("UPDATE dbo.year SET year = 2027")
            await small.follow()
            assert await keys(small, "lot") == ["2"]
            await small.follow("verify")
