"""The SQL of a pair's state: who has it, its open run, what is known of its tables."""
# ruff: noqa: S608

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

Row = Mapping[str, Any]
_PAIR = "county = $1 AND pair = $2"


async def take_lease(
    connection: Any, county: str, pair: str, *, owner: str, job: str, lease: timedelta, reader: str,
    source_tables: Sequence[str],
) -> int | None:  # fmt: skip
    """Make a run the pair's owner; its number, or null where another has the pair. A job takes over from itself."""
    await connection.execute(
        "INSERT INTO ingest.sync_pair (county, pair, reader, tables) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
        county, pair, reader, list(source_tables),
    )  # fmt: skip
    free = await connection.fetchval(
        f"SELECT true FROM ingest.sync_pair WHERE {_PAIR} AND (lease_owner IS NULL OR lease_expires_at < now()"
        "  OR lease_owner LIKE $3 || ':%') FOR UPDATE SKIP LOCKED",
        county, pair, job,
    )  # fmt: skip
    if free is None:
        return None
    fence: int = await connection.fetchval(
        "UPDATE ingest.sync_pair SET fence = fence + 1, lease_owner = $3, lease_expires_at = now() + $4::interval,"
        f" reader = $5, tables = $6 WHERE {_PAIR} RETURNING fence",
        county, pair, owner, lease, reader, list(source_tables),
    )  # fmt: skip
    return fence


async def hold_lease(connection: Any, county: str, pair: str, *, fence: int, lease: timedelta) -> str | None:
    """Prolong a lease until this transaction ends and beyond; the pair's status, null where it is another's."""
    status: str | None = await connection.fetchval(
        f"UPDATE ingest.sync_pair SET lease_expires_at = now() + $4::interval WHERE {_PAIR} AND fence = $3"
        " RETURNING status",
        county, pair, fence, lease,
    )  # fmt: skip
    return status


async def prolong_lease(connection: Any, county: str, pair: str, *, fence: int, lease: timedelta) -> None:
    """Prolong a lease; not where a batch is just doing so."""
    await connection.execute(
        "UPDATE ingest.sync_pair SET lease_expires_at = now() + $4::interval WHERE (county, pair) IN"
        f" (SELECT county, pair FROM ingest.sync_pair WHERE {_PAIR} AND fence = $3 FOR UPDATE SKIP LOCKED)",
        county, pair, fence, lease,
    )  # fmt: skip


async def release_lease(connection: Any, county: str, pair: str, *, fence: int) -> None:
    """Let the next owner in."""
    await connection.execute(
        f"UPDATE ingest.sync_pair SET lease_owner = NULL, lease_expires_at = NULL WHERE {_PAIR} AND fence = $3",
        county, pair, fence,
    )  # fmt: skip


async def read_pair(connection: Any, county: str, pair: str) -> Row | None:
    """How far a pair is, and the rules that its last operation went by."""
    row: Row | None = await connection.fetchrow(
        "SELECT p.*, o.details ->> 'rules' AS rules FROM ingest.sync_pair p LEFT JOIN ingest.sync_operation o"
        " ON o.county = p.county AND o.id = p.last_operation_id WHERE p.county = $1 AND p.pair = $2",
        county, pair,
    )  # fmt: skip
    return row


async def set_pair_status(connection: Any, county: str, pair: str, *, status: str) -> None:
    """Active, paused or held."""
    await connection.execute(f"UPDATE ingest.sync_pair SET status = $3 WHERE {_PAIR}", county, pair, status)


async def read_run(connection: Any, county: str, pair: str) -> Row | None:
    """The run that has not ended."""
    row: Row | None = await connection.fetchrow(f"SELECT * FROM ingest.sync_run WHERE {_PAIR}", county, pair)
    return row


async def open_run(connection: Any, county: str, pair: str, *, values: dict[str, Any]) -> None:
    """Begin a run; there is none."""
    names = list(values)
    places = ", ".join(f"${number}" for number in range(3, 3 + len(names)))
    await connection.execute(
        f"INSERT INTO ingest.sync_run (county, pair, {', '.join(names)}) VALUES ($1, $2, {places})",
        county, pair, *values.values(),
    )  # fmt: skip


async def mark_stage(connection: Any, county: str, pair: str, *, run_id: UUID) -> None:
    """Leave a mark among what a run stages: a server that crashed has lost it together with all that was staged.

    It is a release of no key of no table, which says nothing to anybody.
    """
    await connection.execute(
        "INSERT INTO ingest.staged_violation (county, pair, source_table, run_id, batch, key)"
        " VALUES ($1, $2, '', $3, -1, '')",
        county, pair, run_id,
    )  # fmt: skip


