"""What a run tells of source rows: Debezium envelopes page by page, and of itself."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal
from uuid import UUID

from chassis.database import UnitOfWork
from chassis.outbox import OutboxMessage, derived_id, header_value, to_json, to_message
from contracts.events.ingest import (
    KEY_HEADER,
    CanonicalFact,
    ChangedColumn,
    ChangedTable,
    SyncGapFound,
    SyncHeartbeat,
    SyncSchemaChanged,
    SyncSnapshotCompleted,
    SyncTransactionMarked,
    TableChange,
    TransactionPart,
)
from contracts.mapping import SourceTable
from services.ingest.domain.envelopes import (
    Keyed,
    Place,
    RowChange,
    Run,
    envelopes,
    event_id,
    snapshot_marks,
    source_of,
    times,
)
from services.ingest.record import changed_rows
from services.ingest.record.outgoing import Outgoing

PAGE_ROWS = 2_000


@dataclass(frozen=True, slots=True)
class Told:
    """A table whose changes are to be told."""

    table: SourceTable
    reader: str
    is_first: bool = False
    """Whether it was loaded for the first time."""
    is_log: bool = False
    """Whether every change stands in its staged rows, in order."""
    token: str | None = None
    """How far it was read; of readers of the log every row has its own."""


@dataclass(slots=True)
class _Count:
    """So many envelopes so far, in all and of each table."""

    total: int = 0
    of: Counter[str] = field(default_factory=Counter)


async def tell_rows(unit: UnitOfWork, run: Run, tables: Sequence[Told]) -> int:
    """Puts the envelopes of a run's changes into the outbox; returns how many messages, without tombstones.

    Call it after the run's rows are merged. A first load is told of in one event unless the pair wants every row.
    """
    outgoing = Outgoing(unit)
    counted = _Count()
    loads = [told for told in tables if told.is_first]
    completed = 0
    await _mark(outgoing, run, "BEGIN", counted)
    changed = await changed_rows.changed_tables(unit.connection, run)
    for told in tables:
        if not told.is_first and told.table.name not in changed:
            continue
        if told.is_first and not run.pair.snapshot_events:
            completed += await _tell_load(outgoing, run, told)
        elif told.is_first:
            await _tell_snapshot(outgoing, run, told, counted, loads=loads)
        else:
            await _tell_changes(outgoing, run, told, counted)
    await _mark(outgoing, run, "END", counted)
    await outgoing.close()
    return counted.total + completed


async def tell_fact(unit: UnitOfWork, run: Run, fact: CanonicalFact, *parts: str) -> None:
    """Puts a fact of the run into the outbox; `parts` tell it from others of its kind in the run."""
    identity = event_id(run, fact.family, fact.fact, str(run.operation_id), *parts)
    await unit.publish(fact, event_id=str(identity))


async def tell_heartbeat(unit: UnitOfWork, run: Run) -> None:
    """Says that the source was looked at and nothing had changed, where the pair wants to hear of it."""
    if run.pair.following.heartbeats:
        beat = SyncHeartbeat(**about(run), ts_ms=times(run.seen_at)["ts_ms"], sequence=run.sequence)
        await tell_fact(unit, run, beat)


async def tell_gap(
    unit: UnitOfWork, run: Run, tables: Sequence[str], *, reader: str, token: str, oldest_token: str
) -> None:
    """Says that a source no longer has all changes since a token, and which tables are compared instead."""
    gap = SyncGapFound(**about(run), source_tables=tuple(tables), reader=reader, token=token, oldest_token=oldest_token)
    await tell_fact(unit, run, gap, *tables)


async def tell_schema_change(
    unit: UnitOfWork,
    run: Run,
    table: str,
    *,
    kind: Literal["CREATE", "ALTER", "DROP"],
    columns: Sequence[ChangedColumn] = (),
    key: Sequence[str] = (),
) -> None:
    """Says that a table of the source has other columns than before, in Debezium's shape."""
    schema = run.pair.source_schema
    shape = None if kind == "DROP" else ChangedTable(primary_key_column_names=tuple(key), columns=tuple(columns))
    quoted = ".".join('"{}"'.format(name.replace('"', '""')) for name in (run.database, schema, table))
    changed = SyncSchemaChanged(
        **about(run),
        source=source_of(run, table),
        ts_ms=times(run.seen_at)["ts_ms"],
        database_name=run.database,
        schema_name=schema,
        table_changes=(TableChange(type=kind, id=quoted, table=shape),),
    )
    await tell_fact(unit, run, changed, table, kind)


