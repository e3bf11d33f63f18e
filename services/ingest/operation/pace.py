"""How fast a run reads, and that it stops between two batches when its window closes or its job is to stop."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime

from chassis.errors import PostponedError
from chassis.jobs import RunningJob
from contracts.following import Following
from services.ingest.operation.rate import RowRate
from services.ingest.operation.windows import seconds_until_open

MARGIN_SECONDS = 1.0
"""A job may be started a moment before its wait is over."""


class Pace:
    """One run's pace; used in the thread that reads."""

    def __init__(
        self,
        following: Following,
        time_zone: str,
        *,
        stop: threading.Event,
        check: Callable[[], None],
        rate: RowRate | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.following, self.time_zone = following, time_zone
        self._stop, self._check, self._clock = stop, check, clock
        self._rate = rate or RowRate(following.rows_per_second)
        self._rows = 0

    def count(self, rows: int) -> None:
        """Rows that were read and have to be paid for before the next batch."""
        self._rows += rows

    def wait(self, seconds: float) -> None:
        """Wait, but not after the job is to stop.

        Raises:
            JobStoppedError: it is.
        """
        self._stop.wait(seconds)
        self._check()

    def between_batches(self) -> None:
        """Call once a batch is staged and before the next is read.

        Raises:
            JobStoppedError: the job is to stop.
            PostponedError: `window_closed`; what is staged stays, and the job goes on when the window opens.
        """
        self._check()
        seconds, self._rows = self._rate.wait_seconds(self._rows), 0
        if seconds > 0:
            self.wait(seconds)
        require_open(self.following, self.time_zone, self._clock())


def pace_of(job: RunningJob, following: Following) -> Pace:
    """The pace of a job's run."""
    return Pace(following, job.county_file.time_zone, stop=job.stop, check=job.check)


def require_open(following: Following, time_zone: str, now: datetime) -> None:
    """Nothing where the source may be read now.

    Raises:
        PostponedError: `window_closed`, until it may; a window that never opens is looked at again every day.
    """
    seconds = seconds_until_open(following, now, time_zone)
    if seconds == 0:
        return
    wait = 86_400.0 if seconds is None else seconds + MARGIN_SECONDS
    raise PostponedError("window_closed", "the source may not be read now", wait_seconds=wait)
