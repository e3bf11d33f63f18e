"""Runs that are killed, held, steered or asked for by hand; each test goes on from the one before."""

from typing import Any

import pytest

from contracts.api.sync import SyncParameters
from services.ingest import reading
from services.ingest.landing.stage import Stage
from tests.support.sync_jobs import SyncBench

SOURCE_ROWS = "SELECT source_table, key, digest, image, is_filtered FROM ingest.source_row ORDER BY 1, 2"


async def landed(bench: SyncBench) -> list[dict[str, Any]]:
    return await bench.fetch(SOURCE_ROWS)


async def status(bench: SyncBench) -> str:
    (row,) = await bench.fetch("SELECT status FROM ingest.sync_pair")
    return str(row["status"])


async def progress(bench: SyncBench) -> list[dict[str, Any]]:
    return await bench.fetch(
        "SELECT run_id, source_table, batch FROM ingest.staged_progress ORDER BY staged_at, source_table, batch"
    )


class KilledError(Exception):
    """Ends a run as a crash would: nothing is tidied up."""


async def test_a_killed_run_goes_on_after_its_last_batch(bench: SyncBench, monkeypatch: pytest.MonkeyPatch) -> None:
    finish, left = Stage.finish, 7

    async def dying(self: Stage, *arguments: Any) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise KilledError
        await finish(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Stage, "finish", dying)
        job = await bench.run("full")
    assert job["error"]["code"] == "internal_error"
    before = await progress(bench)
    assert len(before) == 7
    (run,) = await bench.fetch("SELECT id, phase FROM ingest.sync_run")

    seen: list[Any] = []
    with monkeypatch.context() as patch:
        patch.setattr(reading.Reading, "_save", _noting(reading.Reading._save, seen, bench))
        job = await bench.run("full")
    assert job["status"] == "succeeded", job["error"]
    assert seen[0][:7] == before
    assert {row["run_id"] for row in seen[0]} == {run["id"]}
    assert await bench.fetch("SELECT * FROM ingest.sync_run") == []
    assert await progress(bench) == []
    counts = job["result"]["tables"]["property"]
    (kept,) = await bench.fetch("SELECT count(*) AS n FROM ingest.source_row WHERE source_table = 'property'")
    assert counts["rows_read"] == kept["n"] + counts["rows_quarantined"]


def _noting(save: Any, seen: list[Any], bench: SyncBench) -> Any:
    async def noted(self: Any) -> None:
        seen.append(await progress(bench))
        await save(self)

    return noted


async def test_a_parcel_that_comes_into_scope_brings_its_rows(bench: SyncBench, legacy: Any) -> None:
    (out,) = await bench.fetch(
        "SELECT parcel_id FROM ingest.source_row WHERE is_filtered AND source_table = 'property' ORDER BY 1 LIMIT 1"
    )
    parcel = out["parcel_id"]
    kind = legacy.value(f"SELECT prop_type_cd FROM dbo.property WHERE prop_id = {parcel}")
    of_parcel = "SELECT source_table, key FROM ingest.source_row WHERE parcel_id = $1 ORDER BY 1, 2"
    before = await bench.fetch(of_parcel, parcel)
    assert {row["source_table"] for row in before} == {"property"}
    await bench.forget()
    legacy.execute(f"UPDATE dbo.property SET prop_type_cd = 'R', geo_id = 'in scope' WHERE prop_id = {parcel}")
    job = await bench.run("incremental")
    assert job["status"] == "succeeded", job["error"]
    inside = await bench.fetch(of_parcel, parcel)
    assert {"property", "prop_supp_assoc", "property_val"} <= {row["source_table"] for row in inside}
    told = [body for subject, body in await bench.said(("cdc.",)) if subject.endswith(".property")]
    assert [(body["op"], body["before"]) for body in told] == [("c", None)]

    await bench.forget()
    legacy.execute(f"UPDATE dbo.property SET prop_type_cd = '{kind}' WHERE prop_id = {parcel}")
    await bench.run("incremental")
    assert await bench.fetch(of_parcel, parcel) == before
    told = [body for subject, body in await bench.said(("cdc.",)) if subject.endswith(".property")]
    assert [(body["op"], body["after"]) for body in told] == [("d", None)]


async def test_a_reference_that_vanishes_holds_its_rows_until_it_is_back(bench: SyncBench, legacy: Any) -> None:
    code = legacy.value(
        "SELECT property_use_cd FROM dbo.property_val JOIN dbo.property_use USING (property_use_cd)"
        " GROUP BY 1 ORDER BY count(*), 1 LIMIT 1"
    )
    unknown = "SELECT count(*) AS n FROM ingest.quarantine WHERE rule = 'use_code_unknown' AND value = $1"
    before = await landed(bench)
    legacy.execute(
        f"CREATE TABLE dbo.kept AS SELECT * FROM dbo.property_use WHERE property_use_cd = '{code}';"
        f" DELETE FROM dbo.property_use WHERE property_use_cd = '{code}'"
    )
    await bench.run("incremental")
    assert (await bench.fetch(unknown, code))[0]["n"] > 0
    assert [row for row in before if row["source_table"] == "property_val"] == [
        row for row in await landed(bench) if row["source_table"] == "property_val"
    ]
    legacy.execute("INSERT INTO dbo.property_use SELECT * FROM dbo.kept; DROP TABLE dbo.kept")
    await bench.run("incremental")
    assert (await bench.fetch(unknown, code))[0]["n"] == 0
    assert await landed(bench) == before