def about(run: Run) -> dict[str, Any]:
    """What every fact of a run says."""
    return {
        "county": run.county,
        "pair": run.pair.pair,
        "operation_id": run.operation_id,
        "occurred_at": run.seen_at,
    }


async def _tell_load(outgoing: Outgoing, run: Run, told: Told) -> int:
    rows = await changed_rows.count_loaded(outgoing.unit.connection, run, told.table.name)
    loaded = SyncSnapshotCompleted(**about(run), source_table=told.table.name, rows=rows)
    identity = str(event_id(run, "snapshot", told.table.name))
    await outgoing.write([to_message(loaded, service=outgoing.unit.service, event_id=identity)])
    return 1


async def _tell_snapshot(outgoing: Outgoing, run: Run, told: Told, counted: _Count, *, loads: list[Told]) -> None:
    """Every row of a first load as `r`, marked as Debezium marks the rows of a snapshot."""
    rows = await changed_rows.count_loaded(outgoing.unit.connection, run, told.table.name)
    pages = changed_rows.loaded_pages(outgoing.unit.connection, run, told.table.name, rows=PAGE_ROWS)
    async for page in pages:
        start = counted.of[told.table.name]
        marks = snapshot_marks(
            range(start, start + len(page)), rows=rows, is_first_table=told is loads[0], is_last_table=told is loads[-1]
        )
        await _write(outgoing, run, told, page, counted, marks=list(marks))


async def _tell_changes(outgoing: Outgoing, run: Run, told: Told, counted: _Count) -> None:
    read = changed_rows.logged_pages if told.is_log else changed_rows.changed_pages
    async for page in read(outgoing.unit.connection, run, told.table.name, rows=PAGE_ROWS):
        await _write(outgoing, run, told, page, counted)


async def _write(
    outgoing: Outgoing, run: Run, told: Told, page: list[RowChange], counted: _Count, *, marks: Any = None
) -> None:
    place = Place(counted.total, counted.of[told.table.name])
    service = outgoing.unit.service
    made = envelopes(run, told.table, page, place=place, token=told.token, marks=marks)
    with_tombstones = run.pair.following.tombstones
    messages = await asyncio.to_thread(
        lambda: [message for keyed in made for message in _messages(service, keyed, tombstone=with_tombstones)]
    )
    await outgoing.write(messages)
    counted.total += len(page)
    counted.of[told.table.name] += len(page)


def _messages(service: str, keyed: Keyed, *, tombstone: bool) -> list[OutboxMessage]:
    """An envelope as a message, and the message without a body that follows a deletion."""
    message = to_message(keyed.envelope, service=service, event_id=str(keyed.event_id))
    message.headers[KEY_HEADER] = header_value(to_json(keyed.key))
    if not tombstone or keyed.envelope.op != "d":
        return [_moved(message, keyed)]
    identity = _tombstone_id(keyed.event_id)
    headers: Mapping[str, str] = message.headers | {"ce-id": str(identity), "Nats-Msg-Id": str(identity)}
    empty = OutboxMessage(identity, message.county, message.subject, dict(headers), "")
    return [_moved(message, keyed), empty]


def _moved(message: OutboxMessage, keyed: Keyed) -> OutboxMessage:
    if keyed.moved is not None:
        header, key = keyed.moved
        message.headers[header] = header_value(to_json(key))
    return message


def _tombstone_id(identity: UUID) -> UUID:
    return derived_id(identity, "tombstone")


async def _mark(outgoing: Outgoing, run: Run, status: Literal["BEGIN", "END"], counted: _Count) -> None:
    """Debezium's transaction event, where the pair wants it."""
    if not run.pair.following.transactions:
        return
    ended: dict[str, Any] = {}
    if status == "END":
        schema = run.pair.source_schema
        parts = [
            TransactionPart(data_collection=f"{run.database}.{schema}.{name}", event_count=count)
            for name, count in counted.of.items()
        ]
        ended = {"event_count": counted.total, "data_collections": tuple(parts)}
    mark = SyncTransactionMarked(
        **about(run), status=status, id=str(run.sequence), ts_ms=times(run.seen_at)["ts_ms"], **ended
    )
    identity = str(event_id(run, "transaction", status))
    await outgoing.write([to_message(mark, service=outgoing.unit.service, event_id=identity)])
