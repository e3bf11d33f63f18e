"""Random writers of rows that break rules and refer to rows that come and go: who is held back is who has to be."""

import os
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from services.ingest import reading
from services.ingest.readers.chunk import ChunkSize
from tests.support import servers
from tests.support.killed_runs import Reader, killed_pair
from tests.support.seeds import seed_of_this_run
from tests.support.small_source import Small, small_source
from tests.support.source_writers import DDL, TABLES, RandomWriters

READERS: tuple[Reader, ...] = ("hash_diff", "rowversion", "timestamp", "mixed")
ROUNDS = 12
Run = Callable[[Reader, int], Awaitable[None]]

#: lots that charges refer to come and go; else most charges would be of none
_TABLES = tuple(
    replace(table, new_key=lambda random: (random.randint(1, 70),)) if table.name == "lot" else table
    for table in TABLES
)


@pytest.fixture
def run(
    postgres: servers.DatabaseServer, migrated_template: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Run:
    def small_chunks(**more: Any) -> ChunkSize:
        return ChunkSize(**{**more, "rows": 12, "fewest": 6, "most": 24})

    monkeypatch.setattr(reading, "ChunkSize", small_chunks)

    async def write_and_follow(reader: Reader, seed: int) -> None:
        folder = tmp_path / str(seed)
        with servers.database(postgres, template=migrated_template) as (_, database_url):
            async with small_source(postgres, database_url, folder, ddl=DDL, pair=killed_pair(reader)) as small:
                writers = RandomWriters(small.url, seed, tables=_TABLES)
                try:
                    await _write_and_follow(small, writers, Random(seed))
                except BaseException as error:
                    error.add_note(f"{reader} {writers}")
                    raise
                finally:
                    writers.close()

    return write_and_follow


async def _write_and_follow(small: Small, writers: RandomWriters, random: Random) -> None:
    writers.fill(random.choice((0, 5, 60)))
    for _ in range(ROUNDS):
        for _ in range(random.choice((0, 3, 40))):
            writers.act()
        writers.settle()
        await small.follow()
        await _assert_judged(small)
    await small.follow("verify")


async def _assert_judged(small: Small) -> None:
    """Rows that break no rule are landed as they are; the others are in quarantine, and no others."""
    lots = {row["lot_id"] for row in small.rows("SELECT lot_id FROM dbo.lot")}
    for table in small.pair.tables:
        source = {_key(table.key, row): row for row in small.expected(table)}
        landed = {_key(table.key, row): row for row in await small.landed(table.name)}
        bad = {key for key, row in source.items() if _is_bad(table.name, row, lots)}
        found = await small.bench.fetch("SELECT key FROM ingest.quarantine WHERE source_table = $1", table.name)
        assert {row["key"] for row in found} == bad, table.name
        assert landed.keys() <= source.keys(), table.name
        assert {key: landed.get(key) for key in source.keys() - bad} == {
            key: row for key, row in source.items() if key not in bad
        }, table.name


def _is_bad(table: str, row: dict[str, Any], lots: set[int]) -> bool:
    if table == "charge":
        return row["lot_id"] not in lots
    return table == "entry" and row["amount"] is not None and row["amount"].startswith("-")


def _key(names: tuple[str, ...], row: dict[str, Any]) -> str:
    return "/".join(str(row[name]) for name in names)


@pytest.mark.parametrize("reader", READERS)
async def test_who_is_held_back_is_who_has_to_be(run: Run, reader: Reader) -> None:
    await run(reader, seed_of_this_run("TERRAFUSION_SEED", reader))


@pytest.mark.soak
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("reader", READERS)
async def test_who_is_held_back_is_who_has_to_be_for_long(run: Run, reader: Reader) -> None:
    for _ in range(int(os.environ.get("TERRAFUSION_SOAK_DRAWS", "50"))):
        await run(reader, seed_of_this_run("TERRAFUSION_SEED", reader))
