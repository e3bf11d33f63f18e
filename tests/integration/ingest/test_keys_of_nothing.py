"""A key may be the empty text, and another row may have none: in our spelling both are alike."""

from pathlib import Path
from typing import Any

from tests.support import servers
from tests.support.small_source import LOTS, NO_BRAKE, lot_table, small_pair, small_source

LABELS = "CREATE TABLE dbo.label (label_cd varchar(9), meaning varchar(9));"


async def test_a_row_with_an_empty_key_outlives_one_without_a_key(
    postgres: servers.DatabaseServer, migrated_template: str, tmp_path: Path
) -> None:
    label: dict[str, Any] = {
        "name": "label",
        "key": ["label_cd"],
        "columns": {"label_cd": "text", "meaning": "text"},
    }
    pair = small_pair(lot_table(), label, following=NO_BRAKE)
    with servers.database(postgres, template=migrated_template) as (_, database_url):
        async with small_source(postgres, database_url, tmp_path, ddl=LOTS + LABELS, pair=pair) as small:
            small.execute("INSERT INTO dbo.label VALUES ('', 'none'), ('A', 'a')")
            await small.follow()
            for statement in ("INSERT INTO dbo.label VALUES (NULL, 'x')", "DELETE FROM dbo.label WHERE meaning = 'x'"):
                small.execute(statement)
                await small.follow()
                assert [row["label_cd"] for row in await small.landed("label")] == ["", "A"]
            assert await small.bench.fetch("SELECT key FROM ingest.quarantine") == []
            await small.follow("verify")
