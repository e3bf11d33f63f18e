"""What an engine makes of a reader's batches, in memory: the meaning of a batch, to judge readers by."""

import json
from dataclasses import dataclass, field, replace
from typing import Any

import polars as pl

from services.ingest.readers.batch import KEYLESS, Batch, Gap, Range, Stalled, TableState
from services.ingest.readers.chunk import ChunkSize
from services.ingest.readers.reading import Mode, read_table
from services.ingest.sources.source import HASH, WHOLE, Digest, Key, Source
from tests.support.memory_source import Row


@dataclass
class Picture:
    """Rows with the ranges that they were read in."""

    rows: dict[Key, Row] = field(default_factory=dict)
    ranges: dict[int, Range] = field(default_factory=dict)
    placed: dict[Key, int | None] = field(default_factory=dict)
    keyless: list[Row] = field(default_factory=list)
    token: str | None = None
    moved: set[Key] = field(default_factory=set)

    def copy(self) -> "Picture":
        return Picture(
            dict(self.rows), dict(self.ranges), dict(self.placed), list(self.keyless), self.token, set(self.moved)
        )


class Landing:
    """Stages batches one by one, and applies them when the pass is through."""

    def __init__(self, state: TableState, *, chunk: ChunkSize) -> None:
        self.landed, self.staged = Picture(), Picture()
        self.base, self.chunk = state, chunk
        self.is_loaded = False
        self.position: dict[str, Any] | None = None
        self.gaps: list[Gap] = []
        self.stalls: list[Stalled] = []
        self.batches: list[Batch] = []
        self.told: list[tuple[str, Key, Row]] = []
        self.most_rows_of_a_block = 0

    @property
    def state(self) -> TableState:
        ranges = tuple(sorted(self.landed.ranges.values(), key=lambda known: known.number))
        return replace(
            self.base, token=self.landed.token, is_loaded=self.is_loaded, ranges=ranges, position=self.position
        )

    def run(self, source: Source, *, mode: Mode = "incremental", batches: int | None = None) -> bool:
        """Read on, at most so many batches; whether the pass is through and applied."""
        if self.position is None:
            self.staged = self.landed.copy()
            self.staged.moved = set()
        for count, batch in enumerate(read_table(source, self.state, chunk=self.chunk, mode=mode)):
            if batches is not None and count == batches:
                return False
            self.stage(batch)
        self.landed, self.position, self.is_loaded = self.staged, None, True
        return True

    def stage(self, batch: Batch) -> None:
        self.batches.append(batch)
        self.gaps += [batch.gap] if batch.gap else []
        self.stalls += [batch.stalled] if batch.stalled else []
        read = self._put(batch)
        for key in batch.gone:
            self._drop(key)
        if batch.number is not None:
            self._place(batch, read)
        if batch.token is not None:
            self.staged.token = batch.token
        if batch.is_whole:
            for key in [key for key, number in self.staged.placed.items() if number is None]:
                self._drop(key)
        self.position = json.loads(json.dumps(batch.position))

    def _put(self, batch: Batch) -> dict[Key, str]:
        read: dict[Key, str] = {}
        if batch.number == KEYLESS:
            self.staged.keyless = []
        for block in batch.blocks:
            self.most_rows_of_a_block = max(self.most_rows_of_a_block, block.height)
            for row in block.iter_rows(named=True):
                self._put_row(batch, row, read)
        return read

    def _put_row(self, batch: Batch, row: dict[str, Any], read: dict[Key, str]) -> None:
        values: Row = {name: row[name] for name in self.base.table.columns}
        key = tuple(values[name] for name in self.base.table.key)
        if batch.number == KEYLESS:
            self.staged.keyless.append(values)
            return
        if batch.is_log:
            self.told.append((row["@op"], key, values))
            if row["@op"] == "d":
                self._drop(key)
                return
        self.staged.rows[key] = values
        self.staged.placed.setdefault(key, None)
        read[key] = row[HASH]

    def _place(self, batch: Batch, read: dict[Key, str]) -> None:
        assert batch.number is not None
        digest = Digest.of(pl.Series(list(read.values()), dtype=pl.String))
        self.staged.ranges[batch.number] = Range(batch.number, batch.bounds or WHOLE, digest)
        for key in read:
            self.staged.placed[key] = batch.number
        for number in batch.replaces:
            del self.staged.ranges[number]
        replaced = {batch.number, *batch.replaces}
        for key in [k for k, number in self.staged.placed.items() if number in replaced and k not in read]:
            self._drop(key)

    def _drop(self, key: Key) -> None:
        self.staged.rows.pop(key, None)
        self.staged.placed.pop(key, None)
