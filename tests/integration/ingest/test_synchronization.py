"""The life of a pair, in the order in which a county lives it: each test goes on from the one before."""

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from chassis.settings import REPOSITORY
from contracts.events.ingest import KEY_HEADER, MASK, ChangeEnvelope
from services.ingest import pair_queries, synchronize
from services.ingest.source_probe import probe
from services.ingest.synthetic.county import apply_changes
from tests.support.sync_jobs import SyncBench

CANONICAL = ("parcel", "owner", "sale", "neighborhood", "source_row", "quarantine")


def planted_dirt(legacy: Any) -> set[tuple[str, str, str]]:
    return {(d.table, "/".join(map(str, d.key.values())), d.rule.value) for d in legacy.truth.dirty_rows}


async def quarantined(bench: SyncBench) -> set[tuple[str, str, str]]:
    rows = await bench.fetch("SELECT source_table, key, rule FROM ingest.quarantine_v1")
    return {(row["source_table"], row["key"], row["rule"]) for row in rows}


async def record(bench: SyncBench) -> dict[str, list[dict[str, Any]]]:
    """Everything that ingest holds, without the times and operations at which it was seen.

    Of landed rows only those that the pair has come to: an open run's wait for it.
    """
    passing = {"first_seen_at", "last_seen_at", "operation_id", "updated_at"}
    landed = " WHERE created_sequence <= (SELECT max(sequence) FROM ingest.sync_pair)"
    return {
        table: [
            {name: value for name, value in row.items() if name not in passing}
            for row in await bench.fetch(
                f"SELECT * FROM ingest.{table}{landed if table == 'source_row' else ''} ORDER BY 1, 2, 3, 4"
            )
        ]
        for table in CANONICAL
    }


async def test_a_run_that_dies_before_the_end_leaves_nothing(bench: SyncBench, monkeypatch: pytest.MonkeyPatch) -> None:
    async def die(*_: Any, **__: Any) -> None:
        raise RuntimeError("the worker's end")

    with monkeypatch.context() as patch:
        patch.setattr(pair_queries, "save_operation", die)
        job = await bench.run("full")
    assert (job["status"], job["error"]["code"]) == ("failed", "internal_error")
    assert all(not rows for rows in (await record(bench)).values())
    assert await bench.said(("cdc.", "parcel.", "sync.")) == []


async def test_single_tables_wait_for_a_whole_load(bench: SyncBench) -> None:
    job = await bench.run("incremental", tables=["sale"])
    assert job["error"]["code"] == "tables_not_loaded"


async def test_the_first_load_has_every_clean_row_and_one_fact_a_table(bench: SyncBench, legacy: Any) -> None:
    job = await bench.run("full")
    assert job["status"] == "succeeded", job["error"]
    result, expected = job["result"], legacy.truth.expected
    counts = [result[f"rows_{name}"] for name in ("applied", "unchanged", "quarantined", "filtered")]
    assert result["rows_read"] == sum(counts)
    assert result["rows_quarantined"] == len(legacy.truth.dirty_rows)
    assert (result["reader"], result["facts"], result["events"]) == ("several", 0, len(result["tables"]))
    by_marker = {name for name, counts in result["tables"].items() if counts["reader"] == "rowversion"}
    assert by_marker == {"property_val", "land_detail", "imprv", "imprv_detail"}
    nameless = sum(d.rule == "parcel_number_missing" for d in legacy.truth.dirty_rows)
    assert result["parcels"] == expected.active_real_parcels - nameless
    assert result["sales"] == expected.clean_sales
    told = await bench.said(("cdc.", "parcel.", "sale.", "owner.", "sync."))
    said = [subject for subject, _ in told if "certificate" not in subject]
    assert said.count(f"sync.snapshot_completed.{bench.county}") == len(result["tables"])
    assert said[-1] == f"sync.completed.{bench.county}"
    assert len(said) == len(result["tables"]) + 1


async def test_quarantine_is_exactly_the_planted_dirt(bench: SyncBench, legacy: Any) -> None:
    assert await quarantined(bench) == planted_dirt(legacy)


