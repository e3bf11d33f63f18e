"""Finds the tables in which nothing changed, all in one question, so that hundreds of idle ones cost nothing more."""

from collections.abc import Sequence

from services.ingest.readers.batch import KEYLESS, TableState
from services.ingest.readers.following import LOGS
from services.ingest.readers.stall import Watched
from services.ingest.sources.source import Asked, Digest, MarkerKind, Source

SMALL_ROWS = 50_000
"""A larger table is asked range by range when its turn comes."""

ASKED_ROWS = 1_000_000
"""The most rows that one question has the source hash."""


def changed_tables(source: Source, states: Sequence[TableState]) -> set[str]:
    """The tables that have to be read; of the others it is known that all is as it was.

    One round trip for digests, and one for each kind of log, whose tokens count for the whole database. Always named
    are tables that follow a time or a rowversion, whose token an open transaction may hold back, and tables that are
    large, unfinished, or have rows without a whole key.
    """
    marks = _Marks(source)
    quiet = [state for state in states if state.is_loaded and state.position is None and marks.is_still(state)]
    compared = [state for state in quiet if not _is_log(state)]
    small = [state for state in compared if _is_small(source, state)]
    changed = {state.table.name for state in states} - {state.table.name for state in quiet}
    changed |= {state.table.name for state in compared} - {state.table.name for state in small}
    return changed | {name for group in _groups(small) for name in _differing(source, group)}


class _Marks:
    """Each kind's mark, asked for once."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self._known: dict[MarkerKind, str] = {}

    def is_still(self, state: TableState) -> bool:
        """Whether the marker stands where it stood; none at all is as good."""
        marker = state.marker
        if marker is None:
            return True
        if marker.kind not in LOGS or state.token is None:
            return False
        if marker.kind not in self._known:
            self._known[marker.kind] = self.source.high_mark(state.table, marker)
        if marker.kind != "cdc":
            return self._known[marker.kind] == state.token
        watched = Watched.parse(state.token)
        return watched.token == self._known["cdc"] and not watched.is_due(self.source.now())


def _is_log(state: TableState) -> bool:
    return state.marker is not None and state.marker.kind in LOGS


def _is_small(source: Source, state: TableState) -> bool:
    """Whether a single digest says that everything is as it was."""
    if not state.ranges:
        return False
    columns = source.catalog().get(state.table.name, {})
    has_keyless = any(columns[name].is_nullable for name in state.table.key if name in columns)
    if has_keyless or any(known.number == KEYLESS or known.digest is None for known in state.ranges):
        return False
    return _rows(state) <= SMALL_ROWS


def _groups(states: list[TableState]) -> list[list[TableState]]:
    groups: list[list[TableState]] = []
    rows = ASKED_ROWS + 1
    for state in states:
        rows += _rows(state)
        if rows > ASKED_ROWS:
            groups.append([])
            rows = _rows(state)
        groups[-1].append(state)
    return groups


def _differing(source: Source, states: list[TableState]) -> list[str]:
    digests = source.digests([Asked(state.table, years=state.years, content=state.content) for state in states])
    return [state.table.name for state, found in zip(states, digests, strict=True) if found != _known(state)]


def _known(state: TableState) -> Digest:
    return sum((known.digest for known in state.ranges if known.digest), Digest())


def _rows(state: TableState) -> int:
    return _known(state).rows
