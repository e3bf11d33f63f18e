"""Follows a table by a column in which its programs note when a row was changed.

Both ends are texts of the server's own clock. The lower end is inclusive and lies hours before the saved token, since
local time repeats an hour in autumn, a row is stamped before its transaction is committed, and rows share a stamp;
rows that are read again are found unchanged. What it cannot see: deletions, which the comparison of keys finds, and
changes whose stamp did not move or lies further back than the overlap.
"""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta

from chassis.errors import PermanentError
from services.ingest.readers.batch import Batch, TableState
from services.ingest.readers.position import Position
from services.ingest.readers.rowversion import upserts
from services.ingest.sources.source import Marker, Source

_STAMP = re.compile(r"(\d{4}-\d\d-\d\d)(?:([ T])(\d\d:\d\d:\d\d)(.*))?", re.ASCII)


def changes(source: Source, state: TableState, marker: Marker, position: Position) -> Iterator[Batch]:
    """Rows stamped since the saved token less the overlap and before the new token."""
    assert position.token is not None
    since = earlier(state.token, state.overlap_seconds) if state.token is not None else None
    for block in source.changed(state.table, marker, since, position.token, years=state.years):
        yield upserts(block, position)


def earlier(token: str, seconds: int) -> str:
    """A stamp so many seconds before, spelt as the source spells it: its fraction and offset are not touched.

    Raises:
        PermanentError: `token_invalid`.
    """
    found = _STAMP.fullmatch(token)
    if found is None:
        raise PermanentError("token_invalid", f"{token!r} is no time that a source gave")
    day, separator, clock, rest = found.groups()
    try:
        moved = datetime.fromisoformat(f"{day} {clock or '00:00:00'}") - timedelta(seconds=seconds)
    except (OverflowError, ValueError):
        return token
    if separator is None:
        return f"{moved:%Y-%m-%d}"
    return f"{moved.isoformat(sep=separator, timespec='seconds')}{rest}"
