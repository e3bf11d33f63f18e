"""What many rows come to: how many, digests of keys and contents, exact sums of money. Two sides with one tally agree.

Nothing of it depends on the order of rows, and rows can be taken out again, so tables of any size are tallied block by
block. Sums of hashes, and not an exclusive or, so that a pair of equal rows does not cancel.
"""

from dataclasses import dataclass, field
from decimal import Context, Decimal
from hashlib import blake2b
from typing import Any

import numpy as np
import polars as pl

from contracts.mapping import ColumnType, Link, SourceTable
from services.ingest.domain.rows import KEY

BUCKETS = 4096
"""Rows are kept apart by so many parts of their keys' hashes, so that what differs is found without holding rows."""
CONTENT = "@content"
EXACT = Context(prec=200)
"""Python's own context rounds to 28 digits, also where a number only changes its sign."""
_DECIMAL_DIGITS = 38
Layer = tuple[str, str]
"""A tax year and a supplement; empty where the table has none."""
Sums = dict[tuple[str, Layer], Decimal]
"""By column and layer."""


@dataclass(frozen=True, slots=True)
class Count:
    """How many rows, and the sums of the halves of their hashes as signed 64-bit numbers."""

    rows: int = 0
    high: int = 0
    low: int = 0

    @classmethod
    def of(cls, halves: Any) -> "Count":
        """Of hashes as two columns."""
        return cls(len(halves), _exact_sum(halves[:, 0]), _exact_sum(halves[:, 1]))

    def __add__(self, other: "Count") -> "Count":
        return Count(self.rows + other.rows, self.high + other.high, self.low + other.low)

    def __sub__(self, other: "Count") -> "Count":
        return Count(self.rows - other.rows, self.high - other.high, self.low - other.low)

    def __str__(self) -> str:
        return f"{self.rows}:{self.high}:{self.low}"


@dataclass
class Tally:
    """One side of a table."""

    keys: Count = field(default_factory=Count)
    content: Count = field(default_factory=Count)
    sums: Sums = field(default_factory=dict)
    ranges: dict[int | None, Count] = field(default_factory=dict)
    buckets: Any = field(default_factory=lambda: np.zeros((BUCKETS, 3), np.uint64))
    """Of each part of the keys: rows and both halves, modulo 2^64."""

    @property
    def rows(self) -> int:
        """How many."""
        return self.content.rows

    def take(self, table: SourceTable, rows: pl.DataFrame, *, numbers: pl.Series | None = None, sign: int = 1) -> None:
        """Count rows in, or out with -1; they have `KEY` and `CONTENT`. `numbers` are the ranges that they are in."""
        if rows.is_empty():
            return
        keys, content = hash_halves(rows[KEY]), halves_of(rows[CONTENT])
        self.keys = self.keys + Count.of(keys) if sign > 0 else self.keys - Count.of(keys)
        self.content = self.content + Count.of(content) if sign > 0 else self.content - Count.of(content)
        changed = np.zeros_like(self.buckets)
        parts = np.column_stack([np.ones(len(keys), np.uint64), content.astype(np.int64).view(np.uint64)])
        np.add.at(changed, buckets_of(keys), parts)
        self.buckets = self.buckets + changed if sign > 0 else self.buckets - changed
        for place, value in money_sums(table, rows).items():
            known = self.sums.get(place, Decimal())
            self.sums[place] = EXACT.add(known, value) if sign > 0 else EXACT.subtract(known, value)
        if numbers is not None:
            self._take_ranges(numbers, content, sign)

    def _take_ranges(self, numbers: pl.Series, content: Any, sign: int) -> None:
        for (number,), places in numbers.to_frame("number").with_row_index().group_by("number"):
            found = Count.of(content[places["index"].to_numpy()])
            known = self.ranges.get(number, Count())
            self.ranges[number] = known + found if sign > 0 else known - found

    def differing_buckets(self, other: "Tally") -> list[int]:
        """The parts of the keys in which the sides are not alike."""
        return [int(number) for number in np.nonzero((self.buckets != other.buckets).any(axis=1))[0]]


