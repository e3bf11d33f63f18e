"""The SQL that takes runs back: which rows they touched, what those were before, and what follows from that."""
# ruff: noqa: S608

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from services.ingest.domain.envelopes import Run

Row = Mapping[str, Any]

#: a landed row of `undo_target t`, looked up by its whole key whatever the planner expects of what nobody analysed
_LANDED = (
    "SELECT {} FROM ingest.source_row s WHERE s.county = $1 AND s.pair = $2 AND s.source_table = t.source_table"
    " AND s.key = t.key OFFSET 0"
)
_STATE = "digest, image, personal, parcel_id, sale_id, owner_id, lot_id, created_sequence, is_filtered, range_number"


async def lock_pair(connection: Any, county: str, pair: str) -> Row | None:
    """Keep other operations of the pair out until the transaction ends."""
    return await connection.fetchrow(  # type: ignore[no-any-return]
        "SELECT p.sequence, p.working_year, p.reader, p.status, o.details ->> 'rules' AS rules FROM ingest.sync_pair p"
        " LEFT JOIN ingest.sync_operation o ON o.county = p.county AND o.id = p.last_operation_id"
        " WHERE p.county = $1 AND p.pair = $2 FOR UPDATE OF p",
        county,
        pair,
    )


async def read_operation(connection: Any, county: str, pair: str, operation_id: UUID) -> Row | None:
    """An operation of the pair's history."""
    return await connection.fetchrow(  # type: ignore[no-any-return]
        "SELECT id, sequence, mode, undone_by FROM ingest.sync_operation WHERE county = $1 AND pair = $2 AND id = $3",
        county,
        pair,
        operation_id,
    )


async def find_touched(connection: Any, county: str, pair: str, *, sequences: Sequence[int]) -> None:
    """The keys of all rows that runs created, changed or deleted."""
    await connection.execute(
        "CREATE TEMP TABLE IF NOT EXISTS undo_key (source_table text, key text, PRIMARY KEY (source_table, key))"
        " ON COMMIT DROP"
    )
    await connection.execute(
        "INSERT INTO undo_key SELECT source_table, key FROM ingest.row_before"
        "  WHERE county = $1 AND pair = $2 AND (sequence = ANY($3) OR created_sequence = ANY($3))"
        " UNION SELECT source_table, key FROM ingest.source_row"
        "  WHERE county = $1 AND pair = $2 AND created_sequence = ANY($3) ON CONFLICT DO NOTHING",
        county,
        pair,
        sequences,
    )
    await connection.execute("ANALYZE undo_key")


async def later_operations(connection: Any, county: str, pair: str, *, after: int, without: Sequence[int]) -> list[Row]:
    """Operations that still count and touched the same rows later; one that was undone, and its undoing, do not."""
    return await connection.fetch(  # type: ignore[no-any-return]
        "SELECT o.id, o.sequence FROM ingest.sync_operation o WHERE o.county = $1 AND o.pair = $2 AND o.sequence > $3"
        " AND o.sequence <> ALL($4) AND o.undone_by IS NULL AND o.mode <> 'undo' AND EXISTS (SELECT"
        "  FROM ingest.row_before b JOIN undo_key k ON k.source_table = b.source_table AND k.key = b.key"
        "  WHERE b.county = $1 AND b.pair = $2 AND b.sequence = o.sequence) ORDER BY o.sequence",
        county,
        pair,
        after,
        without,
    )


async def find_targets(connection: Any, county: str, pair: str, *, sequences: Sequence[int]) -> None:
    """What each touched row was before the first of the runs; `is_load` where a first load brought it."""
    await connection.execute(
        "CREATE TEMP TABLE undo_target (source_table text, key text, op text, is_absent boolean, is_load boolean,"
        " sequence bigint, digest text, image text, personal text, parcel_id text, sale_id text, owner_id text,"
        " lot_id text, created_sequence bigint, is_filtered boolean, range_number integer,"
        " PRIMARY KEY (source_table, key)) ON COMMIT DROP"
    )
    await connection.execute(
        f"INSERT INTO undo_target (source_table, key, op, is_absent, is_load, sequence, {_STATE})"
        " SELECT DISTINCT ON (source_table, key) source_table, key, op, image IS NULL OR created_sequence = ANY($3),"
        f"  op <> 'c' AND created_sequence = ANY($3), changed_sequence, {_STATE} FROM ingest.row_before"
        " WHERE county = $1 AND pair = $2 AND sequence = ANY($3) ORDER BY source_table, key, sequence",
        county,
        pair,
        sequences,
    )
    await connection.execute(
        "INSERT INTO undo_target (source_table, key, is_absent, is_load) SELECT source_table, key, true, true"
        " FROM undo_key ON CONFLICT DO NOTHING"
    )
    await connection.execute("ANALYZE undo_target")


