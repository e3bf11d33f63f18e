"""How many rows to read at once: as many as the source gives in the time that was allowed."""

from collections.abc import Callable, Iterator
from time import perf_counter

import polars as pl

FEWEST_ROWS, MOST_ROWS = 1_000, 50_000
_MOST_BYTES = 16 * 1024 * 1024
_MOST_GROWTH = 4.0


class ChunkSize:
    """Adapts to each chunk that was read; one for each table, or for a whole run."""

    def __init__(
        self,
        *,
        seconds: float = 2,
        rows: int = 5_000,
        fewest: int = FEWEST_ROWS,
        most: int = MOST_ROWS,
        most_bytes: int = _MOST_BYTES,
        clock: Callable[[], float] = perf_counter,
    ) -> None:
        self.rows = min(max(rows, fewest), most)
        self._seconds, self._most_bytes, self._clock = seconds, most_bytes, clock
        self.fewest, self._most = fewest, most

    def metered(self, blocks: Iterator[pl.DataFrame]) -> Iterator[pl.DataFrame]:
        """The same blocks; once they are through, the next chunk's size follows from them."""
        rows = size = 0
        seconds = 0.0
        while True:
            begun = self._clock()
            block = next(blocks, None)
            seconds += self._clock() - begun
            if block is None:
                break
            rows += block.height
            size += int(block.estimated_size())
            yield block
        self.adapt(rows, size, seconds)

    def adapt(self, rows: int, size_bytes: int, seconds: float) -> None:
        """Aim at the time and the size allowed; small chunks say little and leave it as it is."""
        if rows < min(self.fewest, self.rows):
            return
        by_time = self._seconds / seconds if seconds > 0 else _MOST_GROWTH
        by_size = self._most_bytes / size_bytes if size_bytes else _MOST_GROWTH
        fitting = int(rows * min(by_time, by_size, _MOST_GROWTH))
        self.rows = min(max(fitting, self.fewest), self._most)