async def has_stage(connection: Any, county: str, pair: str, *, run_id: UUID) -> bool:
    """Whether all is there that the run has staged."""
    found: bool = await connection.fetchval(
        f"SELECT EXISTS (SELECT FROM ingest.staged_violation WHERE {_PAIR} AND run_id = $3 AND source_table = ''"
        "  AND key = '')",
        county, pair, run_id,
    )  # fmt: skip
    return found


async def set_phase(connection: Any, county: str, pair: str, *, phase: str, details: dict[str, Any]) -> None:
    """How far the open run is."""
    await connection.execute(
        f"UPDATE ingest.sync_run SET phase = $3, details = details || $4::jsonb WHERE {_PAIR}",
        county, pair, phase, details,
    )  # fmt: skip


async def end_run(connection: Any, county: str, pair: str, *, sequence: int | None) -> None:
    """Forget the open run and all that it staged; with `sequence` also what it has landed of first loads."""
    for table in ("staged_row", "staged_violation", "staged_progress", "sync_run"):
        await connection.execute(f"DELETE FROM ingest.{table} WHERE {_PAIR}", county, pair, timeout=3_600)
    if sequence is not None:
        await connection.execute(
            f"DELETE FROM ingest.source_row WHERE {_PAIR} AND created_sequence >= $3",
            county, pair, sequence, timeout=3_600,
        )  # fmt: skip


async def read_tables(connection: Any, county: str, pair: str) -> dict[str, Row]:
    """What is known of the pair's tables, by name."""
    rows = await connection.fetch(f"SELECT * FROM ingest.sync_table WHERE {_PAIR}", county, pair)
    return {row["source_table"]: row for row in rows}


async def read_ranges(connection: Any, county: str, pair: str, *, source_table: str) -> list[Row]:
    """The ranges of a table."""
    rows = await connection.fetch(
        f"SELECT number, lower, upper, digest FROM ingest.sync_range WHERE {_PAIR} AND source_table = $3",
        county, pair, source_table,
    )  # fmt: skip
    return list(rows)


async def save_table(
    connection: Any, county: str, pair: str, source_table: str, *, values: dict[str, Any], kept: Sequence[str] = ()
) -> None:
    """Store what is known of a table; what is not named stays, and what is `kept` where there is something."""
    names = list(values)
    places = ", ".join(f"${number}" for number in range(4, 4 + len(names)))
    sets = ", ".join(f"{name} = excluded.{name}" for name in names if name not in kept)
    await connection.execute(
        f"INSERT INTO ingest.sync_table (county, pair, source_table, {', '.join(names)}) VALUES ($1, $2, $3, {places})"
        f" ON CONFLICT (county, pair, source_table) DO UPDATE SET {sets}",
        county, pair, source_table, *values.values(),
    )  # fmt: skip


async def set_verified(
    connection: Any, county: str, pair: str, *, source_tables: Sequence[str], through: datetime
) -> None:
    """Note of tables that are as they were, of hundreds at once, until when that is known."""
    if source_tables:
        await connection.execute(
            f"UPDATE ingest.sync_table SET verified_through = $4 WHERE {_PAIR} AND source_table = ANY($3)",
            county, pair, list(source_tables), through,
        )  # fmt: skip


async def save_ranges(
    connection: Any, county: str, pair: str, *, source_table: str, ranges: Sequence[Mapping[str, Any]],
    is_anew: bool,
) -> None:  # fmt: skip
    """Store the ranges that a run read, and forget those that they replace; with `is_anew` all others."""
    replaced = sorted({number for known in ranges for number in known["replaces"]})
    await connection.execute(
        f"DELETE FROM ingest.sync_range WHERE {_PAIR} AND source_table = $3 AND ($5 OR number = ANY($4::integer[]))",
        county, pair, source_table, replaced, is_anew,
    )  # fmt: skip
    await connection.executemany(
        "INSERT INTO ingest.sync_range (county, pair, source_table, number, lower, upper, digest)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (county, pair, source_table, number) DO UPDATE SET"
        " lower = excluded.lower, upper = excluded.upper, digest = excluded.digest",
        [
            (county, pair, source_table, known["number"], known["lower"], known["upper"], known["digest"])
            for known in ranges
        ],
    )


