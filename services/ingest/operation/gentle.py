"""A source that is asked gently: timed, tried again where that helps, and read around rows that went bad."""

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import TypeVar

import polars as pl

from chassis.errors import PermanentError, TransientError
from contracts.mapping import SourceTable
from services.ingest.operation import metrics
from services.ingest.operation.bisect import read_around
from services.ingest.operation.failures import ROW_UNREADABLE, refusals
from services.ingest.operation.pace import Pace
from services.ingest.operation.retries import try_again
from services.ingest.sources.source import (
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

HELD_BYTES = 24 * 1024 * 1024
"""So much of a read is held back until it is known to have worked; a chunk is smaller, so it can be repeated whole."""
Answer = TypeVar("Answer")
Blocks = Iterator[pl.DataFrame]


class GentleSource(Source):
    """Passes everything on to a pair's source."""

    def __init__(self, source: Source, *, county: str, pair: str, pace: Pace) -> None:
        self.source = source
        self.county, self.pair, self.pace = county, pair, pace
        self.database = source.database
        self.is_consistent = source.is_consistent
        self._unreadable: dict[str, list[Key]] = {}

    def take_unreadable(self, table: str) -> list[Key]:
        """Keys of a table's rows that could not be read since this was asked last; they are not gone."""
        return self._unreadable.pop(table, [])

    def catalog(self) -> Catalog:
        """As the source's."""
        return self._ask("catalog", self.source.catalog)

    def facts(self) -> SourceFacts:
        """As the source's."""
        return self._ask("facts", self.source.facts)

    def now(self) -> datetime:
        """As the source's."""
        return self._ask("now", self.source.now)

    def boundary(self, table: SourceTable, after: Key | None, rows: int, *, years: tuple[int, ...] = ()) -> Key | None:
        """As the source's."""
        return self._ask("boundary", lambda: self.source.boundary(table, after, rows, years=years))

    def high_mark(self, table: SourceTable, marker: Marker) -> str:
        """As the source's."""
        return self._ask("high_mark", lambda: self.source.high_mark(table, marker))

    def low_mark(self, table: SourceTable, marker: Marker) -> str | None:
        """As the source's."""
        return self._ask("low_mark", lambda: self.source.low_mark(table, marker))

    def digests(self, asked: Sequence[Asked]) -> list[Digest | None]:
        """As the source's; null for a range with a row that cannot be read."""
        try:
            return self._ask("digests", lambda: self.source.digests(asked))
        except PermanentError as error:
            if error.code != ROW_UNREADABLE:
                raise
        if len(asked) == 1:
            return [None]
        middle = len(asked) // 2
        return [*self.digests(asked[:middle]), *self.digests(asked[middle:])]

    def read(
        self, table: SourceTable, *, bounds: Bounds = WHOLE, years: tuple[int, ...] = (), content: Content = "row"
    ) -> Blocks:
        """As the source's, without the rows that it cannot give: `take_unreadable` has their keys."""
        try:
            blocks, rest = self._begin(
                table, lambda: self.source.read(table, bounds=bounds, years=years, content=content)
            )
        except PermanentError as error:
            if error.code != ROW_UNREADABLE:
                raise
            around = read_around(self.source, table, bounds, name=self.pair, years=years, content=content)
            self._unreadable.setdefault(table.name, []).extend(around.poison)
            blocks, rest = around.blocks, iter(())
        yield from self._counted(table, blocks, rest)

    def read_keyless(self, table: SourceTable, *, years: tuple[int, ...] = ()) -> Blocks:
        """As the source's."""
        blocks, rest = self._begin(table, lambda: self.source.read_keyless(table, years=years))
        yield from self._counted(table, blocks, rest)

    def read_keyed(
        self,
        table: SourceTable,
        columns: tuple[str, ...],
        values: Sequence[Key],
        *,
        bounds: Bounds = WHOLE,
        years: tuple[int, ...] = (),
        content: Content = "row",
    ) -> Blocks:
        """As the source's."""
        blocks, rest = self._begin(
            table, lambda: self.source.read_keyed(table, columns, values, bounds=bounds, years=years, content=content)
        )
        yield from self._counted(table, blocks, rest)

    def changed(
        self, table: SourceTable, marker: Marker, since: str | None, until: str, *, years: tuple[int, ...] = ()
    ) -> Blocks:
        """As the source's."""
        blocks, rest = self._begin(table, lambda: self.source.changed(table, marker, since, until, years=years))
        yield from self._counted(table, blocks, rest)

    def _begin(self, table: SourceTable, read: Callable[[], Blocks]) -> tuple[list[pl.DataFrame], Blocks]:
        """The first blocks, all of them where they are few, and the others."""

        def begin() -> tuple[list[pl.DataFrame], Blocks]:
            blocks: list[pl.DataFrame] = []
            size = 0
            reading = read()
            for block in reading:
                blocks.append(block)
                size += int(block.estimated_size())
                if size >= HELD_BYTES:
                    return blocks, reading
            return blocks, iter(())

        return self._ask("read", begin, table=table.name)

    def _counted(self, table: SourceTable, blocks: list[pl.DataFrame], rest: Blocks) -> Blocks:
        """All blocks, counted; the first are let go of one by one."""
        blocks.reverse()
        while blocks:
            yield self._count(table, blocks.pop())
        with refusals(self.pair):
            for block in rest:
                yield self._count(table, block)

    def _count(self, table: SourceTable, block: pl.DataFrame) -> pl.DataFrame:
        self.pace.count(block.height)
        metrics.ROWS_READ.labels(self.county, self.pair, table.name).inc(block.height)
        return block

    def _ask(self, query: str, action: Callable[[], Answer], *, table: str = "") -> Answer:
        """What the source answers, asked again where that helps."""

        def ask() -> Answer:
            begun = time.monotonic()
            try:
                with refusals(self.pair):
                    return action()
            finally:
                seconds = metrics.SOURCE_QUERY_SECONDS.labels(self.county, self.pair, query)
                seconds.observe(time.monotonic() - begun)

        return try_again(ask, self.pace.wait, when=self._helps)

    def _helps(self, error: TransientError) -> bool:
        """A lost connection needs a new run; a deadlock ends the transaction that holds one moment's picture."""
        return error.code == "source_locked" or (error.code == "source_deadlocked" and not self.is_consistent)
