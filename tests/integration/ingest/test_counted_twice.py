"""A table whose rows a run reads twice, by their marker and as a whole: its certificate counts them once."""

from pathlib import Path

from tests.support import servers
from tests.support.small_source import NO_BRAKE, small_pair, small_source

DDL = """
CREATE TABLE dbo.entry (entry_no integer NOT NULL, lot_id integer, amount numeric(14,2), note varchar(200),
  number varchar(50), "tsRowVersion" bytea NOT NULL);
CREATE TRIGGER stamp_rowversion BEFORE INSERT OR UPDATE ON dbo.entry
  FOR EACH ROW EXECUTE FUNCTION dbo.stamp_rowversion();
INSERT INTO dbo.entry SELECT n, n, CASE WHEN n % 5 = 0 THEN -1 ELSE n END, 'x', n::text FROM generate_series(1, 50) n;
"""
ENTRY = {
    "name": "entry",
    "key": ["entry_no"],
    "columns": {"entry_no": "integer", "number": "text", "amount": "decimal", "note": "text"},
    "links": {"parcel_id": "entry_no"},
    "reader": "rowversion",
    "changed_column": "tsRowVersion",
    "checks": [{"rule": "value_negative", "column": "amount", "minimum": 0}],
}


async def test_rows_in_quarantine_that_are_read_twice_count_once(
    postgres: servers.DatabaseServer, database_url: str, tmp_path: Path
) -> None:
    pair = small_pair(ENTRY, following=NO_BRAKE)
    async with small_source(postgres, database_url, tmp_path, ddl=DDL, pair=pair) as small:
        await small.follow()
        small.execute(
            "UPDATE dbo.entry SET note = 'y' WHERE entry_no <= 10", "DELETE FROM dbo.entry WHERE entry_no = 50"
        )
        assert (await small.follow())["changes"] == 8
        issued = await small.bench.fetch("SELECT holds, document FROM ingest.certificate_v1 ORDER BY sequence")
        assert [row["holds"] for row in issued] == [True, True], issued[-1]["document"]
        assert len(await small.landed("entry")) == 40
