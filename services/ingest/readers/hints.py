"""What PACS itself notes of changes: where to look first, and who changed a row; never what is true.

`change_log` is incomplete: columns can be left out of it, programs and machines switch it off, mass changes do, and
its numbers are given before their transactions are committed. Nothing is taken to be unchanged because it is not in
there. Ids of tables and columns differ from county to county, so they are looked up by name.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import polars as pl

from contracts.mapping import ColumnType, SourceTable
from services.ingest.readers.batch import Batch, TableState
from services.ingest.sources.source import Bounds, Catalog, Key, Source

OVERLAP_CHANGES = 10_000
"""So many of the last changes are read again: an open transaction may hold a lower number."""

_KEYS_AT_ONCE = 500
_LOWEST_COLUMN = "-32768"


def _described(name: str, key: tuple[str, ...], *others: str) -> SourceTable:
    return SourceTable(name=name, key=key, columns=dict.fromkeys((*key, *others), ColumnType.TEXT))


_TABLES = _described("pacs_tables", ("iTableID",), "szTableName")
_COLUMNS = _described("pacs_columns", ("iColumnID",), "szColumnName")
_CHANGES = _described(
    "change_log", ("lChangeID",), "dtChange", "szChangeType", "iTableID", "szSQLAccount", "szMachineName", "lPacsUserID"
)
_KEYS = _described("change_log_keys", ("lChangeID", "iColumnID"), "szKeyValue")
_CACHED = _described("table_cache_status", ("szTableName",), "ts")


@dataclass(frozen=True, slots=True)
class Hint:
    """An entry of the change log; `user` and `machine` are personal data of the county's staff."""

    number: int
    table: str
    key: dict[str, str] = field(default_factory=dict)
    changed_at: str | None = None
    """As the source spells it, in its local time."""
    operation: str | None = None
    user: str | None = None
    machine: str | None = None


def has_change_log(catalog: Catalog) -> bool:
    """Whether this login sees the change log and the tables that its ids stand for."""
    return all(set(table.columns) <= set(catalog.get(table.name, {})) for table in (_TABLES, _COLUMNS, _CHANGES, _KEYS))


def last_number(source: Source) -> int:
    """About the last entry's number, at most a hundred entries below it: where to begin."""
    after: Key | None = None
    for step in (1_000_000, 10_000, 100):
        while (found := source.boundary(_CHANGES, after, step)) is not None:
            after = found
    return int(after[0] or 0) if after is not None else 0


def read_changes(source: Source, since: int, *, overlap: int = OVERLAP_CHANGES) -> Iterator[Hint]:
    """Entries numbered above `since`, and some below it again, in their order; a block at a time."""
    tables = _names(source, _TABLES, "szTableName")
    columns = _names(source, _COLUMNS, "szColumnName")
    first = max(since - overlap, 0) + 1
    blocks = list(source.read(_CHANGES, bounds=Bounds((str(first),), None)))  # the keys need the same connection
    for block in blocks:
        if block.is_empty():
            continue
        numbers = [int(number) for number in block["lChangeID"].to_list()]
        keys = _keys(source, min(numbers), max(numbers), columns)
        for row in block.iter_rows(named=True):
            number = int(row["lChangeID"])
            yield Hint(
                number=number,
                table=tables.get(row["iTableID"], ""),
                key=keys.get(number, {}),
                changed_at=row["dtChange"],
                operation=row["szChangeType"],
                user=row["szSQLAccount"],
                machine=row["szMachineName"],
            )


def touched_code_tables(source: Source, known: dict[str, str]) -> dict[str, str]:
    """Code tables that say that they changed, with their stamps; `known` are the stamps seen last."""
    if not set(_CACHED.columns) <= set(source.catalog().get(_CACHED.name, {})):
        return {}
    seen = _names(source, _CACHED, "ts")
    return {name: stamp for name, stamp in seen.items() if known.get(name) != stamp}


def first_to_read(
    tables: Sequence[SourceTable], hints: Sequence[Hint], code_tables: Sequence[str]
) -> list[SourceTable]:
    """All the tables, those that something points at first."""
    named = {hint.table for hint in hints} | set(code_tables)
    return sorted(tables, key=lambda table: table.name not in named)


def read_hinted(source: Source, state: TableState, hints: Sequence[Hint]) -> Iterator[Batch]:
    """The rows that hints point at as they are now, ahead of the pass that finds out for certain.

    Only upserts: that a row is not there is for the comparison to say. A hint whose key is not the table's, as that of
    a supplement's whole, is passed over.
    """
    key = state.table.key
    keys: list[Key] = list(
        dict.fromkeys(
            tuple(hint.key[name] for name in key)
            for hint in hints
            if hint.table == state.table.name and all(name in hint.key for name in key)
        )
    )
    for begin in range(0, len(keys), _KEYS_AT_ONCE):
        asked = keys[begin : begin + _KEYS_AT_ONCE]
        for block in source.read_keyed(state.table, key, asked, years=state.years):
            yield Batch(iter((block,)), position=dict(state.position or {}))


def _names(source: Source, table: SourceTable, column: str) -> dict[str, str]:
    blocks = list(source.read(table))
    if not blocks:
        return {}
    rows: pl.DataFrame = pl.concat([block.select(table.key[0], column) for block in blocks])
    return {str(number): str(name) for number, name in rows.iter_rows()}


def _keys(source: Source, first: int, last: int, columns: dict[str, str]) -> dict[int, dict[str, str]]:
    bounds = Bounds((str(first), _LOWEST_COLUMN), (str(last + 1), _LOWEST_COLUMN))
    found: dict[int, dict[str, str]] = {}
    for block in source.read(_KEYS, bounds=bounds):
        for number, column, value in block.select("lChangeID", "iColumnID", "szKeyValue").iter_rows():
            found.setdefault(int(number), {})[columns.get(column, column)] = value
    return found