async def read_staged_batches(connection: Any, county: str, pair: str, *, run_id: UUID) -> list[Row]:
    """Every batch that a run has staged, in order."""
    rows = await connection.fetch(
        f"SELECT * FROM ingest.staged_progress WHERE {_PAIR} AND run_id = $3 ORDER BY source_table, batch",
        county, pair, run_id,
    )  # fmt: skip
    return list(rows)


async def save_operation(
    connection: Any, county: str, operation_id: UUID, *, pair: str, sequence: int, rules: str, working_year: int,
    started_at: datetime, result: dict[str, Any],
) -> None:  # fmt: skip
    """Enter an applied operation into the ledger and move the pair to it."""
    counts = ("rows_read", "rows_applied", "rows_unchanged", "rows_quarantined", "rows_filtered", "changes", "events")
    await connection.execute(
        f"INSERT INTO ingest.sync_operation (county, id, pair, mode, reader, sequence, {', '.join(counts)}, details,"
        " started_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
        county, operation_id, pair, result["mode"], result["reader"], sequence,
        *(result[name] for name in counts), {"tables": result["tables"], "rules": rules}, started_at,
    )  # fmt: skip
    await connection.execute(
        "UPDATE ingest.sync_pair SET sequence = $3, last_operation_id = $4, last_synchronized_at = now(),"
        f" working_year = $5, status = 'active' WHERE {_PAIR}",
        county, pair, sequence, operation_id, working_year,
    )  # fmt: skip


async def save_schema_change(
    connection: Any, county: str, pair: str, *, source_table: str, kind: str, columns: dict[str, Any], identity: UUID,
    operation_id: UUID,
) -> bool:  # fmt: skip
    """Enter a change of a source's table into the history; false where it is there already."""
    status: str = await connection.execute(
        "INSERT INTO ingest.schema_change (county, pair, id, source_table, kind, columns, operation_id)"
        " SELECT $1, $2, $3, $4, $5, $6, $7 WHERE NOT EXISTS (SELECT FROM ingest.schema_change s"
        "  WHERE s.county = $1 AND s.pair = $2 AND s.source_table = $4 AND s.columns = $6 AND s.seen_at = ("
        "   SELECT max(seen_at) FROM ingest.schema_change l WHERE l.county = $1 AND l.pair = $2"
        "   AND l.source_table = $4)) ON CONFLICT DO NOTHING",
        county, pair, identity, source_table, kind, columns, operation_id,
    )  # fmt: skip
    return status.endswith("1")


async def stop_table(connection: Any, county: str, pair: str, source_table: str, *, code: str, message: str) -> bool:
    """Follow a table no more; false where it is stopped for that already."""
    status: str = await connection.execute(
        f"UPDATE ingest.sync_table SET status = 'stopped', stopped_code = $4, stopped_message = $5 WHERE {_PAIR}"
        " AND source_table = $3 AND (status, coalesce(stopped_message, '')) IS DISTINCT FROM ('stopped', $5)",
        county, pair, source_table, code, message,
    )  # fmt: skip
    return status.endswith("1")


async def start_table(connection: Any, county: str, pair: str, source_table: str) -> None:
    """Follow a table again."""
    await connection.execute(
        "UPDATE ingest.sync_table SET status = 'active', stopped_code = NULL, stopped_message = NULL"
        f" WHERE {_PAIR} AND source_table = $3",
        county, pair, source_table,
    )  # fmt: skip


async def ask_approval(
    connection: Any, county: str, pair: str, approval_id: UUID, *, operation_id: UUID, reason: str,
    details: dict[str, Any],
) -> None:  # fmt: skip
    """Hold the pair and its run until a person decides."""
    await connection.execute(
        "INSERT INTO ingest.approval (county, id, pair, operation_id, reason, details) VALUES ($1, $2, $3, $4, $5, $6)"
        " ON CONFLICT (county, id) DO UPDATE SET status = 'pending', operation_id = excluded.operation_id,"
        "  details = excluded.details, asked_at = now(), decided_by = NULL, decided_at = NULL",
        county, approval_id, pair, operation_id, reason, details,
    )  # fmt: skip
    await set_phase(connection, county, pair, phase="held", details={"approval_id": str(approval_id)})
    await set_pair_status(connection, county, pair, status="held")


async def read_approval(connection: Any, county: str, pair: str, approval_id: UUID) -> Row | None:
    """What a person is to decide."""
    row: Row | None = await connection.fetchrow(
        "SELECT * FROM ingest.approval WHERE county = $1 AND pair = $2 AND id = $3", county, pair, approval_id
    )
    return row