async def test_the_views_agree_with_the_source(bench: SyncBench, legacy: Any) -> None:
    year = legacy.truth.tax_year
    parcels = await bench.fetch("SELECT * FROM ingest.parcel_v1")
    whole = {p["parcel_id"]: p for p in parcels}
    dirty = {str(d.key.get("prop_id")) for d in legacy.truth.dirty_rows}
    chosen = legacy.value(
        "SELECT json_agg(r) FROM (SELECT v.prop_id::text AS parcel_id, assessed_val, land_hstd_val + land_non_hstd_val"
        " AS land, (SELECT sum(imprv_det_area) FROM dbo.imprv_detail d WHERE (d.prop_val_yr, d.sup_num, d.sale_id,"
        f" d.prop_id) = ({year}, v.sup_num, 0, v.prop_id) AND imprv_det_type_cd = 'MA') AS area, s.sup_num"
        " FROM dbo.prop_supp_assoc s JOIN dbo.property_val v ON (v.prop_id, v.prop_val_yr, v.sup_num) ="
        f" (s.prop_id, s.owner_tax_yr, s.sup_num) WHERE s.owner_tax_yr = {year} AND hood_cd IS NOT NULL) r"
    )
    compared = [row for row in chosen if row["parcel_id"] in whole.keys() - dirty]  # type: ignore[attr-defined]
    assert len(compared) > 280
    for row in compared:
        parcel = whole[row["parcel_id"]]
        assert (parcel["tax_year"], parcel["supplement"]) == (year, row["sup_num"])
        assert (parcel["total_value_usd"], parcel["land_value_usd"]) == (row["assessed_val"], row["land"])
        assert parcel["living_area_sqft"] == row["area"]
    located = [whole[row["parcel_id"]] for row in compared if whole[row["parcel_id"]]["geometry_wkb"]]
    assert len(located) == len(compared) - 1  # one polygon is dirty
    assert all(p["west"] < p["longitude"] < p["east"] and p["srid"] == legacy.truth.srid for p in located)
    assert max(row["sup_num"] for row in compared) == 2
    qualified = await bench.fetch("SELECT DISTINCT sale_id FROM ingest.sale_v1 WHERE is_qualified")
    assert len(qualified) == legacy.truth.expected.qualified_sales


async def test_another_county_sees_nothing(bench: SyncBench) -> None:
    async with bench.database.read("benton") as connection:
        for view in ("parcel_v1", "owner_v1", "sale_v1", "quarantine_v1", "sync_pair_v1", "sync_operation_v1"):
            assert await connection.fetchval(f"SELECT count(*) FROM ingest.{view}") == 0


@pytest.mark.parametrize("mode", ["incremental", "full"])
async def test_running_again_changes_nothing(bench: SyncBench, mode: str) -> None:
    before = await record(bench)
    await bench.forget()
    job = await bench.run(mode)
    assert (job["result"]["changes"], job["result"]["events"]) == (0, 0)
    said = [subject for subject, _ in await bench.said(("cdc.", "parcel.", "sale.", "owner.", "sync."))]
    told = [subject for subject in said if "certificate" not in subject]
    assert told == [f"sync.heartbeat.{bench.county}", f"sync.completed.{bench.county}"]
    assert await record(bench) == before


async def test_planted_changes_make_exactly_their_facts(bench: SyncBench, legacy: Any) -> None:
    await bench.forget()
    apply_changes(legacy.url, legacy.truth)
    job = await bench.run("incremental")
    expected = sorted((f.subject, f.id) for c in legacy.truth.incremental_changes for f in c.facts)
    said = [
        (subject.rsplit(".", 1)[0], body["sale_id"] if subject.startswith("sale.") else body["parcel_id"])
        for subject, body in await bench.said()
    ]
    assert sorted(said) == expected
    envelopes = await bench.said(("cdc.",))
    assert (job["result"]["facts"], job["result"]["events"]) == (len(expected), len(expected) + len(envelopes))
    assert len(envelopes) == job["result"]["changes"]
    assert await quarantined(bench) == planted_dirt(legacy)