async def keep_before(connection: Any, run: Run) -> int:
    """Write what the undoing changes into the before-images of its own run; returns how many rows."""
    status = await connection.execute(
        "INSERT INTO ingest.row_before (county, pair, sequence, source_table, op, key, digest, image, personal,"
        "  parcel_id, sale_id, owner_id, lot_id, created_sequence, changed_sequence, is_filtered, range_number)"
        " SELECT $1, $2, $3, t.source_table, CASE WHEN t.op = 'x' THEN 'x' WHEN r.key IS NULL THEN 'c'"
        "   WHEN t.is_absent THEN 'd' WHEN (r.image, r.personal, r.is_filtered) IS NOT DISTINCT FROM"
        "    (t.image, t.personal, t.is_filtered) THEN 'm' ELSE 'u' END,"
        "  t.key, r.digest, r.image, r.personal, r.parcel_id, r.sale_id,"
        "  r.owner_id, r.lot_id, coalesce(r.created_sequence, 0), coalesce(r.sequence, 0),"
        "  coalesce(r.is_filtered, false), r.range_number"
        f" FROM undo_target t LEFT JOIN LATERAL ({_LANDED.format('*')}) r ON true"
        " WHERE CASE WHEN t.is_absent THEN r.key IS NOT NULL ELSE r.key IS NULL OR (r.image, r.personal, r.digest,"
        "  r.sequence, r.is_filtered) IS DISTINCT FROM (t.image, t.personal, t.digest, t.sequence, t.is_filtered) END",
        run.county,
        run.pair.pair,
        run.sequence,
    )
    return int(str(status).rsplit(" ", 1)[1])


async def forget_ranges(connection: Any, run: Run) -> None:
    """Let the ranges of the rows be read again; all of a table where a row's range is not known any more."""
    await connection.execute(
        "WITH touched AS MATERIALIZED (SELECT DISTINCT source_table, range_number, false AS is_back"
        "   FROM ingest.row_before WHERE county = $1 AND pair = $2 AND sequence = $3"
        "  UNION SELECT DISTINCT source_table, range_number, true FROM undo_target WHERE NOT is_absent)"
        " UPDATE ingest.sync_range g SET digest = NULL WHERE county = $1 AND pair = $2 AND ("
        "  EXISTS (SELECT FROM touched t WHERE t.source_table = g.source_table AND t.range_number = g.number)"
        "  OR EXISTS (SELECT FROM touched t WHERE t.source_table = g.source_table AND t.is_back"
        "   AND NOT EXISTS (SELECT FROM ingest.sync_range o WHERE o.county = $1 AND o.pair = $2"
        "    AND o.source_table = t.source_table AND o.number = t.range_number)))",
        run.county,
        run.pair.pair,
        run.sequence,
    )


async def read_again_where_rules_differ(
    connection: Any, county: str, pair: str, *, sequences: Sequence[int], rules: str | None
) -> None:
    """Have tables read as a whole whose restored rows were landed by other rules than those of today."""
    await connection.execute(
        "UPDATE ingest.sync_table s SET rules = '' WHERE county = $1 AND pair = $2"
        " AND EXISTS (SELECT FROM undo_target t WHERE t.source_table = s.source_table)"
        " AND EXISTS (SELECT FROM ingest.sync_operation o WHERE o.county = $1 AND o.pair = $2"
        "  AND o.sequence = ANY($3) AND o.details ->> 'rules' IS DISTINCT FROM $4)",
        county,
        pair,
        list(sequences),
        rules,
    )