async def decide_approval(connection: Any, county: str, approval_id: UUID, *, status: str, by: str) -> bool:
    """Note a decision; false where there is one already."""
    changed: str = await connection.execute(
        "UPDATE ingest.approval SET status = $3, decided_by = $4, decided_at = now()"
        " WHERE county = $1 AND id = $2 AND status = 'pending'",
        county, approval_id, status, by,
    )  # fmt: skip
    return changed.endswith("1")


async def set_table_status(
    connection: Any, county: str, pair: str, *, source_tables: Sequence[str], status: str
) -> int:
    """Pause, stop or resume tables by a person's word; how many there are."""
    changed: str = await connection.execute(
        "UPDATE ingest.sync_table SET status = $4, stopped_code = CASE $4 WHEN 'active' THEN NULL"
        "  ELSE $4 || '_by_person' END, stopped_message = NULL,"
        "  columns = CASE WHEN $4 = 'active' AND stopped_code = 'mapping_column_narrowed' THEN '{}' ELSE columns END"
        f" WHERE {_PAIR} AND source_table = ANY($3)",
        county, pair, list(source_tables), status,
    )  # fmt: skip
    return int(changed.rsplit(" ", 1)[1])


async def count_staged(connection: Any, county: str, pair: str, *, run_id: UUID, sequence: int) -> list[Row]:
    """What a run staged, by table, and how many rows were landed before; those left out by the mapping do not count."""
    rows = await connection.fetch(
        "WITH last AS (SELECT DISTINCT ON (source_table, key) source_table, key, op, is_filtered"
        f"   FROM ingest.staged_row WHERE {_PAIR} AND run_id = $3 AND op IN ('c', 'u', 'd')"
        "   ORDER BY source_table, key, batch DESC, place DESC),"
        " told AS (SELECT l.source_table, CASE WHEN l.op = 'd' THEN CASE WHEN t.key IS NOT NULL AND NOT t.is_filtered"
        "    THEN 'd' END WHEN t.key IS NULL OR t.is_filtered THEN CASE WHEN NOT l.is_filtered THEN 'c' END"
        "   WHEN l.is_filtered THEN 'd' ELSE 'u' END AS op FROM last l LEFT JOIN LATERAL (SELECT r.key, r.is_filtered"
        "    FROM ingest.source_row r WHERE r.county = $1 AND r.pair = $2 AND r.source_table = l.source_table"
        "    AND r.key = l.key OFFSET 0) t ON true)"
        " SELECT c.*, (SELECT count(*) FROM ingest.source_row t WHERE t.county = $1 AND t.pair = $2"
        "   AND t.source_table = c.source_table AND NOT t.is_filtered AND t.created_sequence < $4) AS landed"
        " FROM (SELECT source_table, count(*) FILTER (WHERE op = 'c') AS created,"
        "  count(*) FILTER (WHERE op = 'u') AS updated, count(*) FILTER (WHERE op = 'd') AS deleted"
        "  FROM told GROUP BY source_table) c",
        county, pair, run_id, sequence, timeout=3_600,
    )  # fmt: skip
    return list(rows)


async def count_first(
    connection: Any, county: str, pair: str, *, sequence: int, tables: Sequence[str]
) -> dict[str, int]:
    """How many rows a run has landed of tables that it loads for the first time."""
    rows = await connection.fetch(
        f"SELECT source_table, count(*) AS rows FROM ingest.source_row WHERE {_PAIR} AND created_sequence = $3"
        " AND source_table = ANY($4) AND NOT is_filtered GROUP BY source_table",
        county, pair, sequence, list(tables), timeout=3_600,
    )  # fmt: skip
    return {row["source_table"]: row["rows"] for row in rows}


async def count_batches(connection: Any, county: str, pair: str, *, run_id: UUID) -> list[Row]:
    """What a run read, by table."""
    rows = await connection.fetch(
        "SELECT source_table, sum(rows_read)::bigint AS rows_read, sum(rows_quarantined)::bigint AS rows_quarantined,"
        "  sum(rows_filtered)::bigint AS rows_filtered, sum(rows_compared)::bigint AS rows_compared"
        f" FROM ingest.staged_progress WHERE {_PAIR} AND run_id = $3 GROUP BY source_table",
        county, pair, run_id,
    )  # fmt: skip
    return list(rows)
