"""What became of a source's tables since they were read last: columns added, gone, of another type or narrower."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from contracts.events.ingest import ChangedColumn
from contracts.mapping import Pair, SourceTable
from services.ingest.domain.preflight import MappingDifference
from services.ingest.sources.source import ColumnFacts

Kind = Literal["CREATE", "ALTER", "DROP"]
Columns = Mapping[str, ColumnFacts]
_JDBC = {
    "bit": -7, "boolean": 16, "tinyint": -6, "smallint": 5, "int": 4, "integer": 4, "bigint": -5, "real": 7,
    "float": 8, "double precision": 8, "numeric": 2, "decimal": 3, "money": 3, "smallmoney": 3, "char": 1,
    "character": 1, "nchar": -15, "varchar": 12, "character varying": 12, "nvarchar": -9, "text": -1, "ntext": -16,
    "date": 91, "time": 92, "datetime": 93, "datetime2": 93, "smalldatetime": 93, "timestamp without time zone": 93,
    "datetimeoffset": 2014, "timestamp with time zone": 2014, "binary": -2, "varbinary": -3, "bytea": -2, "image": -4,
}  # fmt: skip
_OTHER = 1111
_WHOLE_NUMBERS = ("tinyint", "smallint", "int", "integer", "bigint")


@dataclass(frozen=True, slots=True)
class Drift:
    """How one table differs from what it was."""

    table: str
    kind: Kind
    added: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    altered: tuple[str, ...] = ()
    stop: MappingDifference | None = None
    """Why the table cannot be read on; null: it can."""

    def columns(self) -> dict[str, Any]:
        """As the history of schema changes has it."""
        return {"added": self.added, "gone": self.gone, "altered": self.altered}


def drifts(
    pair: Pair,
    catalog: Mapping[str, Columns],
    known: Mapping[str, Mapping[str, Any]],
    differences: list[MappingDifference],
) -> list[Drift]:
    """Tables that are otherwise than `known`: columns by table, as `saved` spells them; others have no before."""
    found = []
    for table in pair.tables:
        before = known.get(table.name)
        if before:
            drift = _drift(table, before, catalog.get(table.name), differences)
            if drift is not None:
                found.append(drift)
    return found


def unmapped(differences: list[MappingDifference], known: Mapping[str, Mapping[str, Any]]) -> list[MappingDifference]:
    """Differences that are the mapping's own: it names what was never there."""
    return [
        found
        for found in differences
        if not known.get(found.table) or (found.column is not None and found.column not in known[found.table])
    ]


def saved(columns: Columns) -> dict[str, Any]:
    """Columns as JSON."""
    return {
        name: {"type": facts.type, "length": facts.length, "precision": facts.precision, "scale": facts.scale}
        for name, facts in columns.items()
    }


def changed_columns(columns: Columns) -> list[ChangedColumn]:
    """Columns in Debezium's shape."""
    return [
        ChangedColumn(
            name=name,
            jdbc_type=_JDBC.get(facts.type, _OTHER),
            type_name=facts.type,
            length=facts.length or facts.precision,
            scale=facts.scale,
            position=position,
            optional=facts.is_nullable,
            generated=facts.is_computed,
        )
        for position, (name, facts) in enumerate(columns.items(), start=1)
    ]


def _drift(
    table: SourceTable, before: Mapping[str, Any], now: Columns | None, differences: list[MappingDifference]
) -> Drift | None:
    broken = next((found for found in differences if found.table == table.name), None)
    if now is None:
        return Drift(table.name, "DROP", gone=tuple(before), stop=broken)
    there = saved(now)
    added = tuple(name for name in there if name not in before)
    gone = tuple(name for name in before if name not in there)
    altered = tuple(name for name in there if name in before and there[name] != before[name])
    if not (added or gone or altered):
        return None
    narrowed = next(
        (name for name in altered if name in table.columns and _is_narrower(before[name], there[name])), None
    )
    if broken is None and narrowed is not None:
        message = f"{table.name}.{narrowed} holds less than before: values may have been cut"
        broken = MappingDifference("mapping_column_narrowed", table.name, narrowed, message)
    return Drift(table.name, "ALTER", added, gone, altered, broken)


def _is_narrower(before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Whether values that were there may not fit any more."""
    kinds = before["type"], now["type"]
    if all(kind in _WHOLE_NUMBERS for kind in kinds):
        return _WHOLE_NUMBERS.index(kinds[1]) < _WHOLE_NUMBERS.index(kinds[0])
    if kinds[0] != kinds[1]:
        return False  # readable as another type: what it holds is judged row by row
    return any(
        now[part] is not None
        and now[part] >= 0
        and (before[part] is None or before[part] < 0 or now[part] < before[part])
        for part in ("length", "precision", "scale")
    )
