"""One run of a pair: read what changed, decide, apply; a killed run goes on where it was."""

import asyncio
import time
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from chassis.database import UnitOfWork
from chassis.errors import PermanentError
from chassis.jobs import RunningJob
from contracts.api.sync import SyncParameters
from contracts.mapping import Pair
from services.ingest import pair_queries, runs
from services.ingest.deciding import Counts, decide
from services.ingest.domain.certificate import SourceSide
from services.ingest.landing.apply import apply
from services.ingest.landing.intake import Loop
from services.ingest.landing.merge import analyze, settle
from services.ingest.leases import Lease, leased
from services.ingest.reading import Reading
from services.ingest.runs import OpenRun

Tables = Mapping[str, Mapping[str, Any]]
ANALYZED_ROWS = 10_000
"""So many changes mislead a planner that does not know of them yet."""


async def synchronize(job: RunningJob, pair: Pair, parameters: SyncParameters) -> None:
    """Brings the record to what the source says; all of it or nothing.

    Raises:
        PermanentError: `mapping_…`, `source_not_configured`, `personal_key_missing`, `empty_read`, `approval_required`,
            `table_unknown`, `tables_not_loaded`, `pair_paused`.
        TransientError: `source_unavailable`, `pair_busy`.
    """
    started = time.monotonic()
    await runs.require_free(job, pair)
    async with leased(job, pair) as lease:
        opened, tables, sides = await _read(job, pair, parameters, lease)
        counts = await _settled(job, lease, opened, tables)
        chosen = {name for name, read in tables.items() if read["is_chosen"]}
        await decide(job, lease, opened, counts, chosen)
        await job.progress(len(tables), len(tables) + 1, "tables", "applying")
        await apply(job, lease, opened, tables=tables, counts=counts, started=started, sides=sides)


async def approve(job: RunningJob, pair: Pair, parameters: SyncParameters) -> None:
    """Apply the run that a brake holds. That a table is empty has to be said by its name.

    Raises:
        PermanentError: `approval_unknown`, `approval_decided`, `approval_outdated`, `approval_needs_tables`.
    """
    assert parameters.approval_id is not None
    started = time.monotonic()
    async with leased(job, pair) as lease:
        approval = await _pending(job, pair, parameters.approval_id)
        emptied = {found["table"] for found in approval["details"]["tables"] if found["reason"] == "empty_read"}
        if missing := sorted(emptied - set(parameters.tables or ())):
            raise PermanentError(
                "approval_needs_tables",
                f"{', '.join(missing)} was read empty: approving that needs the tables by name",
                details={"tables": missing},
            )
        opened = await runs.held_run(job, pair, parameters.approval_id)
        tables = await _tables(job, pair)
        counts = await _count(job, opened, tables)
        await apply(
            job, lease, opened, tables=tables, counts=counts, started=started, approval_id=parameters.approval_id
        )


async def reject(job: RunningJob, pair: Pair, parameters: SyncParameters) -> None:
    """Throw away the run that a brake holds, and let the pair go on.

    Raises:
        PermanentError: `approval_unknown`, `approval_decided`.
    """
    assert parameters.approval_id is not None
    async with leased(job, pair) as lease:
        await _pending(job, pair, parameters.approval_id)
        async with job.completing({"pair": pair.pair, "rejected": str(parameters.approval_id)}) as unit:
            await lease.hold(unit)
            await _forget_held(unit, pair, parameters.approval_id, by=job.requested_by)


async def _forget_held(unit: UnitOfWork, pair: Pair, approval_id: UUID, *, by: str) -> None:
    connection, county = unit.connection, unit.county
    await pair_queries.decide_approval(connection, county, approval_id, status="rejected", by=by)
    run = await pair_queries.read_run(connection, county, pair.pair)
    if run is not None:
        await pair_queries.end_run(connection, county, pair.pair, sequence=run["sequence"])
    await pair_queries.set_pair_status(connection, county, pair.pair, status="active")


async def _pending(job: RunningJob, pair: Pair, approval_id: UUID) -> Mapping[str, Any]:
    async with job.database.read(job.county) as connection:
        approval = await pair_queries.read_approval(connection, job.county, pair.pair, approval_id)
    if approval is None:
        raise PermanentError("approval_unknown", f"{pair.pair} has nothing of that id to decide")
    if approval["status"] != "pending":
        raise PermanentError("approval_decided", f"it was {approval['status']} already")
    return approval


async def _read(
    job: RunningJob, pair: Pair, parameters: SyncParameters, lease: Lease
) -> tuple[OpenRun, dict[str, Mapping[str, Any]], Mapping[str, SourceSide]]:
    loop = Loop(asyncio.get_running_loop())
    reading = Reading(job, pair, parameters, lease=lease, loop=loop)
    opened = await job.compute(reading.work)
    return opened, {name: read.to_dict() for name, read in reading.reads.items()}, reading.sides


async def _tables(job: RunningJob, pair: Pair) -> dict[str, Mapping[str, Any]]:
    async with job.database.read(job.county) as connection:
        run = await pair_queries.read_run(connection, job.county, pair.pair)
    return dict(run["details"]["tables"]) if run else {}


async def _settled(job: RunningJob, lease: Lease, opened: OpenRun, tables: Tables) -> dict[str, Counts]:
    async with job.database.begin(job.county) as unit:
        await lease.hold(unit)
        await runs.require_stage(unit.connection, opened.run)
        await settle(unit.connection, opened.run)
    counts = await _count(job, opened, tables)
    if sum(count.changes for count in counts.values()) >= ANALYZED_ROWS:
        async with job.database.begin(job.county) as unit:
            await analyze(unit.connection)
    return counts


async def _count(job: RunningJob, opened: OpenRun, tables: Tables) -> dict[str, Counts]:
    """What the run does to each table."""
    run, county, pair = opened.run, job.county, opened.run.pair.pair
    async with job.database.read(county) as connection:
        staged = await pair_queries.count_staged(connection, county, pair, run_id=run.run_id, sequence=run.sequence)
        batches = await pair_queries.count_batches(connection, county, pair, run_id=run.run_id)
        first = [name for name, read in tables.items() if read["is_first"]]
        created = await pair_queries.count_first(connection, county, pair, sequence=run.sequence, tables=first)
    found: dict[str, dict[str, int]] = {
        name: {"landed": opened.known[name]["rows"] if name in opened.known else 0, "rows_compared": read["rows_idle"]}
        for name, read in tables.items()
    }
    for row in staged:
        if row["source_table"] in found:
            found[row["source_table"]] |= {name: row[name] for name in ("created", "updated", "deleted", "landed")}
    for name, rows in created.items():
        found[name] |= {"created": rows, "landed": 0}
    for row in batches:
        if row["source_table"] in found:
            compared = found[row["source_table"]]["rows_compared"] + row["rows_compared"]
            names = ("rows_read", "rows_quarantined", "rows_filtered")
            found[row["source_table"]] |= {name: row[name] for name in names} | {"rows_compared": compared}
    return {name: Counts(**values) for name, values in found.items()}
