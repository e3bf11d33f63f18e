"""Follows a table by its rowversion, which the server raises with every change of a row.

The token is the lowest version that an open transaction may still use (`MIN_ACTIVE_ROWVERSION()`), never the highest
that is seen: a version taken earlier may be committed later. Rows above the token are read all the same, so that a
transaction that stays open for hours keeps nobody waiting; the next pass reads them again and finds them unchanged.
What a rowversion cannot show are deletions; the comparison of keys that follows does.
"""

from collections.abc import Iterator

import polars as pl

from services.ingest.readers.batch import Batch, TableState
from services.ingest.readers.position import Position
from services.ingest.sources.source import Marker, Source

_HIGHEST = "0xFFFFFFFFFFFFFFFF"


def changes(source: Source, state: TableState, marker: Marker, position: Position) -> Iterator[Batch]:
    """Rows whose version is not below the saved token."""
    for block in source.changed(state.table, marker, state.token, _HIGHEST, years=state.years):
        yield upserts(block, position)


def upserts(block: pl.DataFrame, position: Position) -> Batch:
    """Rows as they are now, of a step that is read from its beginning again where it was cut short."""
    return Batch(iter((block,)), position=position.to_dict())