async def restore_rows(connection: Any, county: str, pair: str) -> None:
    """Make the landed rows what they were, to the letter."""
    await connection.execute(
        "DELETE FROM ingest.source_row WHERE ctid = ANY(ARRAY(SELECT r.ctid FROM undo_target t"
        f" CROSS JOIN LATERAL ({_LANDED.format('s.ctid')}) r WHERE t.is_absent))",
        county,
        pair,
    )
    names = [*_STATE.split(", "), "sequence"]
    await connection.execute(
        f"INSERT INTO ingest.source_row (county, pair, source_table, key, {', '.join(names)})"
        f" SELECT $1, $2, source_table, key, {', '.join(names)} FROM undo_target WHERE NOT is_absent"
        " ON CONFLICT (county, pair, source_table, key) DO UPDATE SET"
        f" {', '.join(f'{name} = excluded.{name}' for name in names)}",
        county,
        pair,
    )


async def undone_loads(connection: Any, county: str, pair: str) -> list[str]:
    """Forget that tables were ever read whose first load is undone; returns them. Where nothing is left, all are."""
    rows = await connection.fetch(
        "SELECT DISTINCT source_table FROM undo_target WHERE is_load AND is_absent UNION SELECT source_table"
        " FROM ingest.sync_table t WHERE county = $1 AND pair = $2 AND EXISTS (SELECT FROM undo_target WHERE is_load)"
        "  AND NOT EXISTS (SELECT FROM ingest.source_row r WHERE r.county = $1 AND r.pair = $2)",
        county,
        pair,
    )
    names = [row["source_table"] for row in rows]
    for table in ("sync_range", "sync_table"):
        await connection.execute(
            f"DELETE FROM ingest.{table} WHERE county = $1 AND pair = $2 AND source_table = ANY($3)",
            county,
            pair,
            names,
        )
    return names


async def put_tokens_back(connection: Any, county: str, pair: str, *, sequences: Sequence[int]) -> None:
    """Each table's token as it was before the first of the runs that says so.

    A log names no row that a run released from quarantine, and tells the changes of later runs once more: what follows
    one is read as a whole again.
    """
    await connection.execute(
        "UPDATE ingest.sync_table s"
        " SET token = CASE WHEN s.reader IN ('cdc', 'change_tracking') THEN NULL ELSE f.token END FROM ("
        "  SELECT DISTINCT ON (t.key) t.key AS source_table, t.value ->> 'token_before' AS token"
        "  FROM ingest.sync_operation o CROSS JOIN LATERAL jsonb_each(o.details -> 'tables') t"
        "  WHERE o.county = $1 AND o.pair = $2 AND o.sequence = ANY($3)"
        "   AND jsonb_typeof(o.details -> 'tables') = 'object' AND t.value ? 'token_before'"
        "  ORDER BY t.key, o.sequence) f"
        " WHERE s.county = $1 AND s.pair = $2 AND s.source_table = f.source_table",
        county,
        pair,
        sequences,
    )


async def drop_open_run(connection: Any, county: str, pair: str) -> None:
    """Forget what an open run has staged, and landed of first loads: it is of rows that are others now."""
    for table in ("staged_row", "staged_progress", "staged_violation", "sync_run"):
        await connection.execute(f"DELETE FROM ingest.{table} WHERE county = $1 AND pair = $2", county, pair)
    await connection.execute(
        "DELETE FROM ingest.source_row WHERE county = $1 AND pair = $2 AND created_sequence >"
        " (SELECT sequence FROM ingest.sync_pair WHERE county = $1 AND pair = $2)",
        county,
        pair,
    )


