"""Rows that come to be left out by the mapping go, and those that come to be wanted come, by every reader."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support import servers
from tests.support.killed_runs import killed_pair
from tests.support.small_source import LOTS, MARKS, ROW_READERS, Small, marked_lots, small_pair, small_source
from tests.support.source_writers import DDL

FILL = "INSERT INTO dbo.lot (lot_id, number, amount) VALUES (1, 'a', 1), (2, 'a', 1), (3, 'b', 1)"


@pytest.fixture(params=ROW_READERS)
async def small(
    request: pytest.FixtureRequest, postgres: servers.DatabaseServer, migrated_template: str, tmp_path: Path
) -> AsyncIterator[Small]:
    pair = small_pair(marked_lots(request.param, where={"number": ["a"]}))
    with servers.database(postgres, template=migrated_template) as (_, database_url):
        async with small_source(postgres, database_url, tmp_path, ddl=LOTS + MARKS, pair=pair) as small:
            small.execute(FILL)
            await small.follow()
            yield small


async def landed(small: Small) -> list[int]:
    return sorted(row["lot_id"] for row in await small.landed("lot"))


async def test_a_changed_row_that_is_left_out_now_is_gone(small: Small) -> None:
    assert await landed(small) == [1, 2]
    small.execute(*("UPDATE dbo.lot SET number = CASE number WHEN 'a' THEN 'b' ELSE 'a' END WHERE lot_id > 1",))
    await small.follow()
    assert await landed(small) == [1, 3]


async def test_another_row_of_the_key_that_counts_stays(small: Small) -> None:
    small.execute("ALTER TABLE dbo.lot DROP CONSTRAINT lot_pkey", "INSERT INTO dbo.lot VALUES (1, 'b', 9)")
    await small.follow()
    small.execute("UPDATE dbo.lot SET note = 'c' WHERE amount = 9")
    await small.follow()
    assert await landed(small) == [1, 2]
    small.execute("UPDATE dbo.lot SET number = CASE amount WHEN 9 THEN 'a' ELSE 'b' END WHERE lot_id = 1")
    await small.follow()
    assert [(row["lot_id"], row["amount"]) for row in await small.landed("lot")] == [(2, "1"), (1, "9")]


@pytest.fixture
async def scoped(postgres: servers.DatabaseServer, migrated_template: str, tmp_path: Path) -> AsyncIterator[Small]:
    """Charges of lots, each of which is left out with its lot and held back without one."""
    pair = killed_pair("hash_diff") | {"scope": "lot"}
    pair["tables"][0] = pair["tables"][0] | {"where": {"number": ["a"]}}
    with servers.database(postgres, template=migrated_template) as (_, database_url):
        async with small_source(postgres, database_url, tmp_path, ddl=DDL, pair=pair) as small:
            small.execute(
                "INSERT INTO dbo.lot (lot_id, number) VALUES (1, 'a'), (2, 'a'), (3, 'b')",
                "INSERT INTO dbo.charge (lot_id, charge_cd, amount) SELECT n, 'A', 1 FROM generate_series(1, 3) n",
            )
            await small.follow()
            yield small


async def test_the_scope_changes_while_a_table_of_it_is_not_read(scoped: Small) -> None:
    await scoped.bench.run("pause", tables=["charge"])
    scoped.execute("UPDATE dbo.lot SET number = CASE number WHEN 'a' THEN 'b' ELSE 'a' END WHERE lot_id > 1")
    await scoped.follow()
    await scoped.bench.run("resume", tables=["charge"])
    await scoped.follow()
    assert [row["lot_id"] for row in await scoped.landed("charge")] == [1, 3]


async def test_what_a_row_refers_to_goes_while_its_table_is_not_read(scoped: Small) -> None:
    scoped.execute("DELETE FROM dbo.lot WHERE lot_id = 2")
    await scoped.follow(tables=["lot"])
    await scoped.follow()
    held = await scoped.bench.fetch("SELECT source_table, key, rule FROM ingest.quarantine")
    assert [tuple(row.values()) for row in held] == [("charge", "2/A", "sale_parcel_unknown")]