async def test_envelopes_are_debezium_and_hide_people(bench: SyncBench) -> None:
    rows = await bench.fetch("SELECT subject, headers, body FROM chassis.outbox WHERE subject LIKE 'cdc.%'")
    assert len(rows) > 20
    for row in rows:
        body = json.loads(row["body"])
        ChangeEnvelope.model_validate({**body, "county": bench.county, "occurred_at": "2026-01-01T00:00:00Z"})
        assert set(body) == {"before", "after", "source", "op", "ts_ms", "ts_us", "ts_ns", "transaction"}
        assert row["subject"] == f"cdc.{bench.county}.{bench.pair}.dbo.{body['source']['table']}"
        image = body["after"] or body["before"]
        assert KEY_HEADER in row["headers"]
        assert image.get("file_as_name", MASK) == MASK
        assert image.get("addr_line1") in {None, MASK}
        assert {"c": (None, dict), "d": (dict, None)}.get(body["op"], (dict, dict)) == tuple(
            type(side) if side else None for side in (body["before"], body["after"])
        )


async def test_a_full_run_finds_nothing_that_the_incremental_one_missed(bench: SyncBench) -> None:
    before = await record(bench)
    await bench.forget()
    job = await bench.run("full")
    assert job["result"]["events"] == 0
    assert await bench.said() == []
    assert await record(bench) == before


async def test_people_stand_in_the_owner_table_only(bench: SyncBench, legacy: Any) -> None:
    owners = await bench.fetch("SELECT owner_id, name, mailing_address FROM ingest.owner_v1")
    confidential = legacy.value("SELECT array_agg(acct_id::text) FROM dbo.account WHERE confidential_flag = 'T'") or []
    assert all((owner["name"] is None) == (owner["owner_id"] in confidential) for owner in owners)  # type: ignore[operator]
    assert all((owner["name"] is None) == (owner["mailing_address"] is None) for owner in owners)
    names = {owner["name"] for owner in owners}
    assert len(names) > 250
    held = await record(bench) | {"owner": []}
    held["source_row"] = [row | {"personal": None} for row in held["source_row"]]
    elsewhere = json.dumps(held, default=str)
    outbox = json.dumps(await bench.fetch("SELECT subject, headers, body FROM chassis.outbox"), default=str)
    marks = {*names, *legacy.truth.never_read.values()}
    assert not [mark for mark in marks if mark and (mark in elsewhere or mark in outbox)]


async def test_a_repaired_row_leaves_quarantine_and_is_told(bench: SyncBench, legacy: Any) -> None:
    dirty = next(d for d in legacy.truth.dirty_rows if d.rule == "year_built_out_of_range")
    await bench.forget()
    legacy.execute(
        "UPDATE dbo.imprv SET actual_year_built = 1987 WHERE sale_id = 0"
        f" AND prop_id = {dirty.key['prop_id']} AND imprv_id = {dirty.key['imprv_id']}"
    )
    await bench.run("incremental")
    assert await quarantined(bench) == planted_dirt(legacy) - {
        (dirty.table, "/".join(map(str, dirty.key.values())), dirty.rule.value)
    }
    (subject, body), *others = await bench.said()
    assert (subject, others) == (f"parcel.changed.{bench.county}", [])
    assert body["after"]["year_built"] == 1987


async def test_a_row_gone_bad_keeps_its_last_good_image(bench: SyncBench, legacy: Any) -> None:
    dirty = {str(d.key.get("prop_id")) for d in legacy.truth.dirty_rows}
    parcels = await bench.fetch(
        "SELECT parcel_id, total_value_usd FROM ingest.parcel_v1 WHERE year_built > 0 AND is_active ORDER BY parcel_id"
    )
    parcel = next(p for p in parcels if p["parcel_id"] not in dirty)
    await bench.forget()
    legacy.execute(f"UPDATE dbo.property_val SET assessed_val = -1 WHERE prop_id = {parcel['parcel_id']}")
    job = await bench.run("full")
    kept = await bench.fetch("SELECT * FROM ingest.parcel_v1 WHERE parcel_id = $1", parcel["parcel_id"])
    assert kept[0]["total_value_usd"] == parcel["total_value_usd"]
    assert (job["result"]["changes"], await bench.said()) == (0, [])
    held = await bench.fetch("SELECT rule, value FROM ingest.quarantine_v1 WHERE value = '-1'")
    assert {row["rule"] for row in held} == {"value_negative"}


