"""The source's side of a table: all its rows read again, range by range, and judged by the mapping's rules."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import numpy as np
import polars as pl

from contracts.mapping import Pair, SourceTable
from contracts.quarantine import ReadingFault
from services.ingest.certificate.landed_side import SEPARATOR
from services.ingest.domain.certificate import SourceSide
from services.ingest.domain.checks import Judged, Known, judge
from services.ingest.domain.rows import FAULT_FIELD, FAULT_VALUE, KEY, KEY_IS_WHOLE, normalise
from services.ingest.domain.tallies import CONTENT, HashSet, buckets_of, hash_halves, with_content
from services.ingest.operation.gentle import GentleSource
from services.ingest.readers.batch import KEYLESS
from services.ingest.sources.source import WHOLE, Asked, Bounds, Key

CHUNK_ROWS = 8_000
"""Where there are no ranges to read by."""
REPEATED_AT_ONCE = 50_000
_NUMBER = "@number"
_SOUND = [
    pl.lit(None, dtype=pl.String).alias(FAULT_FIELD),
    pl.lit(None, dtype=pl.String).alias(FAULT_VALUE),
    pl.lit(value=True).alias(KEY_IS_WHOLE),
]
"""What a row that was accepted has, to be judged once more."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A range of a table's keys with its number; null: cut for reading alone."""

    bounds: Bounds = WHOLE
    number: int | None = None


def stretches(ranges: Sequence[tuple[int, Key | None, Key | None]]) -> list[Stretch] | None:
    """The ranges in their order; null where they leave a gap, overlap, or are none."""
    by_lower = {lower: (number, upper) for number, lower, upper in ranges if number != KEYLESS}
    if len(by_lower) != sum(number != KEYLESS for number, _, _ in ranges):
        return None
    found: list[Stretch] = []
    lower: Key | None = None
    while lower in by_lower:
        number, upper = by_lower.pop(lower)
        found.append(Stretch(Bounds(lower, upper), number))
        if upper is None:
            return None if by_lower else found
        lower = upper
    return None


