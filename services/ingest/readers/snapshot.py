"""Reads a table for the first time, in ranges of its key that are cut as they are read."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain

import polars as pl

from services.ingest.readers.batch import KEYLESS, Batch, TableState
from services.ingest.readers.chunk import ChunkSize
from services.ingest.readers.position import Position
from services.ingest.sources.source import Bounds, Source


def cut(source: Source, state: TableState, position: Position, chunk: ChunkSize) -> Iterator[Batch]:
    """One batch per range; what is written meanwhile behind the reader is left to the steps that follow."""
    while position.step == "cut":
        upper = None
        if state.is_ranged:
            upper = source.boundary(state.table, position.after, chunk.rows, years=state.years)
        bounds = Bounds(position.after, upper)
        number = position.number
        position = replace(position, after=upper, index=position.index + 1, number=number + 1)
        if upper is None:
            position = position.at_step("keyless")
        blocks = source.read(state.table, bounds=bounds, years=state.years, content=state.content)
        yield Batch(chunk.metered(iter(blocks)), bounds=bounds, number=number, position=position.to_dict())


def keyless(source: Source, state: TableState, position: Position) -> Iterator[Batch]:
    """All rows without a whole key as one range; none where there are no such rows and never were."""
    if position.index:
        return
    blocks = iter(source.read_keyless(state.table, years=state.years))
    first = next(blocks, None)
    if first is None and all(known.number != KEYLESS for known in state.ranges):
        return
    rest: Iterator[pl.DataFrame] = chain([] if first is None else [first], blocks)
    yield Batch(rest, bounds=Bounds(), number=KEYLESS, position=replace(position, index=1).to_dict())
