"""Debezium change envelopes out of changed source rows."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import NAMESPACE_URL, UUID, uuid5

from contracts.events.ingest import ChangeEnvelope, EnvelopeSource, EnvelopeTransaction
from contracts.mapping import Pair, SourceTable
from services.ingest.domain.rows import key_fields

CONNECTOR, VERSION = "terrafusion", "1"
Op = Literal["c", "u", "d", "r"]


@dataclass(frozen=True, slots=True)
class RowChange:
    """A source row before and after, as JSON texts with people masked."""

    op: Op
    key: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class Keyed:
    """An envelope with the row's key and the id by which a repetition is recognised."""

    event_id: UUID
    key: dict[str, Any]
    envelope: ChangeEnvelope


@dataclass(frozen=True, slots=True)
class Run:
    """The operation that saw the changes; `sequence` counts the pair's applied operations."""

    county: str
    pair: Pair
    database: str
    sequence: int
    seen_at: datetime


def event_id(run: Run, *parts: str) -> UUID:
    """The id of an event of one run: a second try of the run gives the same, a later run another."""
    return uuid5(NAMESPACE_URL, "/".join(("terrafusion", run.county, run.pair.pair, str(run.sequence), *parts)))


def envelopes(run: Run, table: SourceTable, changes: list[RowChange], *, offset: int) -> Iterator[Keyed]:
    """The envelopes of one table's changes; `offset` is how many the run has before them."""
    for number, change in enumerate(changes, start=1):
        before = json.loads(change.before) if change.before is not None else None
        after = json.loads(change.after) if change.after is not None else None
        yield Keyed(
            event_id=event_id(run, table.name, change.op, change.key),
            key=key_fields(table, after or before or {}),
            envelope=ChangeEnvelope(
                county=run.county,
                occurred_at=run.seen_at,
                before=before,
                after=after,
                op=change.op,
                source=_source(run, table, is_snapshot=change.op == "r"),
                **_times(run.seen_at),
                transaction=EnvelopeTransaction(
                    id=str(run.sequence), total_order=offset + number, data_collection_order=number
                ),
            ),
        )


def _source(run: Run, table: SourceTable, *, is_snapshot: bool) -> EnvelopeSource:
    return EnvelopeSource(
        version=VERSION,
        connector=CONNECTOR,
        name=run.pair.pair,
        snapshot="true" if is_snapshot else "false",
        db=run.database,
        sequence=str(run.sequence),
        schema_name=run.pair.source_schema,
        table=table.name,
        **_times(run.seen_at),
    )


def _times(moment: datetime) -> dict[str, int]:
    microseconds = int(moment.timestamp() * 1_000_000)
    return {"ts_ms": microseconds // 1000, "ts_us": microseconds, "ts_ns": microseconds * 1000}
