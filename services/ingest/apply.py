"""Applies a plan in one transaction: landed rows, quarantine, canonical record, facts, outbox, ledger."""

import asyncio
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import polars as pl

from chassis.database import UnitOfWork
from chassis.outbox import OutboxMessage, header_value, to_json, to_message
from contracts.events.base import Event
from contracts.events.ingest import KEY_HEADER, MASK, CanonicalFact, SyncCompleted, SyncSnapshotCompleted
from services.ingest import queries
from services.ingest.domain import facts
from services.ingest.domain.entities import Assembled, Scope
from services.ingest.domain.envelopes import Place, Run, envelopes, event_id
from services.ingest.domain.facts import Origin
from services.ingest.planning import TablePlan, row_changes, staged_rows

STAGE_ROWS = 50_000


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that one run will do."""

    run: Run
    operation_id: UUID
    mode: str
    working_year: int
    rules: str
    tables: list[TablePlan]
    before: dict[str, pl.DataFrame]
    assembled: Assembled
    scope: Scope

    @property
    def is_first(self) -> bool:
        """Whether nothing was ever applied of the pair: then there is no before to tell a difference from."""
        return self.run.sequence == 1

    @property
    def origin(self) -> Origin:
        """What its facts have in common."""
        return Origin(self.run.county, self.run.pair.pair, self.operation_id, self.run.seen_at)


async def apply(unit: UnitOfWork, plan: Plan) -> dict[str, Any]:
    """Writes what the plan says and what is published of it; returns the operation's result."""
    await queries.create_stages(unit.connection)
    await _land(unit, plan)
    told = await _canonicalise(unit, plan)
    result = await _result(unit, plan, events=len(told))
    messages = await asyncio.to_thread(_messages, unit.service, plan, told, result)
    for message in messages:
        unit.publish_message(message)
    await queries.save_operation(
        unit.connection,
        unit.county,
        plan.operation_id,
        pair=plan.run.pair.pair,
        sequence=plan.run.sequence,
        rules=plan.rules,
        result=result,
    )
    return result


async def _land(unit: UnitOfWork, plan: Plan) -> None:
    connection, county, pair = unit.connection, unit.county, plan.run.pair.pair
    for table in plan.tables:
        rows = table.judged.accepted if plan.mode == "full" else table.difference.written
        for part in rows.iter_slices(STAGE_ROWS):
            staged = await asyncio.to_thread(staged_rows, table, part)
            await queries.copy_to_stage(connection, county, "row", staged)
        name = table.table.name
        if gone := table.difference.deleted.to_list():
            await queries.forget_rows(connection, county, pair, source_table=name, keys=gone)
        await queries.quarantine_rows(
            connection,
            county,
            pair,
            operation_id=plan.operation_id,
            source_table=name,
            violations=table.judged.violations,
        )
    await queries.land_rows(connection, county, pair)


async def _canonicalise(unit: UnitOfWork, plan: Plan) -> list[CanonicalFact]:
    """Brings the canonical record to what was assembled; returns the facts of it, none on the first load."""
    connection, county, pair = unit.connection, unit.county, plan.run.pair.pair
    sale_ids = _ids(plan.scope.sale_ids)
    parcel_ids = _ids(plan.scope.parcel_ids)
    await _stage(unit, plan)
    await queries.save_neighborhoods(connection)
    sales = [] if plan.is_first else await queries.differing_sales(connection, county, pair, ids=sale_ids)
    await queries.save_sales(connection, county, pair, ids=sale_ids)
    owners = [] if plan.is_first else await queries.differing_owners(connection, county, pair, ids=parcel_ids)
    await queries.set_last_sales(connection, county)
    parcels = [] if plan.is_first else await queries.differing_parcels(connection, county)
    gone = await queries.save_parcels(connection, county, pair, ids=parcel_ids)
    await queries.save_owners(connection, county, pair, working_year=plan.working_year, ids=parcel_ids)
    if plan.is_first:
        return []
    inactive = set(plan.assembled.parcels.filter(~pl.col("is_active"))["parcel_id"]) | {r["parcel_id"] for r in gone}
    return await asyncio.to_thread(
        lambda: [
            *facts.parcel_facts(plan.origin, parcels),
            *facts.removed_parcel_facts(plan.origin, gone),
            *facts.sale_facts(plan.origin, sales),
            *facts.owner_facts(plan.origin, owners, silent=inactive),
        ]
    )


