"""A run is undone that was made by an older mapping, under which more was shown."""

import json
from pathlib import Path

from tests.support import servers
from tests.support.small_source import LOTS, lot_table, small_pair, small_source


async def test_what_is_personal_by_now_is_neither_told_nor_stays_in_the_clear(
    postgres: servers.DatabaseServer, migrated_template: str, tmp_path: Path
) -> None:
    with servers.database(postgres, template=migrated_template) as (_, database_url):
        async with small_source(postgres, database_url, tmp_path, ddl=LOTS, pair=small_pair(lot_table())) as small:
            small.execute("INSERT INTO dbo.lot VALUES (1, 'a', 1, 'Jane Doe'), (2, 'a', 1, NULL)")
            await small.follow()
            small.execute("UPDATE dbo.lot SET note = 'John Doe' WHERE lot_id = 1")
            await small.follow()
            operation = small.bench.jobs[-1]
            small.remap(small_pair(lot_table(personal=["note"])))
            await small.follow()
            small.execute("UPDATE dbo.lot SET note = 'Jane Doe' WHERE lot_id = 1")
            await small.bench.forget()
            undone = await small.bench.run("undo", operation_id=str(operation))
            assert undone["status"] == "succeeded", undone["error"]
            told = await small.bench.fetch("SELECT body FROM chassis.outbox WHERE subject LIKE 'cdc.%'")
            assert len(told) == 1
            assert "Doe" not in json.dumps(told)
            await small.bench.run("resume")
            await small.follow()
            images = await small.bench.fetch("SELECT image::text FROM ingest.source_row")
            assert "Doe" not in json.dumps(images)