async def test_single_tables_leave_the_rest_as_it_is(bench: SyncBench, legacy: Any) -> None:
    sale = await bench.fetch(
        "SELECT sale_id, parcel_id FROM ingest.sale_v1 JOIN ingest.parcel_v1 USING (county, parcel_id)"
        " WHERE parcel_count = 1 AND sale_date = last_sale_date AND sale_price_usd = last_sale_price_usd"
        " ORDER BY sale_id LIMIT 1"
    )
    owners = await bench.fetch("SELECT * FROM ingest.owner_v1 ORDER BY 2, 4")
    await bench.forget()
    legacy.execute(f"UPDATE dbo.sale SET sl_price = 123456 WHERE chg_of_owner_id = {sale[0]['sale_id']}")
    job = await bench.run("incremental", tables=["sale"])
    assert "account" not in job["result"]["tables"]
    assert [subject for subject, _ in await bench.said()] == [f"sale.changed.{bench.county}"]
    assert await bench.fetch("SELECT * FROM ingest.owner_v1 ORDER BY 2, 4") == owners
    last = await bench.fetch(
        "SELECT last_sale_price_usd FROM ingest.parcel_v1 WHERE parcel_id = $1", sale[0]["parcel_id"]
    )
    assert last[0]["last_sale_price_usd"] == 123456


async def test_an_empty_read_deletes_nothing(bench: SyncBench, legacy: Any) -> None:
    before = await record(bench)
    await bench.forget()
    legacy.execute("CREATE TABLE dbo.kept AS SELECT * FROM dbo.land_detail; DELETE FROM dbo.land_detail")
    job = await bench.run("incremental")
    assert (job["status"], job["error"]["code"]) == ("failed", "empty_read")
    assert job["error"]["details"] == {"tables": ["land_detail"]}
    assert await record(bench) == before
    told = await bench.said(("sync.",))
    assert [subject for subject, _ in told] == [f"sync.brake_applied.{bench.county}"]
    legacy.execute("INSERT INTO dbo.land_detail SELECT * FROM dbo.kept; DROP TABLE dbo.kept")
    assert (await bench.run("incremental"))["result"]["events"] == 0


async def test_a_mapping_that_does_not_fit_is_refused_with_every_difference(bench: SyncBench, tmp_path: Path) -> None:
    counties = tmp_path / "counties"
    shutil.copytree(REPOSITORY / "deploy" / "counties" / bench.county, counties / bench.county)
    path = counties / bench.county / "mappings.yaml"
    text = path.read_text().replace("zoning", "zone_code").replace("zone_code: property", "zoning: property")
    path.write_text(
        text.replace("name: property_use\n", "name: property_usage\n").replace("property_use.", "property_usage.")
    )
    before = await record(bench)
    job = await SyncBench(bench.database, bench.county, bench.pair, counties_dir=counties).run("incremental")
    found = {(d["code"], d["table"], d["column"]) for d in job["error"]["details"]["differences"]}
    assert found == {
        ("mapping_column_missing", "property", "zone_code"),
        ("mapping_table_missing", "property_usage", None),
    }
    assert await record(bench) == before