async def test_a_mass_deletion_waits_for_a_no(bench: SyncBench, legacy: Any) -> None:
    before = await landed(bench)
    await bench.forget()
    legacy.execute(
        "CREATE TABLE dbo.kept AS SELECT * FROM dbo.land_detail WHERE prop_id % 2 = 0;"
        " DELETE FROM dbo.land_detail WHERE prop_id % 2 = 0"
    )
    job = await bench.run("incremental")
    assert job["error"]["code"] == "approval_required"
    assert await landed(bench) == before
    assert await status(bench) == "held"
    ((subject, told),) = await bench.said(("sync.",))
    assert (subject, told["reason"]) == (f"sync.brake_applied.{bench.county}", "mass_delete")
    assert told["approval_id"] == job["error"]["details"]["approval_id"]
    assert (await bench.run("incremental"))["error"]["code"] == "approval_required"

    no = await bench.run("reject", approval_id=told["approval_id"])
    assert no["status"] == "succeeded", no["error"]
    assert (await bench.run("reject", approval_id=told["approval_id"]))["error"]["code"] == ("approval_decided")
    assert (await landed(bench), await status(bench)) == (before, "active")


async def test_a_mass_deletion_waits_for_a_yes(bench: SyncBench, legacy: Any) -> None:
    before = await landed(bench)
    job = await bench.run("incremental")
    approval = job["error"]["details"]["approval_id"]
    yes = await bench.run("approve", approval_id=approval)
    assert yes["status"] == "succeeded", yes["error"]
    (decided,) = await bench.fetch("SELECT status, decided_by FROM ingest.approval WHERE id = $1", approval)
    assert decided == {"status": "approved", "decided_by": "test"}
    gone = len(before) - len(await landed(bench))
    assert yes["result"]["tables"]["land_detail"]["changes"] == gone > 100
    legacy.execute("INSERT INTO dbo.land_detail SELECT * FROM dbo.kept; DROP TABLE dbo.kept")
    await bench.run("incremental")
    assert await landed(bench) == before
    assert await status(bench) == "active"


async def test_an_empty_table_goes_only_by_its_name(bench: SyncBench, legacy: Any) -> None:
    legacy.execute("CREATE TABLE dbo.kept AS SELECT * FROM dbo.land_detail; DELETE FROM dbo.land_detail")
    assert (await bench.run("incremental"))["error"]["code"] == "empty_read"
    assert await status(bench) == "active"
    job = await bench.run("snapshot", tables=["land_detail"])
    approval = job["error"]["details"]["approval_id"]
    refused = await bench.run("approve", approval_id=approval)
    assert refused["error"]["code"] == "approval_needs_tables"
    yes = await bench.run("approve", approval_id=approval, tables=["land_detail"])
    assert yes["status"] == "succeeded", yes["error"]
    assert [row for row in await landed(bench) if row["source_table"] == "land_detail"] == []
    legacy.execute("INSERT INTO dbo.land_detail SELECT * FROM dbo.kept; DROP TABLE dbo.kept")
    assert (await bench.run("incremental"))["status"] == "succeeded"


async def test_a_paused_pair_and_a_paused_table_are_left_alone(bench: SyncBench, legacy: Any) -> None:
    before = await landed(bench)
    assert (await bench.run("pause"))["status"] == "succeeded"
    assert (await bench.run("incremental"))["error"]["code"] == "pair_paused"
    assert (await bench.run("resume"))["status"] == "succeeded"
    await bench.run("pause", tables=["situs"])
    legacy.execute("UPDATE dbo.situs SET situs_street = 'PAUSED'")
    job = await bench.run("incremental")
    assert "situs" not in job["result"]["tables"]
    assert await landed(bench) == before
    (parcel,) = await bench.fetch(
        "SELECT key, split_part(key, '/', 1) AS id, split_part(key, '/', 2) AS situs FROM ingest.source_row"
        " WHERE source_table = 'situs' ORDER BY key LIMIT 1"
    )
    await bench.run("resume", tables=["situs"])
    job = await bench.run("snapshot", tables=["situs"], keys=[[parcel["id"], parcel["situs"]]])
    assert job["result"]["tables"]["situs"]["changes"] == 1, job
    changed = [row["key"] for row in await landed(bench) if "PAUSED" in row["image"]]
    assert changed == [parcel["key"]]
    job = await bench.run("snapshot", tables=["situs"], where={"prop_id": [int(parcel["id"])]})
    assert job["result"]["changes"] == 0
    job = await bench.run("incremental")
    assert job["result"]["tables"]["situs"]["changes"] == legacy.value("SELECT count(*) FROM dbo.situs") - 1


async def test_an_added_column_is_told_and_a_lost_one_stops_its_table(bench: SyncBench, legacy: Any) -> None:
    await bench.forget()
    legacy.execute(
        "ALTER TABLE dbo.situs ADD COLUMN note text;"
        " ALTER TABLE dbo.address ALTER addr_line2 TYPE varchar(4) USING left(addr_line2, 4)"
    )
    job = await bench.run("incremental")
    assert job["status"] == "succeeded", job["error"]
    assert "situs" in job["result"]["tables"]
    assert "address" not in job["result"]["tables"]
    said = await bench.said(("sync.schema_changed", "sync.table_stopped"))
    assert [body["tableChanges"][0]["type"] for subject, body in said if "schema" in subject] == ["ALTER", "ALTER"]
    assert [body["code"] for subject, body in said if "stopped" in subject] == ["mapping_column_narrowed"]
    await bench.forget()
    await bench.run("incremental")
    assert await bench.said(("sync.schema_changed", "sync.table_stopped")) == []
    assert (await bench.run("resume", tables=["address"]))["status"] == "succeeded"
    job = await bench.run("incremental")
    assert "address" in job["result"]["tables"]


async def test_modes_need_what_they_need() -> None:
    assert SyncParameters(pair="a_b", mode="pause").tables is None
    with pytest.raises(ValueError, match="approve needs approval_id"):
        SyncParameters(pair="a_b", mode="approve")
