"""Brings landed rows to what was staged: set by set, in the transaction that applies the run."""
# ruff: noqa: S608

from typing import Any

from services.ingest.domain.envelopes import Run
from services.ingest.landing.queries import LINKS, SECONDS

_RUN = "s.county = $1 AND s.pair = $2 AND s.run_id = $3"
_SAME = "t.county = s.county AND t.pair = s.pair AND t.source_table = s.source_table AND t.key = s.key"
_VALUES = f"digest, image, personal, {LINKS}"


async def settle(connection: Any, run: Run) -> None:
    """Of a key that several batches staged only the last word stays; of a log every word, as each is told."""
    arguments = (run.county, run.pair.pair, run.run_id)
    several = await connection.fetch(
        f"SELECT source_table FROM ingest.staged_row s WHERE {_RUN} AND log IS NULL GROUP BY source_table"
        " HAVING min(batch) < max(batch)",
        *arguments,
        timeout=SECONDS,
    )
    tables = [row["source_table"] for row in several]
    await connection.execute(
        "DELETE FROM ingest.staged_row s USING (SELECT ctid, row_number() OVER (PARTITION BY source_table, key"
        "  ORDER BY batch DESC, place DESC) AS n FROM ingest.staged_row s"
        f"  WHERE {_RUN} AND log IS NULL AND source_table = ANY($4::text[])) d WHERE s.ctid = d.ctid AND d.n > 1",
        *arguments,
        tables,
        timeout=SECONDS,
    )


async def analyze(connection: Any) -> None:
    """Let the planner know of many rows that were just landed and staged; in a transaction of its own."""
    await connection.execute("SELECT ingest.analyze_landed()", timeout=SECONDS)


async def merge(connection: Any, run: Run) -> None:
    """Keep the rows as they were, then take over what was staged. Rows of first loads are landed already."""
    arguments = (run.county, run.pair.pair, run.run_id)
    await connection.execute(f"CREATE TEMP TABLE latest ON COMMIT DROP AS {_latest()}", *arguments, timeout=SECONDS)
    await connection.execute("ANALYZE latest", timeout=SECONDS)
    await _keep_before(connection, run)
    await connection.execute(
        f"DELETE FROM ingest.source_row t USING latest s WHERE {_SAME} AND s.op IN ('d', 'x')", timeout=SECONDS
    )
    await connection.execute(
        "UPDATE ingest.source_row t SET range_number = s.range_number FROM latest s"
        f" WHERE {_SAME} AND s.op = 'm' AND s.image IS NULL AND t.range_number IS DISTINCT FROM s.range_number",
        timeout=SECONDS,
    )
    sets = ", ".join(f"{name} = excluded.{name}" for name in (*_VALUES.split(", "), "is_filtered", "sequence"))
    await connection.execute(
        f"INSERT INTO ingest.source_row AS t (county, pair, source_table, key, {_VALUES}, is_filtered, range_number,"
        "  created_sequence, sequence)"
        f" SELECT s.county, s.pair, s.source_table, s.key, {_VALUES}, is_filtered, range_number, $1, $1 FROM latest s"
        " WHERE s.op IN ('c', 'u') OR s.op = 'm' AND s.image IS NOT NULL"
        f" ON CONFLICT (county, pair, source_table, key) DO UPDATE SET {sets},"
        "  range_number = coalesce(excluded.range_number, t.range_number)",
        run.sequence,
        timeout=SECONDS,
    )
    await connection.execute(f"DELETE FROM ingest.staged_row s WHERE {_RUN} AND op = 'm'", *arguments, timeout=SECONDS)


def _latest() -> str:
    """The last word on each key."""
    names = f"s.county, s.pair, s.source_table, s.key, s.op, {_VALUES}, s.range_number, s.is_filtered"
    staged = f"SELECT {names} FROM ingest.staged_row s WHERE {_RUN}"
    logged = f"ARRAY(SELECT DISTINCT s.source_table FROM ingest.staged_row s WHERE {_RUN} AND s.log IS NOT NULL)"
    return (
        f"{staged} AND s.log IS NULL AND s.source_table <> ALL({logged})"
        f" UNION ALL (SELECT DISTINCT ON (s.source_table, s.key) {names} FROM ingest.staged_row s WHERE {_RUN}"
        f"  AND s.source_table = ANY({logged}) ORDER BY s.source_table, s.key, s.batch DESC, s.place DESC)"
    )


async def _keep_before(connection: Any, run: Run) -> None:
    """The rows as they were; of a new row, that it was not there."""
    old = ", ".join(f"t.{name}" for name in _VALUES.split(", "))
    await connection.execute(
        f"INSERT INTO ingest.row_before (county, pair, sequence, source_table, op, key, {_VALUES}, range_number,"
        "  created_sequence, changed_sequence, is_filtered)"
        f" SELECT s.county, s.pair, $1, s.source_table, CASE WHEN s.op IN ('d', 'x') THEN s.op WHEN t.key IS NULL"
        f"  THEN 'c' ELSE 'u' END, s.key, {old}, t.range_number, coalesce(t.created_sequence, 0),"
        "  coalesce(t.sequence, 0), coalesce(t.is_filtered, false)"
        f" FROM latest s LEFT JOIN ingest.source_row t ON {_SAME}"
        " WHERE s.op IN ('c', 'u') OR s.op IN ('d', 'x') AND t.key IS NOT NULL ON CONFLICT DO NOTHING",
        run.sequence,
        timeout=SECONDS,
    )


async def settle_quarantine(connection: Any, run: Run, *, whole: list[str]) -> None:
    """Hold back what broke a rule, by the last word on each key; release what does no longer.

    Of tables in `whole` every row was read. Rows without a whole key are read every time, if there are any.
    """
    arguments = (run.county, run.pair.pair, run.run_id)
    last = (
        "(SELECT s.*, max(batch) OVER (PARTITION BY source_table, key) AS last_batch"
        f" FROM ingest.staged_violation s WHERE {_RUN}) s"
    )
    await connection.execute(
        "INSERT INTO ingest.quarantine (county, pair, source_table, key, rule, field, value, operation_id, source_key)"
        " SELECT DISTINCT ON (s.source_table, s.key, s.rule) s.county, s.pair, s.source_table, s.key, s.rule, s.field,"
        f"  s.value, $4::uuid, s.source_key FROM {last} WHERE s.batch = s.last_batch AND s.rule IS NOT NULL"
        " ON CONFLICT (county, pair, source_table, key, rule) DO UPDATE SET field = excluded.field,"
        "  value = excluded.value, operation_id = excluded.operation_id, last_seen_at = now(),"
        "  source_key = coalesce(excluded.source_key, quarantine.source_key)",
        *arguments,
        run.operation_id,
        timeout=SECONDS,
    )
    await connection.execute(
        "DELETE FROM ingest.quarantine q WHERE q.county = $1 AND q.pair = $2 AND q.operation_id <> $4"
        " AND (q.source_table = ANY($5::text[]) OR q.rule = 'key_missing' AND EXISTS (SELECT"
        f"   FROM ingest.staged_progress s WHERE {_RUN} AND s.source_table = q.source_table"
        "    AND s.ranges @> '[{\"number\": -1}]')"
        f"  OR EXISTS (SELECT FROM ingest.staged_violation s WHERE {_RUN} AND s.source_table = q.source_table"
        "   AND s.key = q.key))",
        *arguments,
        run.operation_id,
        whole,
        timeout=SECONDS,
    )
