"""The SQL of schedules."""

from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

Row = asyncpg.Record

# A transaction's `now()` is its beginning; a schedule is due by the clock.


async def take_due(connection: Any) -> Row | None:
    """The schedule that has been due for longest and that nobody else has in hand, locked; `now` and `is_busy` too."""
    return await connection.fetchrow(  # type: ignore[no-any-return]
        "SELECT s.*, clock_timestamp() AS now, EXISTS (SELECT FROM chassis.job j WHERE j.county = s.county"
        "  AND j.finished_at IS NULL AND (j.id = s.last_job_id OR j.requested_by = 'schedule:' || s.name)) AS is_busy"
        " FROM chassis.schedule s WHERE NOT s.is_paused AND s.next_due_at <= clock_timestamp()"
        " ORDER BY s.next_due_at LIMIT 1 FOR UPDATE OF s SKIP LOCKED"
    )


async def save_fire(connection: Any, row: Row, *, job_id: UUID, next_due_at: datetime | None) -> None:
    """Remember that the job of a due time was asked for."""
    await connection.execute(
        "UPDATE chassis.schedule SET last_due_at = next_due_at, last_job_id = $3, next_due_at = $4"
        " WHERE county = $1 AND name = $2",
        row["county"],
        row["name"],
        job_id,
        next_due_at,
    )


async def save_skip(connection: Any, row: Row, *, next_due_at: datetime | None) -> None:
    """Remember that a due time went by without a job."""
    await connection.execute(
        "UPDATE chassis.schedule SET skips = skips + 1, last_skipped_at = clock_timestamp(), next_due_at = $3"
        " WHERE county = $1 AND name = $2",
        row["county"],
        row["name"],
        next_due_at,
    )


async def insert_job(connection: Any, job: dict[str, Any]) -> Row | None:
    """Write a job; nothing where it was asked for before."""
    return await connection.fetchrow(  # type: ignore[no-any-return]
        "INSERT INTO chassis.job (county, id, kind, priority, parameters, request_digest, idempotency_key,"
        " requested_by, traceparent) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING RETURNING *",
        *(job[name] for name in ("county", "id", "kind", "priority", "parameters")),
        *(job[name] for name in ("request_digest", "idempotency_key", "requested_by", "traceparent")),
    )


async def lock_county(connection: Any, county: str) -> None:
    """Let one process at a time compare a county's files with what is stored."""
    await connection.execute("SELECT pg_advisory_xact_lock(hashtext('chassis.schedule'), hashtext($1))", county)


async def clock(connection: Any) -> datetime:
    """The database's clock, which all processes share."""
    return await connection.fetchval("SELECT clock_timestamp()")  # type: ignore[no-any-return]


async def list_schedules(connection: Any, county: str) -> list[Row]:
    """A county's schedules by name."""
    return await connection.fetch(  # type: ignore[no-any-return]
        "SELECT * FROM chassis.schedule WHERE county = $1 ORDER BY name", county
    )


async def read_schedule(connection: Any, county: str, name: str, *, lock: bool = False) -> Row | None:
    """One schedule."""
    query = "SELECT * FROM chassis.schedule WHERE county = $1 AND name = $2"
    return await connection.fetchrow(  # type: ignore[no-any-return]
        query + " FOR UPDATE" if lock else query, county, name
    )


async def insert_schedule(connection: Any, county: str, schedule: dict[str, Any]) -> Row | None:
    """Write a new schedule; nothing where the name is taken."""
    return await connection.fetchrow(  # type: ignore[no-any-return]
        "INSERT INTO chassis.schedule (county, name, id, origin, kind, parameters, priority, cron, every_seconds,"
        " time_zone, catch_up, next_due_at, created_by) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)"
        " ON CONFLICT DO NOTHING RETURNING *",
        county,
        *(schedule[name] for name in ("name", "id", "origin", "kind", "parameters", "priority", "cron")),
        *(schedule[name] for name in ("every_seconds", "time_zone", "catch_up", "next_due_at", "created_by")),
    )


async def update_schedule(connection: Any, county: str, schedule: dict[str, Any]) -> None:
    """Let a schedule be as its file says; that somebody paused it stays."""
    await connection.execute(
        "UPDATE chassis.schedule SET origin = $3, kind = $4, parameters = $5, priority = $6, cron = $7,"
        " every_seconds = $8, time_zone = $9, catch_up = $10, next_due_at = $11 WHERE county = $1 AND name = $2",
        county,
        *(schedule[name] for name in ("name", "origin", "kind", "parameters", "priority", "cron")),
        *(schedule[name] for name in ("every_seconds", "time_zone", "catch_up", "next_due_at")),
    )


async def pause_schedule(connection: Any, county: str, name: str, *, by: str) -> Row | None:
    """Let a schedule rest."""
    return await connection.fetchrow(  # type: ignore[no-any-return]
        "UPDATE chassis.schedule SET is_paused = true, paused_by = $3 WHERE county = $1 AND name = $2 RETURNING *",
        county,
        name,
        by,
    )


async def resume_schedule(connection: Any, county: str, name: str, *, next_due_at: datetime | None) -> Row | None:
    """Let a schedule go on from now."""
    return await connection.fetchrow(  # type: ignore[no-any-return]
        "UPDATE chassis.schedule SET is_paused = false, paused_by = NULL, next_due_at = $3"
        " WHERE county = $1 AND name = $2 RETURNING *",
        county,
        name,
        next_due_at,
    )


async def delete_schedule(connection: Any, county: str, name: str) -> None:
    """Forget a schedule; its jobs stay."""
    await connection.execute("DELETE FROM chassis.schedule WHERE county = $1 AND name = $2", county, name)
