"""The SQL of finding ranges for rows that were not read in one. Values are always parameters."""
# ruff: noqa: S608

from collections.abc import Mapping, Sequence
from typing import Any

from services.ingest.landing.queries import SECONDS, Place, save_progress
from services.ingest.readers.batch import KEYLESS
from services.ingest.sources.source import Bounds

_LANDED = "t.county = $1 AND t.pair = $2 AND t.source_table = $3"
_STAGED = "s.county = $1 AND s.pair = $2 AND s.source_table = $3 AND s.run_id = $4"


async def unplaced(connection: Any, place: Place) -> list[str]:
    """Keys of new rows whose last word in the run names no range."""
    rows = await connection.fetch(
        f"SELECT s.key FROM ingest.staged_row s WHERE {_STAGED} AND s.op = 'c' AND s.log IS NULL GROUP BY s.key"
        " HAVING coalesce(max(s.batch) FILTER (WHERE s.range_number IS NULL), -1)"
        "  > coalesce(max(s.batch) FILTER (WHERE s.range_number IS NOT NULL), -1)",
        *place.of_table,
        timeout=SECONDS,
    )
    return [row["key"] for row in rows]


async def unplaced_first(connection: Any, place: Place, *, sequence: int) -> list[str]:
    """Keys of a first load's rows that no range has."""
    rows = await connection.fetch(
        f"SELECT t.key FROM ingest.source_row t WHERE {_LANDED} AND t.created_sequence = $4 AND t.range_number IS NULL",
        place.county,
        place.pair,
        place.table,
        sequence,
        timeout=SECONDS,
    )
    return [row["key"] for row in rows]


async def place_rows(connection: Any, place: Place, *, number: int, keys: Sequence[str]) -> None:
    """Name the range that staged rows lie in."""
    await connection.execute(
        f"UPDATE ingest.staged_row s SET range_number = $5 WHERE {_STAGED} AND s.key = ANY($6::text[])"
        " AND s.range_number IS NULL AND s.op = 'c' AND s.log IS NULL",
        *place.of_table,
        number,
        list(keys),
        timeout=SECONDS,
    )


async def place_first(connection: Any, place: Place, *, number: int, keys: Sequence[str], sequence: int) -> None:
    """Name the range that a first load's rows lie in."""
    await connection.execute(
        f"UPDATE ingest.source_row t SET range_number = $5 WHERE {_LANDED} AND t.created_sequence = $4"
        " AND t.range_number IS NULL AND t.key = ANY($6::text[])",
        place.county,
        place.pair,
        place.table,
        sequence,
        number,
        list(keys),
        timeout=SECONDS,
    )


async def forget_digests(
    connection: Any, place: Place, ranges: Mapping[int, Bounds], position: Mapping[str, Any]
) -> None:
    """A batch that has every range read again by the next pass."""
    known: list[dict[str, Any]] = [
        {"number": number, "lower": bounds.lower, "upper": bounds.upper, "digest": None, "replaces": []}
        for number, bounds in sorted(ranges.items())
        if number != KEYLESS
    ]
    nothing = dict.fromkeys(("rows_read", "rows_quarantined", "rows_filtered", "rows_compared"), 0)
    values = {"position": position, "ranges": known, "is_done": True, **nothing}
    await save_progress(connection, place, values=values)
