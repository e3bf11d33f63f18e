"""A database as a source: one reader for every driver and every kind of server."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import cached_property

import polars as pl

from chassis.errors import PermanentError
from contracts.mapping import SourceTable
from services.ingest.sources.dialects.dialect import Sql
from services.ingest.sources.server import Server
from services.ingest.sources.source import (
    HASH,
    WHOLE,
    Asked,
    Bounds,
    Catalog,
    Content,
    Digest,
    Key,
    Marker,
    Source,
    SourceFacts,
)
from services.ingest.sources.statements import Statements


class SqlSource(Source):
    """Reads, and never writes; the server compares, spells and hashes."""

    def __init__(self, server: Server, schema: str) -> None:
        self.server = server
        self.session = server.session
        self.schema = schema
        self.database = server.session.database
        self.is_consistent = server.is_consistent

    @cached_property
    def statements(self) -> Statements:
        """The queries of this schema."""
        return Statements(self.server.dialect, self.schema, self.catalog())

    def catalog(self) -> Catalog:
        """Every column that this login may see."""
        return self._catalog

    @cached_property
    def _catalog(self) -> Catalog:
        return self.server.catalog(self.schema)

    def facts(self) -> SourceFacts:
        """As the server's own views tell."""
        return self.server.facts(self.schema)

    def now(self) -> datetime:
        """The server's clock."""
        return datetime.fromisoformat(self.server.clock()[:26]).replace(tzinfo=UTC)

    def boundary(self, table: SourceTable, after: Key | None, rows: int, *, years: tuple[int, ...] = ()) -> Key | None:
        """As `Source.boundary`; whether keys are equal is for the source to say, whose collation it is."""
        found = self._key(self.statements.key_after(table, after, rows, years))
        if found is None or rows == 0 or self._has_rows(table, Bounds(after, found), years):
            return found
        return self._key(self.statements.key_above(table, found, years))

    def _key(self, query: Sql) -> Key | None:
        found = self.session.rows(query)
        return tuple(found[0]) if found else None

    def _has_rows(self, table: SourceTable, bounds: Bounds, years: tuple[int, ...]) -> bool:
        return self.session.value(self.statements.any_row(table, bounds, years)) is not None

    def read(
        self,
        table: SourceTable,
        *,
        bounds: Bounds = WHOLE,
        years: tuple[int, ...] = (),
        content: Content = "row",
    ) -> Iterator[pl.DataFrame]:
        """As `Source.read`."""
        return self._blocks(table, self.statements.read(table, bounds, years, content))

    def read_keyless(self, table: SourceTable, *, years: tuple[int, ...] = ()) -> Iterator[pl.DataFrame]:
        """As `Source.read_keyless`."""
        query = self.statements.keyless(table, years)
        if query is not None:
            yield from self._blocks(table, query)

    def read_keyed(
        self,
        table: SourceTable,
        columns: tuple[str, ...],
        values: Sequence[Key],
        *,
        bounds: Bounds = WHOLE,
        years: tuple[int, ...] = (),
        content: Content = "row",
    ) -> Iterator[pl.DataFrame]:
        """As `Source.read_keyed`."""
        for query in self.statements.keyed(table, columns, values, years, content, bounds=bounds):
            yield from self._blocks(table, query)

    def digests(self, asked: Sequence[Asked]) -> list[Digest | None]:
        """As `Source.digests`."""
        found: list[Digest | None] = [None] * len(asked)
        for query in self.statements.digests(asked):
            for ordinal, rows, high, low in self.session.rows(query):
                found[int(ordinal)] = Digest(int(rows), int(high), int(low))
        return found

    def high_mark(self, table: SourceTable, marker: Marker) -> str:
        """As `Source.high_mark`."""
        column = self.statements.column(table, marker.column) if marker.column else None
        return self.server.high_mark(self.schema, marker, column)

    def low_mark(self, table: SourceTable, marker: Marker) -> str | None:
        """As `Source.low_mark`."""
        return self.server.low_mark(self.schema, table, marker)

    def changed(
        self, table: SourceTable, marker: Marker, since: str | None, until: str, *, years: tuple[int, ...] = ()
    ) -> Iterator[pl.DataFrame]:
        """As `Source.changed`."""
        if marker.kind in {"cdc", "change_tracking"}:
            logged = self.server.logged(self.statements, table, marker, since=since, until=until)
            return (of_years(table, years, block) for block in logged)
        if marker.column is None:
            raise PermanentError("marker_column_missing", f"{marker.kind} of {table.name} names no column")
        return self._blocks(table, self.statements.changed(table, marker.column, since, until, years))

    def _blocks(self, table: SourceTable, query: Sql) -> Iterator[pl.DataFrame]:
        return self.session.blocks(query, [*table.columns, HASH])


def of_years(table: SourceTable, years: tuple[int, ...], logged: pl.DataFrame) -> pl.DataFrame:
    """Logged changes as they look to one who sees these years only: a row that leaves them is gone."""
    if not years:
        return logged
    year = pl.col(table.year_column).cast(pl.Decimal(38, 4), strict=False).cast(pl.Int64)
    is_outside = ~year.is_in(years).fill_null(value=False) & (pl.col("@op") != "d")
    return logged.filter(~(is_outside & (pl.col("@op") == "c"))).with_columns(
        pl.when(is_outside).then(pl.lit("d")).otherwise(pl.col("@op")).alias("@op"),
        pl.when(~is_outside).then(pl.col(HASH)).alias(HASH),
    )
