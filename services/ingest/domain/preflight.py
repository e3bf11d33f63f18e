"""Compares a mapping with what the source really has, before any row is read."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from contracts.mapping import ColumnType, Pair, SourceTable
from services.ingest.sources.source import ColumnFacts, SourceFacts, TableFacts

#: types by their whole names, of every server that is read: one that is not here is not guessed at
_TEXTS = {"char", "varchar", "nchar", "nvarchar", "text", "ntext", "character", "character varying", "sysname"}
_INTEGERS = {"tinyint", "smallint", "int", "integer", "bigint"}
_EXACT = {"numeric", "decimal", "money", "smallmoney"}
_FLOATING = {"real", "float", "double precision"}
_TIMES = {"date", "datetime", "datetime2", "smalldatetime", "timestamp without time zone"}
_BYTES = {"bytea", "binary", "varbinary", "image"}
_ZONED = {"datetimeoffset", "timestamp with time zone"}
_TRUTHS = {"bit", "boolean"}
_OTHERS = {"uuid", "uniqueidentifier", "xml", "time", "time without time zone", "rowversion", "timestamp"}

_READABLE_FROM = {
    ColumnType.TEXT: _TEXTS | _INTEGERS | _EXACT | _FLOATING | _TIMES | _ZONED | _TRUTHS | _BYTES | _OTHERS,
    ColumnType.INTEGER: _INTEGERS | _EXACT | _TEXTS,
    ColumnType.DECIMAL: _INTEGERS | _EXACT | _FLOATING | _TEXTS,
    ColumnType.BOOLEAN: _TRUTHS | _INTEGERS | _TEXTS,
    ColumnType.DATE: _TIMES | _TEXTS,
    ColumnType.TIMESTAMP: _TIMES | _TEXTS,
    ColumnType.GEOMETRY: _BYTES | {"geometry", "geography"} | {"text"},
}
_KNOWN = set().union(*_READABLE_FROM.values())


@dataclass(frozen=True, slots=True)
class MappingDifference:
    """One thing that the mapping says and the source does not have."""

    code: str
    table: str
    column: str | None
    message: str

    def to_dict(self) -> dict[str, str | None]:
        """As it stands in a job's error."""
        return asdict(self)


def differences(pair: Pair, catalog: Mapping[str, Mapping[str, ColumnFacts]]) -> list[MappingDifference]:
    """Every table and column that the mapping names and the source lacks or has as another type: any stops the run."""
    found = []
    for table in pair.tables:
        columns = catalog.get(table.name)
        if columns is None:
            message = f"the source has no table {table.file or table.name} that this login may read"
            found.append(MappingDifference("mapping_table_missing", table.name, None, message))
            continue
        found += _of_columns(table, columns)
    return found


def _of_columns(table: SourceTable, columns: Mapping[str, ColumnFacts]) -> list[MappingDifference]:
    found = []
    for name, kind in table.columns.items():
        there = columns.get(name)
        if there is None:
            message = f"the table {table.name} has no column {name}"
            found.append(MappingDifference("mapping_column_missing", table.name, name, message))
        elif there.type not in _KNOWN:
            message = f"{table.name}.{name} is {there.type}, a type that nothing is known of"
            found.append(MappingDifference("mapping_type_differs", table.name, name, message))
        elif there.type not in _READABLE_FROM[kind] or _is_fraction(kind, there):
            message = f"{table.name}.{name} is {_told(there)}, which is not readable as {kind}"
            found.append(MappingDifference("mapping_type_differs", table.name, name, message))
    marker = table.changed_column
    if marker is not None and marker not in columns:
        message = f"the table {table.name} has no column {marker}"
        found.append(MappingDifference("mapping_column_missing", table.name, marker, message))
    return found


def _is_fraction(kind: ColumnType, there: ColumnFacts) -> bool:
    """Whether digits after the point would be lost."""
    return kind is ColumnType.INTEGER and there.type in {"numeric", "decimal"} and bool(there.scale)


def _told(there: ColumnFacts) -> str:
    if there.type in {"numeric", "decimal"} and there.precision:
        return f"{there.type}({there.precision},{there.scale or 0})"
    return f"{there.type}({there.length})" if there.length else there.type


def warnings(
    pair: Pair, catalog: Mapping[str, Mapping[str, ColumnFacts]], facts: SourceFacts
) -> list[MappingDifference]:
    """What does not stop a run but costs something: keys that the source does not keep whole, unique or in order."""
    found = []
    for table in pair.tables:
        columns, there = catalog.get(table.name), facts.tables.get(table.name)
        if columns is not None and there is not None:
            found += _of_key(table, columns, there)
    return found


def _of_key(table: SourceTable, columns: Mapping[str, ColumnFacts], there: TableFacts) -> list[MappingDifference]:
    key, found = ", ".join(table.key), []
    uniques = [set(unique) for unique in (there.primary_key, *there.unique_keys) if unique]
    if not any(unique <= set(table.key) for unique in uniques):
        message = f"nothing in the source keeps {key} of {table.name} unique: repeated rows are put in quarantine"
        found.append(MappingDifference("mapping_key_not_unique", table.name, None, message))
    for name in table.key:
        if name in columns and columns[name].is_nullable:
            message = f"{table.name}.{name} is part of the key and may be null"
            found.append(MappingDifference("mapping_key_nullable", table.name, name, message))
    indexes = (there.primary_key, there.clustered_key, *there.unique_keys, *there.indexes)
    if not any(index[: len(table.key)] == table.key for index in indexes):
        message = f"no index of {table.name} has the order of {key}: it is read as one range"
        found.append(MappingDifference("mapping_key_not_indexed", table.name, None, message))
    return found
