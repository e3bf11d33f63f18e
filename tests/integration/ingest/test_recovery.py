"""Tables whose ranges are cut anew, as `recovery` has it, lose what is gone and keep what is there."""

from pathlib import Path

import pytest

from services.ingest import reading
from services.ingest.readers.chunk import ChunkSize
from tests.support import servers
from tests.support.small_source import LOTS, NO_BRAKE, lot_table, small_pair, small_source


async def test_rows_of_ranges_that_are_no_more_go_if_they_are_gone(
    postgres: servers.DatabaseServer, migrated_template: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "ChunkSize", lambda **_: ChunkSize(rows=5, fewest=5, most=5))
    pair = small_pair(lot_table(), following=NO_BRAKE)
    with servers.database(postgres, template=migrated_template) as (_, database_url):
        async with small_source(postgres, database_url, tmp_path, ddl=LOTS, pair=pair) as small:
            small.execute("INSERT INTO dbo.lot SELECT n, 'a', n, NULL FROM generate_series(1, 30) n")
            await small.follow()
            small.execute("DELETE FROM dbo.lot WHERE lot_id > 12 AND lot_id <> 28")
            small.remap(small_pair(lot_table(), following=NO_BRAKE | {"snapshot_mode": "recovery"}))
            await small.follow()
            await small.assert_equal()
            await small.follow()
            await small.assert_equal()
