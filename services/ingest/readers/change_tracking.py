"""Follows a table by Change Tracking: which keys changed since a version, joined with the rows as they are now.

A row that was deleted between the two is left out: its deletion has a later version and comes with the next pass.
"""

from collections.abc import Iterator

import polars as pl

from services.ingest.readers.batch import Batch, TableState
from services.ingest.readers.position import Position
from services.ingest.sources.source import HASH, Marker, Source


def changes(source: Source, state: TableState, marker: Marker, position: Position) -> Iterator[Batch]:
    """The net change of every key since the saved version."""
    assert position.token is not None
    if state.token == position.token:
        return
    for block in source.changed(state.table, marker, state.token, position.token, years=state.years):
        rows, gone = split(state, block)
        yield Batch(iter((rows,)), gone=gone, position=position.to_dict())


def split(state: TableState, block: pl.DataFrame) -> tuple[pl.DataFrame, tuple[tuple[str | None, ...], ...]]:
    """Rows that are there, and keys of those that are gone."""
    gone = block.filter(pl.col("@op") == "d").select(state.table.key).rows()
    rows = block.filter((pl.col("@op") != "d") & pl.col(HASH).is_not_null())
    return rows.select([*state.table.columns, HASH]), tuple(gone)
