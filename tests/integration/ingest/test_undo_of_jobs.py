"""T44: runs of a real source are undone by jobs, and a resumed pair brings back exactly what was undone."""

import json
from typing import Any

from tests.integration.ingest.conftest import LegacySystem
from tests.support.sync_jobs import SyncBench

TABLES = ("source_row", "parcel", "owner", "sale", "neighborhood")


async def state(bench: SyncBench, *, is_landed_exactly: bool = True) -> dict[str, list[Any]]:
    """All that is landed and recorded, without when it was written and, where asked, by which run."""
    left_out = ["updated_at", *([] if is_landed_exactly else ["sequence", "created_sequence", "range_number"])]
    found = {}
    for table in TABLES:
        rows = await bench.fetch(f"SELECT to_jsonb(t) - $1::text[] AS row FROM ingest.{table} t", left_out)
        found[table] = sorted((row["row"] for row in rows), key=json.dumps)
    return found


async def tokens(bench: SyncBench) -> dict[str, str | None]:
    """How far each table was read."""
    rows = await bench.fetch("SELECT source_table, token FROM ingest.sync_table")
    return {row["source_table"]: row["token"] for row in rows}


async def tokens_before(bench: SyncBench, operation: Any) -> dict[str, str | None]:
    """How far each table had been read before an operation, as the ledger has it."""
    (row,) = await bench.fetch("SELECT details FROM ingest.sync_operation WHERE id = $1", operation["id"])
    tables = row["details"]["tables"].items()
    return {name: counts["token_before"] for name, counts in tables if "token_before" in counts}


async def test_loads_and_edits_are_undone_and_come_back(bench: SyncBench, legacy: LegacySystem) -> None:
    loaded = await bench.run("full")
    assert loaded["status"] == "succeeded", loaded["error"]
    first = await state(bench)
    assert first["parcel"]
    read_to = await tokens(bench)
    assert read_to["property_val"] is not None

    legacy.execute("UPDATE dbo.property_val SET assessed_val = assessed_val + 1000 WHERE prop_id % 50 = 0")
    legacy.execute("DELETE FROM dbo.situs WHERE prop_id % 90 = 1")
    legacy.execute("UPDATE dbo.account SET file_as_name = 'EXAMPLE' WHERE acct_id % 70 = 0")
    edited = await bench.run("incremental")
    assert (edited["status"], edited["result"]["changes"] > 3) == ("succeeded", True), edited["error"]
    after_edit = await state(bench, is_landed_exactly=False)
    assert (await tokens(bench))["property_val"] != read_to["property_val"]
    assert await tokens_before(bench, loaded) == {}
    assert await tokens_before(bench, edited) == read_to

    undone = await bench.run("undo", operation_id=str(edited["id"]))
    assert undone["status"] == "succeeded", undone["error"]
    assert undone["result"]["rows"] == edited["result"]["changes"]
    assert await state(bench) == first
    assert await tokens(bench) == read_to

    held = await bench.run("incremental")
    assert await state(bench) == first, held

    resumed = await bench.run("resume")
    assert resumed["status"] == "succeeded", resumed["error"]
    again = await bench.run("incremental")
    assert (again["status"], again["result"]["changes"]) == ("succeeded", edited["result"]["changes"]), again
    assert await state(bench, is_landed_exactly=False) == after_edit

    refused = await bench.run("undo", operation_id=str(loaded["id"]))
    assert (refused["status"], refused["error"]["code"]) == ("failed", "undo_touched_later")
    assert await state(bench, is_landed_exactly=False) == after_edit

    emptied = await bench.run("undo", operation_id=str(loaded["id"]), cascade=True)
    assert emptied["status"] == "succeeded", emptied["error"]
    assert all(rows == [] for rows in (await state(bench)).values())

    await bench.run("resume")
    reloaded = await bench.run("incremental")
    assert reloaded["status"] == "succeeded", reloaded["error"]
    assert await state(bench, is_landed_exactly=False) == after_edit
