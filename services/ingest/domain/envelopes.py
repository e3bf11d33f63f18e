"""Debezium change envelopes out of changed source rows."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import NAMESPACE_URL, UUID, uuid5

from contracts.events.ingest import (
    MASK,
    NEW_KEY_HEADER,
    OLD_KEY_HEADER,
    ChangeEnvelope,
    EnvelopeSource,
    EnvelopeTransaction,
    SnapshotMark,
)
from contracts.mapping import ColumnType, Pair, SourceTable
from contracts.pairs import OURS
from services.ingest.domain.rows import key_fields

CONNECTOR, VERSION = "terrafusion", "1"
Op = Literal["c", "u", "d", "r"]
NOBODY = UUID(int=0)
_LSN_DIGITS = 20


@dataclass(frozen=True, slots=True)
class LogPosition:
    """Where a change stands in the source's log; texts as the reader gave them."""

    token: str
    """The commit's: a log sequence number in hexadecimal, or a version."""
    sequence: str | None = None
    """The change's, within the commit."""
    transaction: str | None = None


@dataclass(frozen=True, slots=True)
class RowChange:
    """A source row before and after, as JSON texts with people masked."""

    op: Op
    key: str
    before: str | None
    after: str | None
    log: LogPosition | None = None
    moved: Literal["from", "to"] | None = None
    """A key update: `from` stands on the deletion of the old key, `to` on the creation of the new one."""
    other: str | None = None
    """The image with the other key of a key update."""


@dataclass(frozen=True, slots=True)
class Keyed:
    """An envelope with the row's key and the id by which a repetition is recognised."""

    event_id: UUID
    key: dict[str, Any]
    envelope: ChangeEnvelope
    moved: tuple[str, dict[str, Any]] | None = None
    """A key update's header, and the other key."""


@dataclass(frozen=True, slots=True)
class Run:
    """The operation that saw the changes; `sequence` counts the pair's applied operations."""

    county: str
    pair: Pair
    database: str
    sequence: int
    seen_at: datetime
    operation_id: UUID = NOBODY
    run_id: UUID = NOBODY
    """What its staged rows stand under."""
    working_year: int = 0
    certified_year: int | None = None
    mode: str = "incremental"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page of a table's changes stands among those of the run: so many came before."""

    total: int = 0
    in_table: int = 0


def event_id(run: Run, *parts: str) -> UUID:
    """The id of an event of one run: a second try of the run gives the same, a later run another."""
    return uuid5(NAMESPACE_URL, "/".join(("terrafusion", run.county, run.pair.pair, str(run.sequence), *parts)))


def envelopes(
    run: Run,
    table: SourceTable,
    changes: Iterable[RowChange],
    *,
    place: Place,
    token: str | None = None,
    marks: Iterable[SnapshotMark] | None = None,
) -> Iterator[Keyed]:
    """The envelopes of one table's changes.

    `token` is how far the table was read; `marks` says for each row of a first load where in it the row stands.
    """
    marking = iter(marks) if marks is not None else None
    plain: SnapshotMark = "incremental" if run.mode == "snapshot" else "false"
    for number, change in enumerate(changes, start=1):
        before, after = _shown(table, change.before), _shown(table, change.after)
        mark = next(marking) if marking is not None else plain
        yield Keyed(
            event_id=_identity(run, table, change),
            key=key_fields(table, after or before or _key_parts(table, change.key)),
            moved=_moved(table, change),
            envelope=ChangeEnvelope(
                county=run.county,
                occurred_at=run.seen_at,
                before=before,
                after=after,
                op=change.op,
                source=_source(run, table, mark=mark, change=change, token=token).model_copy(
                    update={"origin": OURS if is_ours(table, after) else None}
                ),
                **times(run.seen_at),
                transaction=EnvelopeTransaction(
                    id=(change.log and change.log.transaction) or str(run.sequence),
                    total_order=place.total + number,
                    data_collection_order=place.in_table + number,
                ),
            ),
        )


def _shown(table: SourceTable, image: str | None) -> dict[str, Any] | None:
    """An image as it may be told: one of an older mapping may show what is personal by now."""
    if image is None:
        return None
    row: dict[str, Any] = json.loads(image)
    for name in table.personal:
        if row.get(name) is not None and not (_is_coded(table, name) and str(row[name]).startswith("hmac:")):
            row[name] = None if table.personal_as.get(name) == "drop" else MASK
    return row


