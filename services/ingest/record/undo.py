"""Takes a run back: rows, record and what was told of it; the pair is then held until a person says go on."""

import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from chassis.database import UnitOfWork
from chassis.errors import ConflictError, NotFoundError, TransientError
from chassis.jobs import RunningJob
from contracts.api.sync import SyncParameters
from contracts.county import County
from contracts.events.ingest import SyncUndone
from contracts.mapping import Link, Pair, WorkingYear
from services.ingest import pair_queries
from services.ingest.domain.envelopes import Run
from services.ingest.leases import LEASE, Lease, leased
from services.ingest.record import undo_queries as queries
from services.ingest.record.canonical import Renewed, renew
from services.ingest.record.telling import Told, about, tell_fact, tell_rows


async def undo(job: RunningJob, pair: Pair, parameters: SyncParameters) -> None:
    """Does what a job of mode `undo` asks, all of it or nothing.

    A pair that a person paused may be undone all the same.

    Raises:
        NotFoundError: `operation_unknown`, `pair_not_synchronized`.
        ConflictError: `operation_undone`, `undo_touched_later` with the later operations.
        TransientError: `pair_busy`: a run has the pair.
    """
    assert parameters.operation_id is not None
    started = time.monotonic()
    await job.progress(0, 1, "operations", "undoing")
    result: dict[str, Any] = {}
    async with leased(job, pair) as lease, job.completing(result) as unit:
        await _hold(unit, lease)
        result |= await take_back(
            unit,
            pair,
            parameters.operation_id,
            county_file=job.county_file,
            by=job.id,
            cascade=parameters.cascade,
            reason=parameters.reason,
        )
        result["seconds"] = round(time.monotonic() - started, 3)


async def _hold(unit: UnitOfWork, lease: Lease) -> None:
    status = await pair_queries.hold_lease(unit.connection, lease.county, lease.pair, fence=lease.fence, lease=LEASE)
    if status is None:
        raise TransientError("pair_busy", f"another run has taken {lease.pair} over")


async def take_back(
    unit: UnitOfWork,
    pair: Pair,
    operation_id: UUID,
    *,
    county_file: County,
    by: UUID,
    cascade: bool = False,
    reason: str | None = None,
) -> dict[str, Any]:
    """Restores what was before an operation, in the caller's transaction; returns what came of it."""
    connection, county = unit.connection, unit.county
    known = await queries.lock_pair(connection, county, pair.pair)
    if known is None:
        raise NotFoundError("pair_not_synchronized", f"nothing was ever applied of the pair {pair.pair}")
    undone = await _undone(unit, pair, operation_id, cascade=cascade)
    sequences = list(undone)
    run = Run(
        county, pair, "", known["sequence"] + 1, datetime.now(UTC), by, by, known["working_year"] or 0, mode="undo"
    )
    await queries.drop_open_run(connection, county, pair.pair)
    await queries.find_targets(connection, county, pair.pair, sequences=sequences)
    rows = await queries.keep_before(connection, run)
    await queries.forget_ranges(connection, run)
    await queries.restore_rows(connection, county, pair.pair)
    await queries.read_again_where_rules_differ(
        connection, county, pair.pair, sequences=sequences, rules=known["rules"]
    )
    await queries.put_tokens_back(connection, county, pair.pair, sequences=sequences)
    loads = await queries.undone_loads(connection, county, pair.pair)
    run = await _in_landed_years(unit, run)
    renewed = await renew(unit, run, is_whole=bool(loads), county_file=county_file)
    await _forget_layers(unit, run)
    events = renewed.facts + await _tell(unit, run, known["reader"], loads)
    told = _undone_fact(run, list(undone.values()), rows, renewed)
    await tell_fact(unit, run, told)
    result: dict[str, Any] = {
        "pair": pair.pair,
        "mode": "undo",
        "undone": [str(identity) for identity in undone.values()],
        "rows": rows,
        "events": events + 1,
        "parcels": renewed.parcels,
        "sales": renewed.sales,
        "certified_changes": renewed.certified_changes,
    }
    details = result | {"reason": reason, "rules": known["rules"]}
    await queries.enter(connection, run, undone=list(undone.values()), reader=known["reader"], details=details)
    return result


async def _undone(unit: UnitOfWork, pair: Pair, operation_id: UUID, *, cascade: bool) -> dict[int, UUID]:
    """The operations to take back by their sequence, the newest first."""
    operation = await queries.read_operation(unit.connection, unit.county, pair.pair, operation_id)
    if operation is None:
        raise NotFoundError("operation_unknown", f"the pair {pair.pair} has no applied operation {operation_id}")
    if operation["undone_by"] is not None:
        raise ConflictError("operation_undone", f"the operation {operation_id} was undone already")
    first = operation["sequence"]
    found = {first: operation_id}
    while True:
        await queries.find_touched(unit.connection, unit.county, pair.pair, sequences=list(found))
        later = await queries.later_operations(
            unit.connection, unit.county, pair.pair, after=first, without=list(found)
        )
        if not later:
            return dict(sorted(found.items(), reverse=True))
        if not cascade:
            ids = [str(row["id"]) for row in later]
            raise ConflictError(
                "undo_touched_later",
                f"{len(ids)} later operations touched the same rows: undo them first, or with cascade",
                details={"operations": ids},
            )
        found |= {row["sequence"]: row["id"] for row in later}


async def _in_landed_years(unit: UnitOfWork, run: Run) -> Run:
    """The run in the years that the restored rows say; where they say none, in that of the last run."""
    working = await _year(unit, run, run.pair.working_year)
    certified = await _year(unit, run, run.pair.certified_year)
    return replace(run, working_year=working or run.working_year, certified_year=certified)


async def _year(unit: UnitOfWork, run: Run, said: WorkingYear | None) -> int | None:
    if said is None or said.column is None:
        return said.year if said else None
    table, _, column = said.column.partition(".")
    return await queries.landed_year(unit.connection, run.county, run.pair.pair, table=table, column=column)


async def _forget_layers(unit: UnitOfWork, run: Run) -> None:
    root = run.pair.table_by_name[run.pair.entities.parcel.root]
    columns = {
        link: root.link_columns(link)[0] if link in root.links else None for link in (Link.TAX_YEAR, Link.SUPPLEMENT)
    }
    await queries.forget_layers(
        unit.connection,
        run,
        root=root.name,
        year_column=columns[Link.TAX_YEAR],
        supplement_column=columns[Link.SUPPLEMENT],
    )


async def _tell(unit: UnitOfWork, run: Run, reader: str, loads: Sequence[str]) -> int:
    """Envelopes that undo those of the runs; a load that was told of in one is taken back in one."""
    changed = await queries.changed_tables(unit.connection, run)
    silent = set() if run.pair.snapshot_events else set(loads)
    tables = [Told(table, reader) for table in run.pair.tables if table.name in changed - silent]
    return await tell_rows(unit, run, tables)


def _undone_fact(run: Run, undone: list[UUID], rows: int, renewed: Renewed) -> SyncUndone:
    return SyncUndone(
        **about(run),
        undone_operation_ids=tuple(undone),
        sequence=run.sequence,
        rows=rows,
        parcels=renewed.parcels,
        sales=renewed.sales,
    )
