"""Finds changes that a source no longer has, and sources that were set back to a time before."""

from services.ingest.readers import cdc
from services.ingest.readers.batch import Gap, TableState
from services.ingest.readers.tokens import number
from services.ingest.sources.source import Marker, Source


def gap(source: Source, state: TableState, marker: Marker, *, since: str, until: str) -> Gap | None:
    """What is missing between two tokens; a source whose newest token is below the saved one was set back."""
    if marker.kind == "timestamp":
        return None  # a clock that goes back is what the overlap is for
    if number(until, marker.kind) < number(since, marker.kind):
        return Gap(state.table.name, since, until)
    if marker.kind == "cdc":
        low = cdc.parts(source, state, marker, since=since, until=until)[1]
    else:
        low = source.low_mark(state.table, marker)
        low = None if low is None or number(low, marker.kind) <= number(since, marker.kind) else low
    return Gap(state.table.name, since, low) if low is not None else None
