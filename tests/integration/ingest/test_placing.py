"""Rows that come without their range, from quarantine, by a marker or into the scope, stay and go as all others do."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from services.ingest.readers.batch import Batch, TableState
from services.ingest.readers.compare import compare
from services.ingest.sources.source import Source
from tests.support import servers
from tests.support.imitated_server import imitate
from tests.support.killed_runs import Reader, killed_pair
from tests.support.small_source import Small, small_source
from tests.support.source_writers import DDL

ROWS = 12_000
"""More than a first range has."""
ALL_HELD = """
INSERT INTO dbo.lot (lot_id, number) VALUES (9, 'a');
INSERT INTO dbo.charge (lot_id, charge_cd, amount) VALUES (1, 'A', 1), (2, 'A', 1);
"""
FILL = f"""
INSERT INTO dbo.lot (lot_id, number) SELECT n, 'a' FROM generate_series(1, {ROWS}) n WHERE n NOT IN (3, 6000, 11999);
INSERT INTO dbo.charge (lot_id, charge_cd, amount) SELECT n, 'A', 1 FROM generate_series(1, {ROWS}) n;
INSERT INTO dbo.entry (entry_no, lot_id, amount)
  SELECT n, n, CASE WHEN n IN (4, 7000) THEN -1 ELSE 1 END FROM generate_series(1, {ROWS}) n;
UPDATE dbo.charge SET changed_at = now() - interval '1 day';
UPDATE dbo.entry SET changed_at = now() - interval '1 day';
"""


@pytest.fixture(params=["hash_diff", "rowversion", "timestamp"])
def reader(request: pytest.FixtureRequest) -> Reader:
    named: Reader = request.param
    return named


@pytest.fixture
async def empty(
    reader: Reader, postgres: servers.DatabaseServer, migrated_template: str, tmp_path: Path
) -> AsyncIterator[Small]:
    pair = killed_pair(reader) | {"scope": "lot"}
    pair["tables"][0] = pair["tables"][0] | {"where": {"number": ["a"]}}
    with servers.database(postgres, template=migrated_template) as (_, database_url):
        async with small_source(postgres, database_url, tmp_path, ddl=DDL, pair=pair) as small:
            yield small


@pytest.fixture
async def small(empty: Small) -> Small:
    empty.execute(FILL)
    await empty.follow()
    return empty


async def keys(small: Small, table: str) -> set[str]:
    query = "SELECT key FROM ingest.source_row WHERE source_table = $1 AND NOT is_filtered"
    return {row["key"] for row in await small.bench.fetch(query, table)}


async def ranges(small: Small, table: str) -> set[int | None]:
    query = "SELECT DISTINCT range_number FROM ingest.source_row WHERE source_table = $1"
    return {row["range_number"] for row in await small.bench.fetch(query, table)}


async def assert_steady(small: Small) -> None:
    """What two further passes with something else to do leave as it is, and a complete certificate."""
    before = {table.name: await keys(small, table.name) for table in small.pair.tables}
    for amount in (5, 6):
        small.execute(
            f"UPDATE dbo.charge SET amount = {amount} WHERE lot_id = 9000",
            f"UPDATE dbo.entry SET amount = {amount} WHERE entry_no = 9000",
            f"INSERT INTO dbo.charge (lot_id, charge_cd, amount) VALUES (9000, 'N{amount}', 1)",
        )
        before["charge"].add(f"9000/N{amount}")
        await small.follow()
        assert {table.name: await keys(small, table.name) for table in small.pair.tables} == before
    await small.follow("verify")


async def test_rows_released_from_quarantine_stay_until_they_are_gone(small: Small) -> None:
    assert len(await ranges(small, "charge")) > 1
    assert len(await keys(small, "charge")) == ROWS - 3
    small.execute("INSERT INTO dbo.lot (lot_id, number) VALUES (3, 'a'), (6000, 'a'), (11999, 'a')")
    await small.follow()
    assert len(await keys(small, "charge")) == ROWS
    assert None not in await ranges(small, "charge")
    await assert_steady(small)
    small.execute("DELETE FROM dbo.charge WHERE lot_id IN (3, 11999)")
    await small.follow()
    assert await keys(small, "charge") >= {"6000/A"}
    assert not {"3/A", "11999/A"} & await keys(small, "charge")


async def test_rows_that_a_marker_shows_for_good_stay_until_they_are_gone(small: Small) -> None:
    assert len(await keys(small, "entry")) == ROWS - 2
    small.execute("UPDATE dbo.entry SET amount = 2 WHERE amount = -1")
    await small.follow()
    small.execute("UPDATE dbo.entry SET changed_at = now() - interval '1 day'")
    await assert_steady(small)
    small.execute("DELETE FROM dbo.entry WHERE entry_no = 7000")
    await small.follow()
    assert {"4"} == {"4", "7000"} & await keys(small, "entry")


async def test_rows_of_a_parcel_that_comes_into_the_scope_stay_until_they_are_gone(small: Small) -> None:
    small.execute("UPDATE dbo.lot SET number = 'out' WHERE lot_id IN (5, 8000)")
    await small.follow()
    assert not {"5/A", "8000/A"} & await keys(small, "charge")
    small.execute("UPDATE dbo.lot SET number = 'a' WHERE lot_id IN (5, 8000)")
    await small.follow()
    assert await keys(small, "charge") >= {"5/A", "8000/A"}
    await assert_steady(small)
    small.execute("DELETE FROM dbo.charge WHERE lot_id = 8000")
    await small.follow()
    assert {"5/A"} == {"5/A", "8000/A"} & await keys(small, "charge")


async def test_a_table_of_which_every_row_is_held_back_is_followed_as_any_other(empty: Small) -> None:
    empty.execute(ALL_HELD)
    await empty.follow()
    empty.execute("DELETE FROM dbo.charge WHERE lot_id = 1", "INSERT INTO dbo.charge VALUES (9, 'A', 1)")
    await empty.follow()
    assert await keys(empty, "charge") == {"9/A"}
    assert await held(empty) == {"2/A"}
    empty.execute("INSERT INTO dbo.lot (lot_id, number) VALUES (2, 'a')")
    await empty.follow()
    assert await keys(empty, "charge") == {"2/A", "9/A"}
    assert await held(empty) == set()


async def held(small: Small) -> set[str]:
    return {row["key"] for row in await small.bench.fetch("SELECT key FROM ingest.quarantine")}


@pytest.mark.parametrize("reader", ["rowversion"])
async def test_a_row_that_was_gone_before_its_range_was_compared_does_not_stay(
    empty: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty.execute(
        "INSERT INTO dbo.lot (lot_id, number) VALUES (1, 'a')",
        "INSERT INTO dbo.entry (entry_no, lot_id, amount) VALUES (1, 1, 1)",
    )
    await empty.follow()
    imitate(monkeypatch, is_moving=True)

    def gone_meanwhile(source: Source, state: TableState, *further: Any, **named: Any) -> Iterator[Batch]:
        if state.table.name == "entry":
            empty.execute("DELETE FROM dbo.entry WHERE entry_no = 2")
        return compare(source, state, *further, **named)

    empty.execute("INSERT INTO dbo.entry (entry_no, lot_id, amount) VALUES (2, 1, 1)")
    monkeypatch.setattr("services.ingest.readers.reading.compare", gone_meanwhile)
    await empty.follow()
    await empty.follow()
    assert await keys(empty, "entry") == {"1"}
