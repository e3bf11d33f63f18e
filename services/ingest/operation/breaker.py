"""The circuit breaker of a pair: a source that fails again and again is left in peace for longer and longer.

After the pause one run is let through as a probe; its success closes the breaker, its failure doubles the pause.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

FAILURES_ALLOWED = 3
FIRST_PAUSE = timedelta(minutes=1)
LONGEST_PAUSE = timedelta(hours=1)

Status = Literal["closed", "open", "half_open"]


@dataclass(frozen=True, slots=True)
class Breaker:
    """Failed runs of a pair in a row, and until when it rests."""

    failures: int = 0
    retry_at: datetime | None = None

    def status(self, now: datetime) -> Status:
        """Whether runs go through, none does, or one as a probe."""
        if self.retry_at is None:
            return "closed"
        return "open" if now < self.retry_at else "half_open"

    def wait_seconds(self, now: datetime) -> float:
        """How long the pair still rests."""
        return 0.0 if self.retry_at is None else max((self.retry_at - now).total_seconds(), 0.0)

    def failed(self, now: datetime, *, spread: float = 0.5) -> "Breaker":
        """After one more failed run; `spread` from 0 to 1 moves the pause by a tenth down or up."""
        failures = self.failures + 1
        if failures < FAILURES_ALLOWED:
            return Breaker(failures)
        pause = min(FIRST_PAUSE * 2 ** min(failures - FAILURES_ALLOWED, 16), LONGEST_PAUSE)
        return Breaker(failures, now + pause * (0.9 + 0.2 * spread))
