"""What a reader yields and what it is told."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from contracts.mapping import SourceTable
from services.ingest.sources.source import WHOLE, Bounds, Content, Digest, Key, Marker

KEYLESS = -1
"""The number of the range of rows that have a null in their key."""


@dataclass(frozen=True, slots=True)
class Range:
    """A stretch of a landed table's keys; `digest` is null where it has to be read again."""

    number: int
    bounds: Bounds = WHOLE
    digest: Digest | None = None


@dataclass(frozen=True, slots=True)
class TableState:
    """What is known of a table before it is read."""

    table: SourceTable
    marker: Marker | None = None
    """Null: by ranges alone."""
    content: Content = "row"
    token: str | None = None
    is_loaded: bool = False
    ranges: tuple[Range, ...] = ()
    years: tuple[int, ...] = ()
    position: dict[str, Any] | None = None
    """Where the last batch that was staged left off; null: at the beginning."""
    is_ranged: bool = True
    """Whether an index serves the key's order; false: the table is one range."""
    overlap_seconds: int = 7_200
    """How much a timestamp reader reads again."""
    instances: tuple[str, ...] = ()
    """The table's capture instances, the oldest first; none: the marker's."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Changes between two tokens that the source no longer has, or that never led to its present state."""

    table: str
    since: str
    """The token that was saved."""
    low_mark: str
    """The oldest token from which changes are complete; of a source that was set back, its present token."""


@dataclass(frozen=True, slots=True)
class Stalled:
    """The log stands still while the table's rows have changed: nobody is capturing."""

    table: str
    token: str
    since: str
    """When the difference was seen first, by the server's clock, ISO 8601 in UTC."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows that belong together; staged in one transaction with `position`.

    With `number` the blocks are all the rows that the source has between `bounds`: what is landed of that range or of
    those it `replaces`, is not among them, and was not read into another range earlier in the same run is gone.
    """

    blocks: Iterator[pl.DataFrame]
    bounds: Bounds | None = None
    number: int | None = None
    replaces: tuple[int, ...] = ()
    """Ranges that this one stands for from now on."""
    gone: tuple[Key, ...] = ()
    """Keys that a log says are deleted."""
    is_log: bool = False
    """Whether every row is a change to be told of in order, with `@op`, `@token`, `@before`."""
    token: str | None = None
    """What the table's token is once this batch is applied; null: as before."""
    is_compared: bool = False
    """Whether nothing needs doing: the digests of the ranges are as they were."""
    position: dict[str, Any] = field(default_factory=dict)
    rows_compared: int = 0
    """Rows that were found unchanged by digest, without being read; also beside the blocks of a range that differs."""
    is_whole: bool = False
    """Whether all ranges are read or compared by now: a landed row that has been placed in none of them is gone."""
    gap: Gap | None = None
    """Set before the batches that repair it by reading the whole table again."""
    stalled: Stalled | None = None
