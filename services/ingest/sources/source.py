"""What a source has to be able to do, and how ranges of a table and their digests are said.

Everything that a source gives is text, exactly as it spells it: no value is rounded on its way, and keys are compared
by the source alone, whose collation decides what comes before what.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from chassis.errors import PermanentError
from contracts.mapping import SourceTable

HASH = "@hash"
"""The column beside the mapped ones: 32 hexadecimal digits over the row, or over its key."""

Key = tuple[str | None, ...]
"""A row's key: the exact texts that the source gave."""

Content = Literal["row", "key"]
"""What a digest is made of: all mapped columns, or those of the key only."""

MarkerKind = Literal["cdc", "change_tracking", "rowversion", "timestamp"]


@dataclass(frozen=True, slots=True)
class Bounds:
    """`lower <= key < upper` by the source's own comparison; null is open."""

    lower: Key | None = None
    upper: Key | None = None


WHOLE = Bounds()


def require_whole(table: SourceTable, bounds: Bounds) -> None:
    """Refuse a range of a source that has no order.

    Raises:
        PermanentError: `range_unsupported`.
    """
    if bounds != WHOLE:
        raise PermanentError("range_unsupported", f"{table.name} can only be read as a whole")


@dataclass(frozen=True, slots=True)
class Digest:
    """How many rows, and the sums of the halves of their hashes as signed 64-bit numbers.

    A sum, and not an exclusive or, so that a pair of equal rows does not cancel.
    """

    rows: int = 0
    high: int = 0
    low: int = 0

    @classmethod
    def of(cls, hashes: pl.Series) -> Self:
        """The digest of rows whose hashes are 32 hexadecimal digits each."""
        halves = np.frombuffer(bytes.fromhex("".join(hashes.to_list())), ">i8").reshape(-1, 2)
        return cls(len(hashes), _exact_sum(halves[:, 0]), _exact_sum(halves[:, 1]))

    @classmethod
    def parse(cls, text: str) -> Self:
        """What `str` wrote."""
        rows, high, low = map(int, text.split(":"))
        return cls(rows, high, low)

    def __add__(self, other: "Digest") -> "Digest":
        return Digest(self.rows + other.rows, self.high + other.high, self.low + other.low)

    def __str__(self) -> str:
        return f"{self.rows}:{self.high}:{self.low}"


def _exact_sum(values: NDArray[np.int64]) -> int:
    """In two parts, as the sum of some numbers of 64 bits needs more of them."""
    return (int((values >> 32).sum()) << 32) + int((values & 0xFFFFFFFF).sum())


@dataclass(frozen=True, slots=True)
class Asked:
    """A range whose digest is asked for."""

    table: SourceTable
    bounds: Bounds = WHOLE
    years: tuple[int, ...] = ()
    content: Content = "row"


@dataclass(frozen=True, slots=True)
class Marker:
    """What tells that a row of a table has changed."""

    kind: MarkerKind
    column: str | None = None
    """Of rowversion and timestamp."""
    instance: str | None = None
    """The capture instance, of cdc."""


@dataclass(frozen=True, slots=True)
class ColumnFacts:
    """A column as the source's catalogue describes it; `type` in the source's own word, lower case."""

    type: str
    length: int | None = None
    precision: int | None = None
    scale: int | None = None
    is_nullable: bool = True
    is_computed: bool = False
    collation: str | None = None


Catalog = dict[str, dict[str, ColumnFacts]]
"""Tables and their columns."""


@dataclass(frozen=True, slots=True)
class TableFacts:
    """What the catalogue says of a table beyond its columns."""

    rows: int | None = None
    primary_key: tuple[str, ...] = ()
    unique_keys: tuple[tuple[str, ...], ...] = ()
    clustered_key: tuple[str, ...] = ()
    indexes: tuple[tuple[str, ...], ...] = ()
    """The columns of every index, in its order."""
    rowversion_column: str | None = None
    has_change_tracking: bool = False
    capture_instances: tuple[str, ...] = ()
    triggers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """What kind of system the source is, read with SELECT rights only; null: this login cannot see it."""

    product: str
    version: str
    edition: str | None = None
    collation: str | None = None
    time_zone: str | None = None
    is_read_only: bool | None = None
    allows_snapshot_isolation: bool | None = None
    reads_committed_snapshot: bool | None = None
    has_cdc: bool | None = None
    has_change_tracking: bool | None = None
    can_view_state: bool | None = None
    can_write: bool | None = None
    tables: dict[str, TableFacts] = field(default_factory=dict)
    more: dict[str, Any] = field(default_factory=dict)


class Source(Protocol):
    """A legacy system that is read, and never written."""

    database: str
    is_consistent: bool
    """Whether everything read from it is of one moment."""

    def catalog(self) -> Catalog:
        """What there is to read."""
        ...

    def facts(self) -> SourceFacts:
        """What kind of system it is."""
        ...

    def now(self) -> datetime:
        """The server's own clock, in UTC."""
        ...

    def boundary(self, table: SourceTable, after: Key | None, rows: int, *, years: tuple[int, ...] = ()) -> Key | None:
        """The key of the row `rows` places after the first whose key is not below `after`; null: fewer are left.

        Where all of those rows have one key, the next key above it.
        """
        ...

    def read(
        self,
        table: SourceTable,
        *,
        bounds: Bounds = WHOLE,
        years: tuple[int, ...] = (),
        content: Content = "row",
    ) -> Iterator[pl.DataFrame]:
        """The mapped columns as texts with `HASH` beside them, in blocks of some megabytes."""
        ...

    def read_keyless(self, table: SourceTable, *, years: tuple[int, ...] = ()) -> Iterator[pl.DataFrame]:
        """Rows that have a null in a column of their key, which no bounds can hold."""
        ...

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
        """Rows between the bounds whose `columns` hold one of the values."""
        ...

    def digests(self, asked: Sequence[Asked]) -> list[Digest | None]:
        """Digests of ranges in one round trip; null where the source cannot compute one: then it has to be read."""
        ...

    def high_mark(self, table: SourceTable, marker: Marker) -> str:
        """The token below which (rowversion, timestamp) or up to which (cdc, change tracking) nothing is in flight."""
        ...

    def low_mark(self, table: SourceTable, marker: Marker) -> str | None:
        """The oldest token from which changes are still complete; null: always."""
        ...

    def changed(
        self, table: SourceTable, marker: Marker, since: str | None, until: str, *, years: tuple[int, ...] = ()
    ) -> Iterator[pl.DataFrame]:
        """Rows that changed: `since <= token < until` by rowversion or timestamp, `since < token <= until` by a log.

        Logs add `@op` (c, u, d), `@token`, `@sequence`, `@transaction`, and cdc `@before`, a row as JSON.
        """
        ...
