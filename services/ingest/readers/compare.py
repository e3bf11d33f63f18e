"""Asks the source for digests of ranges and reads only those that differ from what was read of them last.

Keys are never compared here: which ranges are neighbours follows from equal bounds, and whether a new bound lies
inside a range the source says by counting.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from services.ingest.readers.batch import KEYLESS, Batch, Range, TableState
from services.ingest.readers.chunk import ChunkSize
from services.ingest.readers.position import Position
from services.ingest.sources.source import Asked, Bounds, Digest, Key, Source

ASKED_RANGES, ASKED_ROWS = 100, 500_000
"""The most that is asked for in one round trip: a short query, and a stop that is not far."""

_GROWN = 2


@dataclass(frozen=True, slots=True)
class _Reread:
    """Neighbouring ranges that are read as one."""

    ranges: tuple[Range, ...]
    rows: int | None
    """As far as anybody knows before they are read."""
    rows_compared: int
    """Of equal ranges before them."""
    index: int
    """Of the range behind them."""

    @property
    def bounds(self) -> Bounds:
        return Bounds(self.ranges[0].bounds.lower, self.ranges[-1].bounds.upper)


def ordered(ranges: Sequence[Range]) -> list[Range]:
    """Ranges in the order of their keys, without the one of rows that have none."""
    by_lower = {known.bounds.lower: known for known in ranges if known.number != KEYLESS}
    found: list[Range] = []
    lower: Key | None = None
    while (lower in by_lower) and (not found or lower is not None):
        found.append(by_lower.pop(lower))
        lower = found[-1].bounds.upper
    if by_lower or lower is not None:
        raise ValueError("the ranges do not cover all keys once")
    return found


def next_number(ranges: Sequence[Range]) -> int:
    """A number that no range has had."""
    return max([0, *(known.number for known in ranges)]) + 1


def compare(
    source: Source, state: TableState, position: Position, chunk: ChunkSize, *, is_full: bool = False
) -> Iterator[Batch]:
    """Batches of ranges that differ, and one at the end of each round trip that sums up those that do not.

    With `is_full` every range is read, whatever its digest.
    """
    ranges = ordered(state.ranges)
    while position.index < len(ranges):
        group = _next_group(ranges[position.index :], position.after)
        found: list[Digest | None] = [None] * len(group) if is_full else _ask(source, state, group)
        end, rows_compared = position.index + len(group), _equal_rows_behind(group, found)
        for reread in _rereads(group, found, position.index, merged_rows=chunk.fewest // 2):
            for batch in _read_again(source, state, position, reread, chunk):
                yield batch
                position = Position.from_dict(batch.position)
        position = replace(position, index=end, after=None)
        if rows_compared:
            yield Batch(iter(()), is_compared=True, rows_compared=rows_compared, position=position.to_dict())


def _next_group(ranges: list[Range], after: Key | None) -> list[Range]:
    """What to ask for at once; of a range that is half read again, only the rest."""
    if after is not None:
        rest = Bounds(after, ranges[0].bounds.upper)
        ranges = [replace(ranges[0], bounds=rest, digest=None), *ranges[1:]]
    group: list[Range] = []
    rows = 0
    for known in ranges[:ASKED_RANGES]:
        rows += known.digest.rows if known.digest else 0
        if group and rows > ASKED_ROWS:
            break
        group.append(known)
    return group


def _ask(source: Source, state: TableState, group: list[Range]) -> list[Digest | None]:
    return source.digests([Asked(state.table, known.bounds, state.years, state.content) for known in group])


def _is_equal(known: Range, found: Digest | None) -> bool:
    return found is not None and found == known.digest


def _equal_rows_behind(group: list[Range], found: list[Digest | None]) -> int:
    """Rows of the equal ranges behind the last that differs."""
    rows = 0
    for known, digest in zip(reversed(group), reversed(found), strict=True):
        if digest is None or not _is_equal(known, digest):
            break
        rows += digest.rows
    return rows


def _rereads(group: list[Range], found: list[Digest | None], begin: int, *, merged_rows: int) -> Iterator[_Reread]:
    """The ranges that differ, each with the neighbours behind it that are small enough to be one with it."""
    place = compared = 0
    while place < len(group):
        digest = found[place]
        if digest is not None and _is_equal(group[place], digest):
            compared += digest.rows
            place += 1
            continue
        first, place = place, place + 1
        known = group[first].digest
        rows = digest.rows if digest else known.rows if known else None
        while place < len(group) and rows is not None and (more := found[place]) is not None:
            if rows + more.rows > merged_rows:
                break
            rows, place = rows + more.rows, place + 1
        yield _Reread(tuple(group[first:place]), rows, compared, begin + place)
        compared = 0


def _read_again(
    source: Source, state: TableState, position: Position, reread: _Reread, chunk: ChunkSize
) -> Iterator[Batch]:
    """The new ranges of a grown one first; what is left keeps its number, and only then is known who is gone."""
    bounds, number = reread.bounds, position.number
    compared = reread.rows_compared
    for upper in _cuts(source, state, reread, chunk.rows):
        number += 1
        position = replace(position, index=reread.index - 1, after=upper, number=number)
        piece = Bounds(bounds.lower, upper)
        blocks = chunk.metered(iter(source.read(state.table, bounds=piece, years=state.years, content=state.content)))
        yield Batch(blocks, bounds=piece, number=number - 1, rows_compared=compared, position=position.to_dict())
        bounds, compared = Bounds(upper, bounds.upper), 0
    blocks = chunk.metered(iter(source.read(state.table, bounds=bounds, years=state.years, content=state.content)))
    kept, *others = (known.number for known in reread.ranges)
    position = replace(position, index=reread.index, after=None)
    yield Batch(
        blocks,
        bounds=bounds,
        number=kept,
        replaces=tuple(others),
        rows_compared=compared,
        position=position.to_dict(),
    )


def _cuts(source: Source, state: TableState, reread: _Reread, rows: int) -> list[Key]:
    """Keys inside grown ranges at which to cut them; none where they have not grown."""
    if not state.is_ranged or len(reread.ranges) > 1 or reread.rows is None or reread.rows <= _GROWN * rows:
        return []
    found: list[Key] = []
    after = reread.bounds.lower
    for _ in range(reread.rows // rows - 1):
        after = source.boundary(state.table, after, rows, years=state.years)
        if after is None:
            break
        found.append(after)
    return _inside(source, state, found, reread.bounds.upper)


def _inside(source: Source, state: TableState, keys: list[Key], upper: Key | None) -> list[Key]:
    """Those of ascending keys that lie below a bound: the source finds a row between; rows may go at any time."""
    while upper is not None and keys:
        (digest,) = source.digests([Asked(state.table, Bounds(keys[-1], upper), state.years, "key")])
        if digest is not None and digest.rows:
            break
        keys = keys[:-1]
    return keys