@dataclass
class SourceTableReading:
    """One table of a source, read as often as a certificate needs it. Used in a thread."""

    pair: Pair
    table: SourceTable
    source: GentleSource
    known: Callable[[], Known]
    today: date
    years: tuple[int, ...] = ()
    stretches: list[Stretch] | None = None
    lands_filtered: bool = False
    side: SourceSide = field(default_factory=SourceSide)

    def work(self) -> SourceSide:
        """Read everything."""
        self._left_out, self._held = HashSet(), HashSet()
        seen: list[Any] = []
        (counted,) = self.source.digests([Asked(self.table, WHOLE, self.years, "key")])
        keyless = 0
        for rows, number in self._blocks():
            keyless += rows.height if number == KEYLESS else 0
            judged = self._judge(rows, has_repeats=False)
            self.side.rows_read += judged.rows_read
            self._take(judged, sign=1)
            self._hold(judged)
            self._left_out.add(with_content(self.table, judged.filtered)[CONTENT])
            seen.append(hash_halves(judged.accepted[KEY])[:, 1].astype(np.int64))
        if counted is not None:
            self.side.database_rows = counted.rows + keyless
        self._take_unreadable()
        self._part_repeats(np.concatenate(seen) if seen else np.empty(0, np.int64))
        self.side.quarantine, self.side.filtered = self._held.count(), self._left_out.count()
        return self.side

    def contents(self, buckets: Collection[int]) -> dict[str, str]:
        """Keys with their contents' hashes of some parts of the table."""
        parts = []
        for rows, _ in self._blocks():
            places = pl.Series(buckets_of(hash_halves(rows[KEY])), dtype=pl.Int64)
            parts.append(rows.filter(places.is_in(list(buckets))))
        judged = self._judge(pl.concat(parts), has_repeats=True) if parts else None
        if judged is None:
            return {}
        return dict(with_content(self.table, judged.accepted).select(KEY, CONTENT).iter_rows())

    def _take(self, judged: Judged, *, sign: int) -> None:
        accepted = with_content(self.table, judged.accepted)
        self.side.accepted.take(self.table, accepted, numbers=accepted[_NUMBER], sign=sign)
        if sign > 0:
            self.side.rows_quarantined += judged.rows_quarantined
            self.side.rows_filtered += judged.rows_filtered

    def _hold(self, judged: Judged) -> None:
        found = judged.violations
        self._held.add(found.select(pl.concat_str([KEY, pl.lit(SEPARATOR), "rule"])).to_series())

    def _take_unreadable(self) -> None:
        """Rows that the source itself cannot give; read twice, they are counted once."""
        keys = sorted(set(self.source.take_unreadable(self.table.name)), key=str)
        if not keys:
            return
        named = pl.DataFrame(keys, schema=dict.fromkeys(self.table.key, pl.String), orient="row")
        others = [
            pl.lit(None, dtype=pl.String).alias(name) for name in self.table.columns if name not in self.table.key
        ]
        spelt = normalise(self.table, named.with_columns(others))[KEY]
        self._held.add(spelt + f"{SEPARATOR}{ReadingFault.ROW_UNREADABLE.value}")
        self.side.rows_read += len(keys)
        self.side.rows_quarantined += len(keys)

    def _part_repeats(self, seen: Any) -> None:
        """Rows that share a key, wherever they stand: taken out again, and judged together."""
        hashes, counts = np.unique(seen, return_counts=True)
        repeated, rows = hashes[counts > 1], int(counts[counts > 1].sum())
        parts = -(-rows // REPEATED_AT_ONCE)
        for part in range(parts):
            chosen = repeated[(repeated % parts) == part]
            together = self._sharing(chosen)
            if together is not None:
                self._take(self._judge(together, has_repeats=False), sign=-1)
                again = self._judge(together, has_repeats=True)
                self.side.accepted.take(
                    self.table, accepted := with_content(self.table, again.accepted), numbers=accepted[_NUMBER]
                )
                self.side.rows_quarantined += again.rows_quarantined
                self.side.rows_filtered += again.rows_filtered
                self._hold(again)

    def _sharing(self, hashes: Any) -> pl.DataFrame | None:
        """All accepted rows whose keys have these hashes, read once more."""
        parts = []
        for rows, _ in self._blocks():
            own = hash_halves(rows[KEY])[:, 1].astype(np.int64)
            chosen = rows.filter(pl.Series(np.isin(own, hashes)))
            parts.append(self._judge(chosen, has_repeats=False).accepted.with_columns(_SOUND))
        return pl.concat(parts) if parts else None

    def _judge(self, rows: pl.DataFrame, *, has_repeats: bool) -> Judged:
        return judge(self.pair, self.table, rows, self.known(), today=self.today, has_repeats=has_repeats)

    def _blocks(self) -> Iterator[tuple[pl.DataFrame, int | None]]:
        """Every row of the table in canonical form, with the number of its range."""
        for stretch in self.stretches if self.stretches is not None else self._cut():
            for raw in self.source.read(self.table, bounds=stretch.bounds, years=self.years):
                yield self._normalised(raw, stretch.number), stretch.number
            self.source.pace.between_batches()
        for raw in self.source.read_keyless(self.table, years=self.years):
            yield self._normalised(raw, KEYLESS), KEYLESS

    def _cut(self) -> Iterator[Stretch]:
        after: Key | None = None
        while True:
            upper = self.source.boundary(self.table, after, CHUNK_ROWS, years=self.years)
            yield Stretch(Bounds(after, upper))
            if upper is None:
                return
            after = upper

    def _normalised(self, raw: pl.DataFrame, number: int | None) -> pl.DataFrame:
        return normalise(self.table, raw).with_columns(pl.lit(number, dtype=pl.Int64).alias(_NUMBER))
