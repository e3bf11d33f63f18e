"""What a reader yields and what it is told."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from contracts.mapping import SourceTable
from services.ingest.sources.source import WHOLE, Bounds, Content, Digest, Key, Marker


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


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows that belong together; staged in one transaction with `position`.

    With `number` the blocks are all the rows that the source has between `bounds`: what is landed of that range and
    is not among them is gone.
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
    """Whether nothing needs doing: the range's digest is as it was."""
    position: dict[str, Any] = field(default_factory=dict)
    rows_compared: int = 0
    """Rows that were found unchanged by digest, without being read."""