def _is_coded(table: SourceTable, name: str) -> bool:
    return table.personal_as.get(name) == "hmac"


def is_ours(table: SourceTable, after: dict[str, Any] | None) -> bool:
    """Whether a row as it is now says that TerraFusion's own values were written to it."""
    mark = table.origin
    return mark is not None and after is not None and str(after[mark.column]).strip() in mark.ours


def snapshot_marks(places: range, *, rows: int, is_first_table: bool, is_last_table: bool) -> Iterator[SnapshotMark]:
    """Debezium's marks for the rows of a first load at `places` of `rows`, counted from 0."""
    for place in places:
        if place == rows - 1:
            yield "last" if is_last_table else "last_in_data_collection"
        elif place == 0:
            yield "first" if is_first_table else "first_in_data_collection"
        else:
            yield "true"


def source_of(run: Run, table: str, *, token: str | None = None) -> EnvelopeSource:
    """The source block of an event that is of no single row."""
    return EnvelopeSource(
        version=VERSION,
        connector=CONNECTOR,
        name=run.pair.pair,
        snapshot="false",
        db=run.database,
        sequence=str(run.sequence),
        schema_name=run.pair.source_schema,
        table=table,
        version_token=token,
        **times(run.seen_at),
    )


def times(moment: datetime) -> dict[str, int]:
    """A moment as Debezium writes it, in three units."""
    microseconds = int(moment.timestamp() * 1_000_000)
    return {"ts_ms": microseconds // 1000, "ts_us": microseconds, "ts_ns": microseconds * 1000}


def lsn(token: str) -> str:
    """A log sequence number of ten bytes as Debezium writes it: `00000027:00000758:0003`."""
    return f"{token[:8]}:{token[8:16]}:{token[16:20]}".lower()


def is_lsn(token: str | None) -> bool:
    """Whether a token is a log sequence number and no version."""
    return token is not None and len(token.removeprefix("0x")) == _LSN_DIGITS


def _identity(run: Run, table: SourceTable, change: RowChange) -> UUID:
    """Of a log by the place there, which no other change has; else by run and key."""
    if change.log is None:
        return event_id(run, table.name, change.op, change.key)
    place = (change.log.token, change.log.sequence or "", change.op, change.key)
    return uuid5(NAMESPACE_URL, "/".join(("terrafusion", run.county, run.pair.pair, "log", table.name, *place)))


def _key_parts(table: SourceTable, key: str) -> dict[str, Any]:
    """The key of a row whose image nobody has, such as one that was in quarantine until it was deleted."""
    texts = (part.replace("%2F", "/").replace("%25", "%") for part in key.split("/"))
    return {
        name: int(text) if table.columns[name] is ColumnType.INTEGER and text else text
        for name, text in zip(table.key, texts, strict=True)
    }


def _moved(table: SourceTable, change: RowChange) -> tuple[str, dict[str, Any]] | None:
    if change.moved is None or change.other is None:
        return None
    header = NEW_KEY_HEADER if change.moved == "from" else OLD_KEY_HEADER
    return header, key_fields(table, json.loads(change.other))


def _source(
    run: Run, table: SourceTable, *, mark: SnapshotMark, change: RowChange, token: str | None
) -> EnvelopeSource:
    return source_of(run, table.name, token=token).model_copy(
        update={"snapshot": mark, **(_log_place(change) if change.log else {})}
    )


def _log_place(change: RowChange) -> dict[str, Any]:
    """An update's serial number is 2, as the log has its row before as 1; a key update's creation is the second."""
    log = change.log
    assert log is not None
    if not is_lsn(log.token):
        return {"version_token": log.token}
    serial = 2 if change.op == "u" or change.moved == "to" else 1
    found: dict[str, Any] = {"commit_lsn": lsn(log.token.removeprefix("0x")), "event_serial_no": serial}
    found["change_lsn"] = lsn(log.sequence.removeprefix("0x")) if is_lsn(log.sequence) and log.sequence else None
    return found | {"version_token": None}
