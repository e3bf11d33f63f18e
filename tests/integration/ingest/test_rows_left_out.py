"""Rows that come to be left out by the mapping go, and those that come to be wanted come, by every reader."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support import servers
from tests.support.small_source import LOTS, MARKS, ROW_READERS, Small, marked_lots, small_pair, small_source

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