class HashSet:
    """So many different things by their hashes: 16 bytes each, whatever they are."""

    def __init__(self) -> None:
        self._parts: list[Any] = []

    def add(self, texts: pl.Series) -> None:
        """Things that may be there already."""
        if len(texts):
            self._parts.append(np.unique(hash_halves(texts), axis=0))

    def count(self) -> Count:
        """How many there are, each once."""
        return Count.of(np.unique(np.concatenate(self._parts), axis=0)) if self._parts else Count()


def with_content(table: SourceTable, rows: pl.DataFrame) -> pl.DataFrame:
    """Rows in canonical form with a hash over key and contents, bound together; what is never stored stays out."""
    return rows.with_columns(pl.Series(CONTENT, content_hashes(table, rows), dtype=pl.String))


def content_hashes(table: SourceTable, rows: pl.DataFrame) -> list[str]:
    """128 bits of BLAKE2b over each row's key and JSON."""
    dropped = {name for name, treatment in table.personal_as.items() if treatment == "drop"}
    kept = [name for name in table.columns if name not in dropped]
    encoded = rows.select(pl.struct(kept).struct.json_encode()).to_series()
    return [_digest(f"{key}\0{text}") for key, text in zip(rows[KEY], encoded, strict=True)]


def hash_halves(texts: pl.Series) -> Any:
    """The hashes of texts as two columns of signed 64-bit numbers."""
    return halves_of(pl.Series([_digest(text) for text in texts], dtype=pl.String))


def halves_of(hashes: pl.Series) -> Any:
    """Hashes of 32 hexadecimal digits as two columns of numbers."""
    return np.frombuffer(bytes.fromhex("".join(hashes.to_list())), ">i8").reshape(-1, 2)


def buckets_of(keys: Any) -> Any:
    """The part of the keys that each hash belongs to."""
    return (keys[:, 1].astype(np.int64).view(np.uint64) % np.uint64(BUCKETS)).astype(np.int64)


def money_columns(table: SourceTable) -> list[str]:
    """Columns that are summed: decimals, but those of the key."""
    return [name for name, kind in table.columns.items() if kind is ColumnType.DECIMAL and name not in table.key]


def layer_columns(table: SourceTable) -> tuple[str | None, str | None]:
    """The columns of tax year and supplement."""
    year, supplement = (
        table.link_columns(link)[0] if link in table.links else None for link in (Link.TAX_YEAR, Link.SUPPLEMENT)
    )
    return year, supplement


def money_sums(table: SourceTable, rows: pl.DataFrame) -> Sums:
    """Exact sums of every decimal column by tax year and supplement; a column of nulls sums to nothing."""
    layer = [
        pl.col(name).cast(pl.String).fill_null("") if name is not None else pl.lit("") for name in layer_columns(table)
    ]
    found: Sums = {}
    for name in money_columns(table):
        value = pl.col(name).alias("@value")
        chosen = rows.select(layer[0].alias("@year"), layer[1].alias("@supplement"), value)
        chosen = chosen.filter(pl.col("@value").is_not_null())
        if chosen.height:
            found |= {(name, of): total for of, total in _summed(chosen).items()}
    return found


def _summed(rows: pl.DataFrame) -> dict[Layer, Decimal]:
    """In whole numbers of a fixed scale where they cannot overflow, which is fast, else one by one."""
    scale = rows["@value"].str.extract(r"\.(\d+)$").str.len_chars().max() or 0
    length = int(rows["@value"].str.len_chars().max() or 0)  # type: ignore[arg-type]
    by = ["@year", "@supplement"]
    if length + len(str(rows.height)) + int(scale) < _DECIMAL_DIGITS:  # type: ignore[arg-type]
        typed = rows.with_columns(pl.col("@value").cast(pl.Decimal(_DECIMAL_DIGITS, int(scale))))  # type: ignore[arg-type]
        return {(year, part): value for year, part, value in typed.group_by(by).agg(pl.col("@value").sum()).iter_rows()}
    found: dict[Layer, Decimal] = {}
    for year, part, value in rows.select(*by, "@value").iter_rows():
        found[year, part] = EXACT.add(found.get((year, part), Decimal()), Decimal(value))
    return found


def _digest(text: str) -> str:
    return blake2b(text.encode(), digest_size=16).hexdigest()


def _exact_sum(values: Any) -> int:
    """In two parts, as the sum of some numbers of 64 bits needs more of them."""
    return (int((values >> 32).sum()) << 32) + int((values & 0xFFFFFFFF).sum())
