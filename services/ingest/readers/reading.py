"""How a table is read: the plan that its reader asks for, as batches that can be gone on with after each of them."""

from collections.abc import Iterator
from typing import Literal

from chassis.errors import PermanentError
from services.ingest.readers.batch import KEYLESS, Batch, Gap, TableState
from services.ingest.readers.chunk import ChunkSize
from services.ingest.readers.compare import compare, next_number
from services.ingest.readers.following import LOGS, Steps, catch_up, followed, read_changes, whole
from services.ingest.readers.gaps import gap
from services.ingest.readers.position import STEPS, Plan, Position
from services.ingest.readers.snapshot import cut, keyless
from services.ingest.readers.stall import Watched
from services.ingest.sources.source import Source

Mode = Literal["incremental", "full", "no_data"]
"""Only what changed; everything, whatever is known; nothing now and what changes from now on."""


def read_table(source: Source, state: TableState, *, chunk: ChunkSize, mode: Mode = "incremental") -> Iterator[Batch]:
    """Batches in the order in which they are to be staged, each to be consumed before the next is asked for.

    The last one ends the pass and carries the token; where `state.position` says that it is staged, nothing follows.

    Raises:
        PermanentError: `token_invalid`; `no_data_impossible` where changes cannot be told from the rest.
    """
    if state.position is not None:
        position = Position.from_dict(state.position)
        if position.step == "done":
            return
    else:
        position, lost = _begin(source, state, mode)
        if lost is not None:
            yield Batch(iter(()), gap=lost, position=position.to_dict())
    while position.step != "done":
        step = position.step
        position = yield from _read_step(source, state, position, chunk)
        if position.step == step:
            position = position.at_next_step()
        if step == "keyless" and (position.plan != "follow" or _is_cut(state)):
            token = position.token if position.step == "done" else None  # nothing follows where this batch was the last
            yield Batch(iter(()), is_whole=True, token=token, position=position.to_dict())
    yield Batch(iter(()), token=position.token, position=position.to_dict())


def _begin(source: Source, state: TableState, mode: Mode) -> tuple[Position, Gap | None]:
    """The plan for what is known of the table; its marker's token is taken before anything is read."""
    marker = state.marker
    if marker is None:
        return _begin_unmarked(state, mode), None
    token = source.high_mark(state.table, marker)
    if mode == "no_data":
        return Position("stream", "done", token), None
    if mode == "full" or not state.is_loaded or state.token is None:
        return whole(state, token), None
    since = Watched.parse(state.token).token if marker.kind == "cdc" else state.token
    if (lost := gap(source, state, marker, since=since, until=token)) is not None:
        return whole(state, token), lost
    plan: Plan = "stream" if marker.kind in LOGS else "follow"
    return Position(plan, STEPS[plan][0], token, number=next_number(state.ranges)), None


def _begin_unmarked(state: TableState, mode: Mode) -> Position:
    if mode == "no_data":
        raise PermanentError("no_data_impossible", f"{state.table.name} has no marker to be followed by from now on")
    if mode == "full" or not _is_cut(state):
        return whole(state, None)
    return Position("follow", "compare", number=next_number(state.ranges))


def _is_cut(state: TableState) -> bool:
    return any(known.number != KEYLESS for known in state.ranges)


def _read_step(source: Source, state: TableState, position: Position, chunk: ChunkSize) -> Steps:
    match position.step:
        case "cut":
            return followed(cut(source, state, position, chunk), position)
        case "compare" | "reread":
            is_full = position.step == "reread"
            return followed(compare(source, state, position, chunk, is_full=is_full), position)
        case "keyless":
            return followed(keyless(source, state, position), position)
        case "changes":
            return read_changes(source, state, position)
        case _:
            return catch_up(source, state, position)
