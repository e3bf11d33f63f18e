"""The steps of a pass that go by a table's marker: what changed since the last one, and while ranges were read."""

from collections.abc import Generator, Iterator
from dataclasses import replace

from services.ingest.readers import cdc, change_tracking, rowversion, timestamp
from services.ingest.readers.batch import KEYLESS, Batch, TableState
from services.ingest.readers.compare import next_number
from services.ingest.readers.gaps import gap
from services.ingest.readers.position import STEPS, Plan, Position
from services.ingest.readers.stall import Watched, watch
from services.ingest.sources.source import Marker, Source

Steps = Generator[Batch, None, Position]
"""Batches, and the position at which they end."""

LOGS = frozenset({"cdc", "change_tracking"})
"""Markers that tell of deletions too."""


def read_changes(source: Source, state: TableState, position: Position) -> Steps:
    """What the marker tells since the saved token; a log that loses some of it meanwhile is read no further."""
    marker, until = state.marker, position.token
    if marker is None or until is None or state.token is None:
        return position
    if marker.kind not in LOGS:
        return (yield from followed(_by_marker(source, state, marker, position), position))
    watched = Watched.parse(state.token)
    if watched.token == until:
        return (yield from _watch(source, state, position, watched))
    if marker.kind == "cdc":
        parts, _ = cdc.parts(source, state, marker, since=watched.token, until=until)
        batches = cdc.changes(source, state, parts, position)
    else:
        batches = _by_marker(source, state, marker, position)
    position = yield from followed(batches, position)
    if (lost := gap(source, state, marker, since=watched.token, until=until)) is not None:
        position = whole(state, source.high_mark(state.table, marker))
        yield Batch(iter(()), gap=lost, position=position.to_dict())
    return position


def catch_up(source: Source, state: TableState, position: Position) -> Steps:
    """What was written while the ranges were read, from the token before the first to one after the last."""
    marker, low = state.marker, position.token
    if marker is None or low is None or source.is_consistent:
        return position
    until = source.high_mark(state.table, marker)
    if until == low or gap(source, state, marker, since=low, until=until) is not None:
        return position  # the next pass starts from the lower token, and finds the gap
    if marker.kind == "cdc":
        parts, _ = cdc.parts(source, state, marker, since=low, until=until)
        is_done = yield from cdc.changed_rows(source, state, parts, position)
        return replace(position, token=until) if is_done else position
    for batch in _by_marker(source, replace(state, token=low), marker, replace(position, token=until)):
        yield replace(batch, position=position.to_dict())
    return replace(position, token=until)


def whole(state: TableState, token: str | None) -> Position:
    """The beginning of a pass that reads everything again, in the ranges that there are."""
    is_cut = any(known.number != KEYLESS for known in state.ranges)
    plan: Plan = "reread" if is_cut else "load"
    return Position(plan, STEPS[plan][0], token, number=next_number(state.ranges))


def followed(batches: Iterator[Batch], position: Position) -> Steps:
    """The batches, and where the last of them ends."""
    for batch in batches:
        yield batch
        position = Position.from_dict(batch.position)
    return position


def _by_marker(source: Source, state: TableState, marker: Marker, position: Position) -> Iterator[Batch]:
    match marker.kind:
        case "timestamp":
            return timestamp.changes(source, state, marker, position)
        case "rowversion":
            return rowversion.changes(source, state, marker, position)
        case _:
            return change_tracking.changes(source, state, marker, position)


def _watch(source: Source, state: TableState, position: Position, watched: Watched) -> Steps:
    """Nothing new in the log; whether that is so, the table of a captured one shows."""
    if state.marker is None or state.marker.kind != "cdc":
        return position
    watched, stalled = watch(source, state, watched)
    if stalled is not None:
        yield Batch(iter(()), stalled=stalled, position=position.to_dict())
    return replace(position, token=str(watched))
