"""Follows a table by the change tables of Change Data Capture: every change with its image, in the order of commits.

A change is known by its commit's number, its own number and its operation, so that a pass goes on inside a
transaction. While a table has two capture instances, the older one is read up to where the newer one begins.
"""

from collections.abc import Generator, Iterator, Sequence
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
MOST_KEYS = 50_000


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
            yield Batch(iter((_moved_apart(state, block),)), is_log=True, position=position.to_dict())


def parts(
    source: Source, state: TableState, marker: Marker, *, since: str, until: str
) -> tuple[list[tuple[Marker, str, str]], str | None]:
    """Which capture instance tells of which commits, the oldest first.

    Where the oldest one begins too late the changes before it are lost: then the token it begins at is told as well.
    """
    found: list[tuple[Marker, str, str]] = []
    low = None
    for name in reversed(state.instances or ((marker.instance,) if marker.instance else ())):
        instance = replace(marker, instance=name)
        low = source.low_mark(state.table, instance)
        if low is None or _number(low) <= _number(since):
            return [(instance, since, until), *found], None
        if _number(low) < _number(until):
            found.insert(0, (instance, low, until))
            until = low
    return found, low or until


def changed_rows(
    source: Source, state: TableState, read: Sequence[tuple[Marker, str, str]], position: Position
) -> Generator[Batch, None, bool]:
    """The rows that the log names as they are now, for what was written while the table was read for the first time.

    An image of the log may be older than the row that was read. False, and nothing, where there are too many: then
    the log itself is to be read.
    """
    keys: dict[Key, None] = {}
    for marker, since, until in read:
        for block in source.changed(state.table, marker, since, until, years=state.years):
            keys.update(dict.fromkeys(block.select(state.table.key).rows()))
            if len(keys) > MOST_KEYS:
                return False
    asked = list(keys)
    for begin in range(0, len(asked), _KEYS_AT_ONCE):
        some = asked[begin : begin + _KEYS_AT_ONCE]
        rows = _current(source, state, some)
        there = set(rows.select(state.table.key).rows())
        yield Batch(iter((rows,)), gone=tuple(key for key in some if key not in there), position=position.to_dict())
    return True


def _moved_apart(state: TableState, block: pl.DataFrame) -> pl.DataFrame:
    """An update that moved a row to another key as the end of the one and the beginning of the other."""
    key = list(state.table.key)
    before = block["@before"].str.json_decode(pl.Struct(dict.fromkeys(key, pl.String))).struct.unnest()
    is_moved = (block["@op"] == "u") & block["@before"].is_not_null() & _differ(before, block.select(key))
    if not is_moved.any():
        return block
    numbered = block.with_row_index("@place")
    texts = [name for name in state.table.columns if name not in key]
    gone = numbered.with_columns(
        *before, *(pl.lit(None, pl.String).alias(name) for name in [*texts, HASH]), pl.lit("d").alias("@op")
    ).filter(is_moved)
    came = numbered.with_columns(pl.when(is_moved).then(pl.lit("c")).otherwise("@op").alias("@op"))
    came = came.with_columns(pl.when(~is_moved).then("@before").alias("@before"))
    return pl.concat([gone, came]).sort("@place", maintain_order=True).drop("@place")


def _differ(one: pl.DataFrame, other: pl.DataFrame) -> pl.Series:
    pairs = zip(one.iter_columns(), other.iter_columns(), strict=True)
    return pl.select(pl.any_horizontal([left.ne_missing(right) for left, right in pairs])).to_series()


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
