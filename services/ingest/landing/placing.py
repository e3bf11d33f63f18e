"""Finds the ranges of rows that were not read in one: by a marker, by their keys, by a link.

A landed row without a range is taken for gone by the next pass over all ranges. Which range a key lies in only the
source can say, whose order it is; halving the ranges asks it few times.
"""

from collections.abc import Iterator, Sequence

import polars as pl

from contracts.mapping import SourceTable
from services.ingest.domain.rows import KEY, normalise
from services.ingest.readers.batch import Range
from services.ingest.sources.source import WHOLE, Bounds, Key, Source


def places(
    source: Source, table: SourceTable, ranges: Sequence[Range], keys: Sequence[str], *, years: tuple[int, ...]
) -> Iterator[tuple[int, set[str]]]:
    """The number of each range that has some of the keys, with them; a key that the source does not have is left out.

    `ranges` stand in the order of their keys, and are all that there are.
    """
    work = _Placing(source, table, years)
    yield from work.among(ranges, work.there(WHOLE, keys))


def key_parts(key: str) -> Key:
    """The parts of a key in our spelling."""
    return tuple(part.replace("%2F", "/").replace("%25", "%") for part in key.split("/"))


class _Placing:
    def __init__(self, source: Source, table: SourceTable, years: tuple[int, ...]) -> None:
        self.source, self.table, self.years = source, table, years

    def among(self, ranges: Sequence[Range], keys: set[str]) -> Iterator[tuple[int, set[str]]]:
        """Keys of which each lies in one of the ranges."""
        if not keys:
            return
        if len(ranges) == 1:
            yield ranges[0].number, keys
            return
        half = len(ranges) // 2
        lower = self.there(Bounds(ranges[0].bounds.lower, ranges[half - 1].bounds.upper), sorted(keys))
        yield from self.among(ranges[:half], lower)
        yield from self.among(ranges[half:], keys - lower)

    def there(self, bounds: Bounds, keys: Sequence[str]) -> set[str]:
        """Those of the keys that rows between the bounds have."""
        values = [key_parts(key) for key in keys]
        blocks = self.source.read_keyed(
            self.table, self.table.key, values, bounds=bounds, years=self.years, content="key"
        )
        return set(keys) & {key for block in blocks for key in self._spelt(block)}

    def _spelt(self, block: pl.DataFrame) -> set[str]:
        return set(normalise(self.table, block)[KEY].to_list())
