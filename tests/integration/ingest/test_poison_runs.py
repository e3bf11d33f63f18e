"""Rows that a source cannot give, through whole runs: held back and told, never gone, and released once mended."""

from pathlib import Path
from typing import Any

from tests.support import servers
from tests.support.small_source import NO_BRAKE, Small, lot_table, small_pair, small_source

#: a view stands for damaged values: a row that is `bad` cannot be read
DDL = """
CREATE TABLE dbo.kept (lot_id integer PRIMARY KEY, number varchar(50), amount numeric(18,4), note varchar(200),
  bad boolean NOT NULL DEFAULT false);
INSERT INTO dbo.kept SELECT n, n::text, n, 'x', n IN (77, 300) FROM generate_series(1, 400) n;
CREATE VIEW dbo.lot AS
  SELECT lot_id, number, CASE WHEN bad THEN amount / (lot_id - lot_id) ELSE amount END AS amount, note FROM dbo.kept;
"""


async def held(small: Small) -> list[tuple[str, str]]:
    rows = await small.bench.fetch("SELECT key, rule FROM ingest.quarantine ORDER BY key::integer")
    return [(row["key"], row["rule"]) for row in rows]


async def landed(small: Small) -> dict[int, dict[str, Any]]:
    return {row["lot_id"]: row for row in await small.landed("lot")}


async def test_a_row_that_cannot_be_read_is_held_back_alone_until_it_can(
    postgres: servers.DatabaseServer, database_url: str, tmp_path: Path
) -> None:
    pair = small_pair(lot_table(), following=NO_BRAKE)
    async with small_source(postgres, database_url, tmp_path, ddl=DDL, pair=pair) as small:
        await small.follow()
        assert await held(small) == [("77", "row_unreadable"), ("300", "row_unreadable")]
        assert (await landed(small)).keys() == set(range(1, 401)) - {77, 300}

        small.execute(
            "UPDATE dbo.kept SET bad = true, note = 'damaged' WHERE lot_id = 5",
            "UPDATE dbo.kept SET note = 'y' WHERE lot_id = 6",
            "DELETE FROM dbo.kept WHERE lot_id = 7",
        )
        assert (await small.follow())["changes"] == 2
        assert [key for key, _ in await held(small)] == ["5", "77", "300"]
        rows = await landed(small)
        assert rows[5]["note"] == "x"  # the last good image goes on to count
        assert rows[6]["note"] == "y"
        assert 7 not in rows

        small.execute("UPDATE dbo.kept SET bad = false WHERE lot_id <> 300", "DELETE FROM dbo.kept WHERE lot_id = 300")
        await small.follow()
        assert await held(small) == []
        await small.assert_equal()
