"""Follows a table by its rowversion, which the server raises with every change of a row.

The upper end is the lowest version that an open transaction may still use (`MIN_ACTIVE_ROWVERSION()`), never the
highest that is seen: a version taken earlier may be committed later. What it cannot see are deletions; the
comparison of keys that follows does.
"""

from collections.abc import Iterator
from dataclasses import replace

import polars as pl

from services.ingest.readers.batch import Batch, TableState
from services.ingest.readers.position import Position
from services.ingest.sources.source import Marker, Source


def changes(source: Source, state: TableState, marker: Marker, position: Position) -> Iterator[Batch]:
    """Rows whose version lies between the saved token and the new one, which the last batch names."""
    assert position.token is not None
    if state.token == position.token:
        return  # no version has been used since
    for block in source.changed(state.table, marker, state.token, position.token, years=state.years):
        yield upserts(block, position)


def upserts(block: pl.DataFrame, position: Position) -> Batch:
    """Rows as they are now, of a step that is read from its beginning again where it was cut short."""
    return Batch(iter((block,)), position=replace(position, at=None).to_dict())