async def test_a_changed_county_file_is_applied_to_what_is_there(bench: SyncBench, tmp_path: Path) -> None:
    counties = tmp_path / "counties"
    shutil.copytree(REPOSITORY / "deploy" / "counties" / bench.county, counties / bench.county)
    path = counties / bench.county / "county.yaml"
    path.write_text(path.read_text().replace('qualified_codes: ["100"]', 'qualified_codes: ["100", "400"]'))
    reviewed = await bench.fetch(
        "SELECT DISTINCT sale_id FROM ingest.sale_v1 WHERE validity_code = '400' AND sale_price_usd >= 1000"
    )
    assert reviewed
    await bench.forget()
    job = await SyncBench(bench.database, bench.county, bench.pair, counties_dir=counties).run("incremental")
    assert job["result"]["changes"] == 0
    assert {body["sale_id"] for _, body in await bench.said()} == {row["sale_id"] for row in reviewed}
    assert (await bench.run("incremental"))["result"]["events"] == len(reviewed)


async def test_a_run_overtaken_by_another_applies_nothing(bench: SyncBench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The overtaken run compared with what is no longer the state, so it must not apply its difference."""

    async def overtaken(*_: Any, **__: Any) -> None:
        connection = await bench.superuser()
        await connection.execute("UPDATE ingest.sync_pair SET fence = fence + 1, lease_owner = 'another'")
        await connection.close()

    before = await record(bench)
    with monkeypatch.context() as patch:
        patch.setattr(synchronize, "decide", overtaken)
        job = await bench.run("full")
    assert (job["status"], job["error"]["code"]) == ("failed", "pair_busy")
    assert await record(bench) == before
    assert (await bench.run("full"))["error"]["code"] == "pair_busy"
    connection = await bench.superuser()
    await connection.execute("UPDATE ingest.sync_pair SET lease_expires_at = now()")
    await connection.close()
    assert (await bench.run("incremental"))["result"]["events"] == 0


async def test_the_ledger_tells_every_run(bench: SyncBench) -> None:
    operations = {row["id"]: row for row in await bench.fetch("SELECT * FROM ingest.sync_operation_v1")}
    assert set(bench.jobs) <= set(operations)
    for row in operations.values():
        parts = ("applied", "unchanged", "quarantined", "filtered")
        assert row["rows_read"] == sum(row[f"rows_{part}"] for part in parts)
        assert (row["status"] == "succeeded") == (row["rows_read"] > 0)
    (pair,) = await bench.fetch("SELECT * FROM ingest.sync_pair_v1")
    done = [row for row in operations.values() if row["status"] == "succeeded"]
    assert pair["last_operation_id"] == max(done, key=lambda row: row["finished_at"])["id"]


async def test_a_probe_reads_no_row_and_names_what_differs(bench: SyncBench, legacy: Any) -> None:
    legacy.execute("ALTER TABLE dbo.situs RENAME COLUMN situs_city TO city")
    report = await asyncio.to_thread(probe, bench.counties_dir, bench.county, bench.pair)
    legacy.execute("ALTER TABLE dbo.situs RENAME COLUMN city TO situs_city")
    assert [d["column"] for d in report["differences"]] == ["situs_city"]
    assert report["server"]["more"]["transaction_read_only"] == "on"
    assert report["server"]["can_write"] is False
    stamped = {table["table"] for table in report["tables"] if table["rowversion_column"]}
    assert all(table["blind_spots"] for table in report["tables"])
    assert stamped == {"property_val", "land_detail", "imprv", "imprv_detail"}


@pytest.mark.parametrize(
    ("pair", "environment", "code"),
    [
        ("no_such_pair", None, "pair_unknown"),
        ("synthetic_wa_pacs", "", "source_not_configured"),
        ("synthetic_wa_pacs", "postgresql://127.0.0.1:1/none", "source_unavailable"),
    ],
)
async def test_a_source_out_of_reach_is_said_plainly(
    bench: SyncBench, monkeypatch: pytest.MonkeyPatch, pair: str, environment: str | None, code: str
) -> None:
    if environment is not None:
        monkeypatch.setenv("TERRAFUSION_SOURCE_SYNTHETIC_WA_PACS_URL", environment)
    job = await SyncBench(bench.database, bench.county, pair).run("incremental")
    assert (job["status"], job["error"]["code"]) == ("failed", code)
