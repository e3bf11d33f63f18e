"""Posts an approved run: writes the value file for the legacy system, and keeps what it says to find it again."""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import yaml
from pydantic import ValidationError

from chassis.counties import read_yaml
from chassis.errors import ConflictError, PermanentError
from chassis.jobs import RunningJob
from contracts.api.jobs import Artifact
from contracts.api.valuation import ValuationParameters
from contracts.events.valuation import ValuationRollPosted
from contracts.mapping import CountyMappings
from contracts.value_file import ValueFileLayout
from services.valuation import decision_queries, run_queries
from services.valuation.deciding import require_person, require_run
from services.valuation.domain.overrides import Value, effective
from services.valuation.domain.posting import RollLine, Stamps, ValueFile, write_value_file

_MEDIA_TYPES = {"csv": "text/csv", "fixed": "text/plain"}
_SUFFIXES = {"csv": "csv", "fixed": "txt"}


async def post(job: RunningJob, parameters: ValuationParameters) -> None:
    """Make the value file of an approved run, once for each approval."""
    require_person(job)
    assert parameters.run_id is not None
    pair, layout = await asyncio.to_thread(read_layout, job.tools.counties_dir, job.county)
    async with job.database.read(job.county) as connection:
        run = await require_run(connection, job.county, parameters.run_id)
        approved = await decision_queries.read_approved(connection, job.county, parameters.run_id)
        if approved is None:
            raise ConflictError("run_not_approved", f"run {parameters.run_id} has not been approved")
        await _require_unposted(connection, job.county, approved["id"])
        rows = await decision_queries.read_roll(connection, job.county, parameters.run_id, approved["id"])
        snapshot = await run_queries.read_snapshot(connection, job.county)
    await job.progress(0, len(rows), "parcels", "writing the value file")
    stamps = Stamps(run["run_id"], run["tax_year"], run["valuation_date"])
    written = await job.compute(_write, layout, rows, stamps)
    name = f"values-{job.county}-{run['tax_year']}-{str(run['run_id'])[-12:]}.{_SUFFIXES[layout.format]}"
    artifact = await job.store(name, written.content, media_type=_MEDIA_TYPES[layout.format])
    posting = {
        **_totals(written),
        "id": job.id,
        "run_id": run["run_id"],
        "promotion_id": approved["id"],
        "pair": pair,
        "sequence": next((known["sequence"] for known in snapshot if known["pair"] == pair), None),
        "tax_year": run["tax_year"],
        "layout": layout.model_dump(mode="json"),
        "comes_back_as": layout.comes_back_as,
        "file_name": name,
        "sha256": artifact.sha256,
        "bytes": artifact.bytes,
        "left_out": written.left_out,
        "posted_by": job.requested_by,
    }
    await _store_manifest(job, posting, run, approved["id"])
    await _complete(job, posting, written, artifact)


def read_layout(counties_dir: Path, county: str) -> tuple[str, ValueFileLayout]:
    """The county's primary pair and the layout that its mapping says, else the documented CSV.

    Raises:
        PermanentError: `pair_missing` or `mapping_invalid`.
    """
    path = counties_dir / county / "mappings.yaml"
    try:
        pairs = CountyMappings.model_validate(read_yaml(path)).pairs if path.exists() else ()
    except (ValidationError, yaml.YAMLError) as error:
        raise PermanentError(
            "mapping_invalid", f"the mappings of {county} are not valid: `terrafusion county check` says why"
        ) from error
    primary = next((pair for pair in pairs if pair.role == "primary"), None)
    if primary is None:
        raise PermanentError("pair_missing", f"{county} follows no legacy system that values could be posted to")
    return primary.pair, primary.value_file


async def _require_unposted(connection: Any, county: str, promotion_id: UUID) -> None:
    known = await decision_queries.read_posting_of(connection, county, promotion_id)
    if known is not None:
        raise ConflictError("already_posted", "the approved run was posted before", details={"posting_id": str(known)})


def _write(layout: ValueFileLayout, rows: list[asyncpg.Record], stamps: Stamps) -> ValueFile:
    return write_value_file(layout, (_line(row) for row in rows), stamps)


def _line(row: asyncpg.Record) -> RollLine:
    model = None if row["value_usd"] is None else Value(row["value_usd"], row["land_value_usd"])
    person = None if row["override_id"] is None else Value(row["override_usd"], row["override_land_usd"])
    counts = effective(model, person)
    known = (row["parcel_id"], row["parcel_number"], row["supplement"])
    return RollLine(*known, counts, row["override_id"], is_active=row["is_active"])


def _totals(written: ValueFile) -> dict[str, Any]:
    sums = written.totals
    return {
        "parcels": len(written.posted),
        "total_value_usd": sums["value_usd"],
        "land_value_usd": sums["land_value_usd"],
        "improvement_value_usd": sums["improvement_value_usd"],
    }


async def _store_manifest(job: RunningJob, posting: dict[str, Any], run: asyncpg.Record, promotion_id: UUID) -> None:
    """What the file is, beside it: checksum, totals, and the stamps of the run."""
    told = {name: value for name, value in posting.items() if name not in {"posted_by", "id"}}
    stamps = {
        name: run[name]
        for name in ("model", "valuation_date", "code_version", "snapshot", "input_sha256", "values_sha256")
    }
    manifest = {**told, **stamps, "county": job.county, "posting_id": job.id, "promotion_id": promotion_id}
    content = json.dumps(manifest, indent=1, sort_keys=True, default=str).encode()
    await job.store(f"{posting['file_name']}.manifest.json", content, media_type="application/json")


async def _complete(job: RunningJob, posting: dict[str, Any], written: ValueFile, artifact: Artifact) -> None:
    told = {name: posting[name] for name in ("run_id", "promotion_id", "pair", "file_name", "sha256", "parcels")}
    totals = {name: value for name, value in _totals(written).items() if name != "parcels"}
    result = {"posting_id": job.id, **told, **totals, "parcels_left_out": len(written.left_out)}
    async with job.completing(json.loads(json.dumps(result, default=str))) as unit:
        await decision_queries.lock_decisions(unit.connection, job.county)
        await _require_unposted(unit.connection, job.county, posting["promotion_id"])
        await decision_queries.save_posting(unit.connection, job.county, posting)
        await decision_queries.save_posted(unit.connection, job.county, job.id, written.posted)
        await decision_queries.save_decision(
            unit.connection, job.county, job.id, action="roll_posted", by=job.requested_by, run_id=posting["run_id"]
        )
        await unit.publish(
            ValuationRollPosted(
                county=job.county,
                occurred_at=datetime.now(UTC),
                tax_year=posting["tax_year"],
                job_id=job.id,
                posting_id=job.id,
                run_id=posting["run_id"],
                pair=posting["pair"],
                file_name=artifact.name,
                sha256=artifact.sha256,
                parcels=posting["parcels"],
                parcels_left_out=len(written.left_out),
                total_value_usd=posting["total_value_usd"],
            )
        )