async def _stage(unit: UnitOfWork, plan: Plan) -> None:
    named = pl.lit(plan.run.pair.pair).alias("pair")
    made = plan.assembled
    wkb = pl.concat_str(pl.lit("\\x"), pl.col("geometry_wkb")).alias("geometry_wkb")
    stages = {
        "parcel": made.parcels.with_columns(named, wkb, pl.lit(value=True).alias("is_current")),
        "owner": made.owners.with_columns(named),
        "sale": made.sales.with_columns(named),
        "neighborhood": made.neighborhoods.with_columns(named),
    }
    for name, rows in stages.items():
        await queries.copy_to_stage(unit.connection, unit.county, name, rows)
    await queries.analyze_stages(unit.connection)
    await queries.keep_masked_owners(unit.connection, unit.county, mask=MASK)


async def _result(unit: UnitOfWork, plan: Plan, *, events: int) -> dict[str, Any]:
    parcels, sales = await queries.count_record(unit.connection, unit.county, plan.run.pair.pair)
    tables = {table.table.name: _counts(table, plan.mode) for table in plan.tables}
    totals = {name: sum(counts[name] for counts in tables.values()) for name in next(iter(tables.values()))}
    return {
        "pair": plan.run.pair.pair,
        "mode": plan.mode,
        "reader": plan.run.pair.reader,
        **totals,
        "events": events,
        "parcels": parcels,
        "sales": sales,
        "tables": tables,
    }


def _counts(table: TablePlan, mode: str) -> dict[str, int]:
    """A full run applies every accepted row again, an incremental one those that differ."""
    accepted = table.judged.accepted.height
    applied = accepted if mode == "full" else table.difference.written.height
    return {
        "rows_read": table.judged.rows_read,
        "rows_applied": applied,
        "rows_unchanged": accepted - applied,
        "rows_quarantined": table.judged.rows_quarantined,
        "rows_filtered": table.judged.rows_filtered,
        "changes": table.difference.changes,
    }


def _messages(service: str, plan: Plan, told: list[CanonicalFact], result: dict[str, Any]) -> list[OutboxMessage]:
    """Everything that is published of the run: envelopes first, then facts, then that it is completed."""
    run = plan.run
    messages: list[OutboxMessage] = []
    for table in plan.tables:
        if table.is_first and not run.pair.snapshot_events:
            loaded = SyncSnapshotCompleted(
                **plan.origin.fields(), source_table=table.table.name, rows=table.judged.accepted.height
            )
            messages.append(_message(service, loaded, event_id(run, "snapshot", table.table.name)))
            continue
        changes = row_changes(table, plan.before[table.table.name])
        for keyed in envelopes(run, table.table, changes, place=Place(len(messages))):
            message = _message(service, keyed.envelope, keyed.event_id)
            message.headers[KEY_HEADER] = header_value(to_json(keyed.key))
            messages.append(message)
    messages += [_message(service, fact, event_id(run, fact.family, fact.fact, fact.subject_id)) for fact in told]
    counts = {name: result[name] for name in SyncCompleted.model_fields if name in result}
    completed = SyncCompleted(**{**plan.origin.fields(), **counts})
    return [*messages, _message(service, completed, event_id(run, "completed"))]


def _message(service: str, event: Event, identity: UUID) -> OutboxMessage:
    return to_message(event, service=service, event_id=str(identity))


def _ids(values: pl.Series | None) -> list[str] | None:
    return None if values is None else values.to_list()
