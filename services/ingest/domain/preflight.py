"""Compares a mapping with what the source really has, before any row is read."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from contracts.mapping import ColumnType, Pair

_READABLE_FROM = {
    ColumnType.TEXT: ("char", "text"),
    ColumnType.INTEGER: ("int", "numeric", "decimal", "text"),
    ColumnType.DECIMAL: ("int", "numeric", "decimal", "money", "real", "double", "float", "text"),
    ColumnType.BOOLEAN: ("bool", "bit", "int", "text"),
    ColumnType.DATE: ("date", "time", "text"),
    ColumnType.TIMESTAMP: ("date", "time", "text"),
    ColumnType.GEOMETRY: ("bytea", "binary", "geometry"),
}


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


def differences(pair: Pair, catalog: Mapping[str, Mapping[str, str]]) -> list[MappingDifference]:
    """Every table and column that the mapping names and the source lacks or has as another type."""
    found = []
    for table in pair.tables:
        columns = catalog.get(table.name)
        if columns is None:
            message = f"the source has no table {table.file or table.name}"
            found.append(MappingDifference("mapping_table_missing", table.name, None, message))
            continue
        for name, kind in table.columns.items():
            there = columns.get(name)
            if there is None:
                message = f"the table {table.name} has no column {name}"
                found.append(MappingDifference("mapping_column_missing", table.name, name, message))
            elif not any(part in there for part in _READABLE_FROM[kind]):
                message = f"{table.name}.{name} is {there}, which is not readable as {kind}"
                found.append(MappingDifference("mapping_type_differs", table.name, name, message))
    return found
