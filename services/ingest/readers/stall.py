"""Watches a table whose log stands still: that nothing changes and that nobody captures look alike.

The table's digest is kept with the token. Where it differs later, and the log has still not moved after a time in
which it would have, the capture has stopped.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Self

from services.ingest.readers.batch import Stalled, TableState
from services.ingest.sources.source import Asked, Source

CHECKED_EVERY = timedelta(minutes=15)
"""A digest reads the whole table, so it is not asked for in every cycle."""

PATIENCE = timedelta(minutes=5)
"""How long a capture may need for a change that was committed."""


@dataclass(frozen=True, slots=True)
class Watched:
    """A log's token with what the table was like when the log had come to it; times of the server's clock."""

    token: str
    digest: str | None = None
    seen_at: datetime | None = None
    differs_since: datetime | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """What `str` wrote; a token alone too."""
        token, digest, seen_at, differs_since, *_ = [*text.split(), None, None, None]
        assert token is not None
        return cls(token, digest, _time(seen_at), _time(differs_since))

    def is_due(self, now: datetime) -> bool:
        """Whether the table has to be looked at by now."""
        if self.seen_at is None or self.differs_since is not None:
            return True
        return now - self.seen_at >= CHECKED_EVERY

    def __str__(self) -> str:
        if self.digest is None or self.seen_at is None:
            return self.token
        times = (self.seen_at, self.differs_since)
        return " ".join([self.token, self.digest, *(time.isoformat() for time in times if time is not None)])


def watch(source: Source, state: TableState, watched: Watched) -> tuple[Watched, Stalled | None]:
    """Look at the table of a log that has not moved; the token to keep, and an alarm."""
    now = source.now()
    if not watched.is_due(now):
        return watched, None
    (found,) = source.digests([Asked(state.table, years=state.years)])
    if found is None:
        return watched, None
    if watched.digest is None or watched.digest == str(found):
        return Watched(watched.token, str(found), now), None
    since = watched.differs_since or now
    alarm = None
    if now - since >= PATIENCE:
        alarm = Stalled(state.table.name, watched.token, since.isoformat())
    return replace(watched, differs_since=since), alarm


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
