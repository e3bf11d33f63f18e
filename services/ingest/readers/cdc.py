"""Follows a table by the change tables of Change Data Capture: every change with its image, in the order of commits.

A change is known by its commit's number, its own number and its operation, so that a pass goes on inside a
transaction. While a table has two capture instances, the older one is read up to where the newer one begins.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import polars as pl

from services.ingest.readers.batch import Batch, TableState
from services.ingest.readers.position import Position
from services.ingest.readers.tokens import before, number
from services.ingest.sources.source import HASH, Key, Marker, Source

Change = tuple[str, str, str]
"""Commit, change, operation."""

_ORDER = {"d": 1, "c": 2, "u": 4}
_KEYS_AT_ONCE = 500
_BEFORE = "@before"


def changes(
    source: Source, state: TableState, parts: Sequence[tuple[Marker, str, str]], position: Position
) -> Iterator[Batch]:
    """The log's changes, each part from below its first commit to its last."""
    for marker, since, until in parts:
        begin = since
        if position.at is not None:
            begin = max(since, before(position.at[0]), key=_number)
            if _number(begin) >= _number(until):
                continue
        for read in source.changed(state.table, marker, begin, until, years=state.years):
            block = _after(read, position.at)
            if block.is_empty():
                continue
            position = replace(position, at=_change(block.row(-1, named=True)))
            if state.unlogged:
                block = _completed(source, state, block)
            yield Batch(iter((block,)), is_log=True, position=position.to_dict())


def parts(
    source: Source, state: TableState, marker: Marker, *, since: str, until: str
) -> tuple[list[tuple[Marker, str, str]], str | None]:
    """Which capture instance tells of which commits, the oldest first.

    Where the oldest one begins too late the changes before it are lost: then its lowest number is told as well.
    """
    found: list[tuple[Marker, str, str]] = []
    names = state.instances or ((marker.instance,) if marker.instance else ())
    low = None
    for name in reversed(names):
        instance = replace(marker, instance=name)
        low = source.low_mark(state.table, instance)
        if low is None or 0 < _number(low) <= _number(since) + 1:
            return [(instance, since, until), *found], None
        if 0 < _number(low) <= _number(until):
            found.insert(0, (instance, before(low), until))
            until = before(low)
    return found, low if low is not None else until


def changed_keys(
    source: Source, state: TableState, read: Sequence[tuple[Marker, str, str]], position: Position
) -> Iterator[Batch]:
    """The rows that the log names as they are now, for what was written while the table was read for the first time.

    An image of the log may be older than the row that was read.
    """
    for marker, since, until in read:
        for block in source.changed(state.table, marker, since, until, years=state.years):
            keys = block.select(state.table.key).unique(maintain_order=True).rows()
            for begin in range(0, len(keys), _KEYS_AT_ONCE):
                asked = keys[begin : begin + _KEYS_AT_ONCE]
                rows = _current(source, state, asked)
                there = set(rows.select(state.table.key).rows())
                gone = tuple(key for key in asked if key not in there)
                yield Batch(iter((rows,)), gone=gone, position=position.to_dict())


def _completed(source: Source, state: TableState, block: pl.DataFrame) -> pl.DataFrame:
    """Columns that the log leaves null from the rows as they are now.

    Of a row that is no longer there the log goes on to tell; until then the change is left out, never told with nulls.
    """
    key, names = list(state.table.key), [*state.unlogged, HASH]
    is_there = pl.col("@op") != "d"
    keys = block.filter(is_there).select(key).unique(maintain_order=True).rows()
    current = [
        _current(source, state, keys[begin : begin + _KEYS_AT_ONCE]) for begin in range(0, len(keys), _KEYS_AT_ONCE)
    ]
    if not current:
        return block
    rows = pl.concat(current).select(*key, *(pl.col(name).alias(f"@now_{name}") for name in names))
    rows = rows.with_columns(pl.lit(value=True).alias("@found")).unique(key)
    joined = block.join(rows, on=key, how="left", maintain_order="left").filter(
        ~is_there | pl.col("@found").is_not_null()
    )
    filled = [pl.when(is_there).then(f"@now_{name}").otherwise(name).alias(name) for name in names]
    return joined.with_columns(filled).select(block.columns)


def _current(source: Source, state: TableState, keys: Sequence[Key]) -> pl.DataFrame:
    frames = list(source.read_keyed(state.table, state.table.key, keys, years=state.years))
    schema = dict.fromkeys([*state.table.columns, HASH], pl.String)
    return pl.concat([pl.DataFrame(schema=schema), *(frame.select(list(schema)) for frame in frames)])


def _after(block: pl.DataFrame, at: Change | None) -> pl.DataFrame:
    """What comes after a change that was read already."""
    if at is None or block.is_empty():
        return block
    last = _place(at)
    known = 0
    for change in block.select("@token", "@sequence", "@op").iter_rows():
        if _place(change) > last:
            break
        known += 1
    return block.slice(known)


def _change(row: dict[str, str]) -> Change:
    return row["@token"], row["@sequence"], row["@op"]


def _place(change: Change) -> tuple[int, int, int]:
    return _number(change[0]), _number(change[1]), _ORDER[change[2]]


def _number(token: str) -> int:
    return number(token, "cdc")