async def forget_layers(
    connection: Any, run: Run, *, root: str, year_column: str | None, supplement_column: str | None
) -> None:
    """Drop what only the undone runs had put into the record: layers, and what hangs on them."""
    year = f"(b.image::jsonb ->> {_literal(year_column)})::int" if year_column else str(int(run.working_year))
    supplement = f"(b.image::jsonb ->> {_literal(supplement_column)})::int" if supplement_column else "0"
    await connection.execute(
        "DELETE FROM ingest.parcel WHERE ctid = ANY(ARRAY(SELECT l.ctid FROM ingest.row_before b"
        " CROSS JOIN LATERAL (SELECT e.ctid FROM ingest.parcel e WHERE e.county = $1 AND e.pair = $2"
        f"  AND e.parcel_id = b.parcel_id AND e.tax_year = {year} AND e.supplement = {supplement}"
        "  AND (NOT e.is_current AND NOT e.is_official OR NOT EXISTS (SELECT FROM ingest.source_row r"
        "    WHERE r.county = $1 AND r.pair = $2 AND r.source_table = $4 AND r.parcel_id = e.parcel_id)"
        "   AND NOT EXISTS (SELECT FROM ingest.row_before p WHERE p.county = $1 AND p.pair = $2 AND p.sequence < $3"
        "    AND p.source_table = $4 AND p.key = b.key AND p.op = 'd')) OFFSET 0) l"
        " WHERE b.county = $1 AND b.pair = $2 AND b.sequence = $3 AND b.source_table = $4 AND b.op = 'd'))",
        run.county,
        run.pair.pair,
        run.sequence,
        root,
    )
    for table in ("parcel", "neighborhood"):
        await connection.execute(
            f"DELETE FROM ingest.{table} WHERE county = $1 AND pair = $2 AND tax_year > $3",
            run.county,
            run.pair.pair,
            run.working_year,
        )
    await connection.execute(
        "DELETE FROM ingest.owner o WHERE county = $1 AND pair = $2 AND NOT EXISTS (SELECT FROM ingest.parcel p"
        " WHERE p.county = o.county AND p.parcel_id = o.parcel_id AND p.tax_year = o.tax_year OFFSET 0)",
        run.county,
        run.pair.pair,
    )


async def landed_year(connection: Any, county: str, pair: str, *, table: str, column: str) -> int | None:
    """The one year that the landed rows of a table hold; null: none."""
    value = await connection.fetchval(
        "SELECT max(image::jsonb ->> $4) FROM ingest.source_row"
        " WHERE county = $1 AND pair = $2 AND source_table = $3 AND NOT is_filtered",
        county,
        pair,
        table,
        column,
    )
    return int(value) if value is not None else None


async def changed_tables(connection: Any, run: Run) -> set[str]:
    """The tables whose rows a run changed."""
    rows = await connection.fetch(
        "SELECT DISTINCT source_table FROM ingest.row_before WHERE county = $1 AND pair = $2 AND sequence = $3",
        run.county,
        run.pair.pair,
        run.sequence,
    )
    return {row["source_table"] for row in rows}


async def enter(connection: Any, run: Run, *, undone: Sequence[UUID], reader: str, details: dict[str, Any]) -> None:
    """Write the undoing into the history, mark what it undid, and hold the pair."""
    await connection.execute(
        "INSERT INTO ingest.sync_operation (county, id, pair, mode, reader, sequence, rows_read, rows_applied,"
        "  rows_unchanged, rows_quarantined, rows_filtered, changes, events, details)"
        " VALUES ($1, $2, $3, 'undo', $4, $5, 0, 0, 0, 0, 0, $6, $7, $8)",
        run.county,
        run.operation_id,
        run.pair.pair,
        reader,
        run.sequence,
        details["rows"],
        details["events"],
        details,
    )
    await connection.execute(
        "UPDATE ingest.sync_operation SET undone_by = NULL WHERE county = $1 AND undone_by = ANY($2)",
        run.county,
        list(undone),
    )
    await connection.execute(
        "UPDATE ingest.sync_operation SET undone_by = $3 WHERE county = $1 AND id = ANY($2)",
        run.county,
        list(undone),
        run.operation_id,
    )
    await connection.execute(
        "UPDATE ingest.sync_pair SET sequence = $3, last_operation_id = $4, last_synchronized_at = now(),"
        " status = 'held', working_year = $5 WHERE county = $1 AND pair = $2",
        run.county,
        run.pair.pair,
        run.sequence,
        run.operation_id,
        run.working_year,
    )


def _literal(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
