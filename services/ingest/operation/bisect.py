"""Reading around a poison row: a chunk that cannot be read is halved until the row that spoils it stands alone."""

from dataclasses import dataclass, field
from typing import TypeVar

import polars as pl

from chassis.errors import PermanentError
from contracts.mapping import SourceTable
from services.ingest.operation.failures import ROW_UNREADABLE, refusals
from services.ingest.sources.source import Asked, Bounds, Content, Key, Source

MOST_POISON = 100
"""More rows than this are not a few that went bad, but a mapping or a driver that is wrong."""
Judged = TypeVar("Judged")


@dataclass
class Around:
    """What could be read of a chunk, and the keys of the rows that could not."""

    blocks: list[pl.DataFrame] = field(default_factory=list)
    poison: list[Key] = field(default_factory=list)


def read_around(
    source: Source,
    table: SourceTable,
    bounds: Bounds,
    *,
    name: str,
    years: tuple[int, ...] = (),
    content: Content = "row",
) -> Around:
    """All rows between the bounds but those that the source, that of the pair `name`, cannot give.

    Raises:
        PermanentError: `source_row_unreadable` where the source cannot tell its keys either, or for too many rows.
    """
    found = Around()
    _read(source, Asked(table, bounds, years, content), found, name)
    return found


def _read(source: Source, asked: Asked, found: Around, name: str) -> None:
    try:
        with refusals(name):
            blocks = list(source.read(asked.table, bounds=asked.bounds, years=asked.years, content=asked.content))
    except PermanentError as error:
        if error.code != ROW_UNREADABLE:
            raise
        _halve(source, asked, found, name, error)
    else:
        found.blocks += blocks


def _halve(source: Source, asked: Asked, found: Around, name: str, error: PermanentError) -> None:
    """Read both halves of a chunk by themselves; one key alone is the poison.

    Rows are counted by their keys alone, which the value that spoils the chunk does not touch.
    """
    table, bounds, years = asked.table, asked.bounds, asked.years
    (digest,) = source.digests([Asked(table, bounds, years, "key")])
    if digest is None:
        raise error
    if digest.rows == 0:
        return
    middle = source.boundary(table, bounds.lower, digest.rows // 2, years=years) if digest.rows > 1 else None
    if middle is None or middle == bounds.upper:
        poison = source.boundary(table, bounds.lower, 0, years=years)
        if poison is None or len(found.poison) >= MOST_POISON:
            raise error
        found.poison.append(poison)
        return
    for half in (Bounds(bounds.lower, middle), Bounds(middle, bounds.upper)):
        _read(source, Asked(table, half, years, asked.content), found, name)
