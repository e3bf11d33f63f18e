"""Chooses how a table is followed, by what its source can tell, and says what that way of following cannot see.

The ladder, best first: change data capture, change tracking, rowversion, timestamp, comparison of ranges. A mapping may
force a step; what the source cannot do is refused, and never done in another way silently.
"""

from dataclasses import dataclass
from typing import Any, Literal

from chassis.errors import PermanentError
from contracts.following import ReaderName
from contracts.mapping import Pair, SourceTable
from services.ingest.readers.batch import TableState
from services.ingest.sources.source import Catalog, ColumnFacts, Content, Marker, SourceFacts, TableFacts

Reader = Literal["cdc", "change_tracking", "rowversion", "timestamp", "hash_diff"]
LADDER: tuple[Reader, ...] = ("cdc", "change_tracking", "rowversion", "timestamp", "hash_diff")

_TIMES = frozenset(
    {
        "datetime",
        "datetime2",
        "datetimeoffset",
        "timestamp with time zone",
        "timestamp without time zone",
    }
)
_ONLY_LATEST = "of several changes between two runs only the last is seen, and who changed a row is not known"
_BLIND_SPOTS: dict[Reader, tuple[str, ...]] = {
    "cdc": (
        "a column that is not captured, as a computed one, is read from the row as it is now",
        "a deleted row's image may lack long texts; the row that was landed before counts",
        "unverified on SQL Server",
    ),
    "change_tracking": (_ONLY_LATEST, "unverified on SQL Server"),
    "rowversion": (_ONLY_LATEST, "a deletion is seen by comparing the keys of ranges, one that is undone not at all"),
    "timestamp": (
        _ONLY_LATEST,
        "a deletion is seen by comparing the keys of ranges, one that is undone not at all",
        "a change that leaves the time as it is, or is stamped longer ago than the overlap, is seen by a full run only",
    ),
    "hash_diff": (_ONLY_LATEST, "a change that is undone between two runs is not seen"),
}


@dataclass(frozen=True, slots=True)
class Choice:
    """How a table is followed."""

    reader: Reader
    marker: Marker | None
    content: Content
    blind_spots: tuple[str, ...]
    is_ranged: bool = True
    instances: tuple[str, ...] = ()

    def state(self, pair: Pair, table: SourceTable, **known: Any) -> TableState:
        """The table's state with what is known of it: token, is_loaded, ranges, years, position."""
        return TableState(
            table,
            marker=self.marker,
            content=self.content,
            is_ranged=self.is_ranged,
            instances=self.instances,
            overlap_seconds=pair.following.timestamp_overlap_seconds,
            **known,
        )


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the source tells of a table."""

    table: SourceTable
    source: SourceFacts
    facts: TableFacts
    columns: dict[str, ColumnFacts]


def choose(pair: Pair, table: SourceTable, facts: SourceFacts, catalog: Catalog | None = None) -> Choice:
    """The best reader that the source allows, or the one that the mapping names.

    Raises:
        PermanentError: `reader_not_possible` with the reason.
    """
    seen = _Seen(table, facts, facts.tables.get(table.name, TableFacts()), (catalog or {}).get(table.name, {}))
    wanted: ReaderName = table.reader or pair.reader
    if wanted == "auto":
        reader = next(step for step in LADDER if _reason_against(step, seen) is None)
    elif (reason := _reason_against(wanted, seen)) is None:
        reader = wanted
    else:
        details = {"table": table.name, "reader": wanted, "reason": reason}
        raise PermanentError(
            "reader_not_possible", f"{table.name} cannot be followed by {wanted}: {reason}", details=details
        )
    return _choice(pair, reader, seen)


def _choice(pair: Pair, reader: Reader, seen: _Seen) -> Choice:
    instances = seen.facts.capture_instances if reader == "cdc" else ()
    is_ranged = _is_indexed(seen)
    return Choice(
        reader,
        _marker(reader, seen),
        "key" if reader in {"rowversion", "timestamp"} else "row",
        (*_BLIND_SPOTS[reader], *_further_blind_spots(pair, seen, is_ranged=is_ranged)),
        is_ranged=is_ranged,
        instances=instances,
    )


def _marker(reader: Reader, seen: _Seen) -> Marker | None:
    match reader:
        case "hash_diff":
            return None
        case "rowversion":
            return Marker("rowversion", _rowversion_column(seen))
        case "timestamp":
            return Marker("timestamp", seen.table.changed_column)
        case "cdc":
            return Marker("cdc", instance=seen.facts.capture_instances[-1])
        case _:
            return Marker("change_tracking")


def _reason_against(reader: Reader, seen: _Seen) -> str | None:
    """Why a table cannot be followed so; null: it can."""
    match reader:
        case "cdc":
            return _against_cdc(seen)
        case "change_tracking":
            return _against_change_tracking(seen)
        case "rowversion":
            return None if _rowversion_column(seen) else "it has no rowversion column that can be bounded"
        case "timestamp":
            return _against_timestamp(seen)
        case _:
            return None


def _against_cdc(seen: _Seen) -> str | None:
    if not seen.source.has_cdc:
        return "change data capture is not on, or this login cannot see it"
    if not seen.facts.capture_instances:
        return "the table is not captured"
    return None


def _against_change_tracking(seen: _Seen) -> str | None:
    if not (seen.source.has_change_tracking and seen.facts.has_change_tracking):
        return "change tracking is not on for it"
    if seen.source.is_read_only is not False:
        return "on a read-only copy its versions do not belong to the rows that are there"
    if set(seen.table.key) != set(seen.facts.primary_key):
        return "it names changes by the primary key, which is not the mapping's key"
    return None


def _against_timestamp(seen: _Seen) -> str | None:
    name = seen.table.changed_column
    if name is None:
        return "the mapping names no changed_column"
    column = seen.columns.get(name)
    if column is None:
        return f"the source has no column {name}"
    return None if column.type in _TIMES else f"{name} is a {column.type}, which is no time to the second"


def _rowversion_column(seen: _Seen) -> str | None:
    """The column that the mapping names if it is one, or else the one that the table has."""
    named, found = seen.table.changed_column, seen.facts.rowversion_column
    if named is None or named == found:
        return found
    column = seen.columns.get(named)
    return named if column is not None and column.type == "rowversion" else None


def _is_indexed(seen: _Seen) -> bool:
    """Whether an index begins with the key's columns in their order: then ranges can be sought."""
    key, facts = seen.table.key, seen.facts
    indexes = (facts.primary_key, facts.clustered_key, *facts.unique_keys, *facts.indexes)
    return any(columns[: len(key)] == key for columns in indexes)


def _further_blind_spots(pair: Pair, seen: _Seen, *, is_ranged: bool) -> list[str]:
    found = []
    if not is_ranged:
        found.append("no index has the key's columns in this order: every change has the whole table read")
    if nullable := [name for name in seen.table.key if name in seen.columns and seen.columns[name].is_nullable]:
        found.append(f"{', '.join(nullable)} may be null: such rows are read every time")
    if pair.connector in {"sql", "pacs"} and seen.source.allows_snapshot_isolation is False:
        found.append("tables are read at different moments: changes of one transaction may arrive in two runs")
    return found
