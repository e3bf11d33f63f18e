"""The SQL that reads a run's changed source rows, a page at a time, for the envelopes that tell of them.

What a transaction wrote is not analysed: `OFFSET 0` makes a row be looked up by its whole key all the same.
"""

from collections.abc import AsyncIterator, Mapping
from typing import Any

from services.ingest.domain.envelopes import LogPosition, RowChange, Run
from services.ingest.landing.queries import SECONDS

Row = Mapping[str, Any]

_CHANGED = """
SELECT b.key, CASE WHEN NOT b.is_filtered THEN b.image::text END AS before,
  CASE WHEN NOT r.is_filtered THEN r.image::text END AS after
FROM ingest.row_before b
LEFT JOIN LATERAL (SELECT s.key, s.image, s.is_filtered FROM ingest.source_row s WHERE s.county = b.county
  AND s.pair = b.pair AND s.source_table = b.source_table AND s.key = b.key OFFSET 0) r ON true
WHERE b.county = $1 AND b.pair = $2 AND b.sequence = $3 AND b.source_table = $4 AND b.op IN ('c', 'u', 'd')
  AND (b.image IS NOT NULL AND NOT b.is_filtered OR r.key IS NOT NULL AND NOT r.is_filtered)
ORDER BY b.key
"""

_LOADED = """
SELECT key, image::text AS after FROM ingest.source_row
WHERE county = $1 AND pair = $2 AND source_table = $3 AND created_sequence = $4 AND NOT is_filtered ORDER BY key
"""

#: a row's image before is that of its last change in the log, of the first one the landed row; a key update stands in
#: the log as a deletion and a creation with the same place
_LOGGED = """
SELECT *, CASE WHEN op = 'd' AND next_op = 'c' AND next_place = log_place THEN 'from'
  WHEN op = 'c' AND last_op = 'd' AND last_place = log_place THEN 'to' END AS moved
FROM (
  SELECT batch, place, op, key, log, before::text, after::text, log_place,
    lead(op) OVER w AS next_op, lead(log_place) OVER w AS next_place, lead(after::text) OVER w AS next_image,
    lag(op) OVER w AS last_op, lag(log_place) OVER w AS last_place, lag(before::text) OVER w AS last_image
  FROM (
    SELECT s.batch, s.place, s.op, s.key, s.log, CASE WHEN NOT s.is_filtered THEN s.image END AS after,
        s.log ->> 'token' || ' ' || (s.log ->> 'sequence') AS log_place,
        CASE WHEN lag(s.op) OVER k IS NOT NULL THEN lag(CASE WHEN NOT s.is_filtered THEN s.image END) OVER k
        WHEN NOT b.is_filtered THEN b.image END AS before
    FROM ingest.staged_row s LEFT JOIN LATERAL (SELECT l.image, l.is_filtered FROM ingest.row_before l
      WHERE l.county = s.county AND l.pair = s.pair AND l.source_table = s.source_table AND l.key = s.key
      AND l.sequence = $5 OFFSET 0) b ON true
    WHERE s.county = $1 AND s.pair = $2 AND s.run_id = $3 AND s.source_table = $4 AND s.op IN ('c', 'u', 'd')
    WINDOW k AS (PARTITION BY s.key ORDER BY s.batch, s.place)
  ) changes WINDOW w AS (ORDER BY batch, place)
) placed ORDER BY batch, place
"""


async def changed_tables(connection: Any, run: Run) -> frozenset[str]:
    """The tables of which anything was changed or logged: of hundreds most are idle."""
    rows = await connection.fetch(
        "SELECT DISTINCT source_table FROM ingest.row_before WHERE county = $1 AND pair = $2 AND sequence = $3"
        " UNION SELECT DISTINCT source_table FROM ingest.staged_row WHERE county = $1 AND pair = $2 AND run_id = $4",
        run.county,
        run.pair.pair,
        run.sequence,
        run.run_id,
        timeout=SECONDS,
    )
    return frozenset(row["source_table"] for row in rows)


async def changed_pages(connection: Any, run: Run, table: str, *, rows: int) -> AsyncIterator[list[RowChange]]:
    """Changed rows with their images before and after, in the order of their keys."""
    arguments = (run.county, run.pair.pair, run.sequence, table)
    async for page in _pages(connection, _CHANGED, arguments, rows=rows):
        yield [RowChange(_op(row), row["key"], row["before"], row["after"]) for row in page]


async def loaded_pages(connection: Any, run: Run, table: str, *, rows: int) -> AsyncIterator[list[RowChange]]:
    """Rows of a first load."""
    arguments = (run.county, run.pair.pair, table, run.sequence)
    async for page in _pages(connection, _LOADED, arguments, rows=rows):
        yield [RowChange("r", row["key"], None, row["after"]) for row in page]


async def logged_pages(connection: Any, run: Run, table: str, *, rows: int) -> AsyncIterator[list[RowChange]]:
    """Every change that the log had of a table, in its order.

    Of a row that was read after the log a creation is told as the update that it is to those who know the row, and a
    row that is left out from now on as gone; what becomes of a row that nobody knows and nobody comes to know is not
    told. Rows that were read beside the log have no place in it.
    """
    arguments = (run.county, run.pair.pair, run.run_id, table, run.sequence)
    async for page in _pages(connection, _LOGGED, arguments, rows=rows):
        yield [_logged(row) for row in page if row["before"] is not None or row["after"] is not None]


async def count_loaded(connection: Any, run: Run, table: str) -> int:
    """How many rows a first load has."""
    count: int = await connection.fetchval(
        "SELECT count(*) FROM ingest.source_row WHERE county = $1 AND pair = $2 AND source_table = $3"
        " AND created_sequence = $4 AND NOT is_filtered",
        run.county,
        run.pair.pair,
        table,
        run.sequence,
        timeout=SECONDS,
    )
    return count


async def _pages(connection: Any, query: str, arguments: tuple[Any, ...], *, rows: int) -> AsyncIterator[list[Row]]:
    """A query's rows by a cursor, so that it is planned and run once."""
    cursor = await connection.cursor(query, *arguments, timeout=SECONDS)
    while page := await cursor.fetch(rows, timeout=SECONDS):
        yield page


def _logged(row: Row) -> RowChange:
    log, moved = row["log"], row["moved"]
    return RowChange(
        op="d" if row["op"] == "d" else _op(row),
        key=row["key"],
        before=row["before"],
        after=None if row["op"] == "d" else row["after"],
        log=LogPosition(str(log["token"]), log.get("sequence"), log.get("transaction")) if log else None,
        moved=moved,
        other={"from": row["next_image"], "to": row["last_image"]}.get(moved or ""),
    )


def _op(row: Row) -> Any:
    """By what is there, as a row that was filtered before is new to those who follow."""
    if row["before"] is None:
        return "c"
    return "d" if row["after"] is None else "u"
