"""How many rows a second may be read of a source: a bucket that holds a second's worth."""

import time
from collections.abc import Callable


class RowRate:
    """Says how long to wait after a batch so that no more than so many rows a second are read on average.

    A batch is known only once it is there, so it is paid for afterwards: over any time, at most that time's rows, a
    second's worth and one batch are read.
    """

    def __init__(self, rows_per_second: int | None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._rows_per_second = rows_per_second
        self._clock = clock
        self._credit = float(rows_per_second or 0)
        self._counted_at = clock()

    def wait_seconds(self, rows: int) -> float:
        """Count rows that were read; how long to wait before the next are."""
        if self._rows_per_second is None:
            return 0.0
        now = self._clock()
        earned = max(now - self._counted_at, 0.0) * self._rows_per_second
        self._counted_at = now
        self._credit = min(self._credit + earned, float(self._rows_per_second)) - rows
        return max(-self._credit / self._rows_per_second, 0.0)
