"""All SQL of the chassis."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg

from chassis.outbox import OutboxMessage

Row = asyncpg.Record


async def insert_outbox(connection: Any, messages: Sequence[OutboxMessage]) -> None:
    """Write events beside the change that they tell of."""
    await connection.execute(
        "INSERT INTO chassis.outbox (id, county, subject, headers, body)"
        " SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::jsonb[], $5::text[])"
        " ON CONFLICT (id) DO NOTHING",
        *_columns(messages),
    )


def _columns(messages: Sequence[OutboxMessage]) -> tuple[list[Any], ...]:
    """The columns of outbox rows."""
    return (
        [m.id for m in messages],
        [m.county for m in messages],
        [m.subject for m in messages],
        [m.headers for m in messages],
        [m.body for m in messages],
    )


async def delete_outbox(connection: Any, ids: Sequence[UUID]) -> None:
    """Forget events that the bus has acknowledged."""
    await connection.execute("DELETE FROM chassis.outbox WHERE id = ANY($1::uuid[])", ids)


async def forget_sent(connection: Any, ids: Sequence[UUID]) -> None:
    """Forget events of any county in a transaction of its own and one round trip.

    The commit need not reach the disk: an event that a power cut brings back is sent again under its old id.
    """
    listed = ",".join(f"'{UUID(bytes=identity.bytes)}'" for identity in ids)
    delete = f"DELETE FROM chassis.outbox WHERE id IN ({listed})"  # noqa: S608 nothing but UUIDs
    await connection.execute(
        f"BEGIN; SET LOCAL terrafusion.county = '*'; SET LOCAL synchronous_commit = off; {delete}; COMMIT"
    )


async def lock_outbox(connection: Any, *, older_than: timedelta, limit: int) -> list[OutboxMessage]:
    """The oldest events that nobody is sending right now, locked until the transaction ends."""
    rows = await connection.fetch(
        "SELECT id, county, subject, headers, body FROM chassis.outbox WHERE created_at <= now() - $1::interval"
        " ORDER BY position LIMIT $2 FOR UPDATE SKIP LOCKED",
        older_than,
        limit,
    )
    return [OutboxMessage(r["id"], r["county"], r["subject"], r["headers"], r["body"]) for r in rows]


async def outbox_lag(connection: Any) -> tuple[int, float]:
    """How many events wait, and for how many seconds the oldest of them."""
    row = await connection.fetchrow(
        "SELECT count(*) AS waiting, coalesce(extract(epoch FROM now() - min(created_at)), 0)::float8 AS seconds"
        " FROM chassis.outbox"
    )
    return row["waiting"], max(row["seconds"], 0.0)


async def record_delivery(connection: Any, county: str, *, consumer: str, event_id: str) -> bool:
    """Remember a delivery; false where it was known."""
    status = await connection.execute(
        "INSERT INTO chassis.inbox (county, consumer, event_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        county,
        consumer,
        event_id,
    )
    return str(status).endswith(" 1")


async def forget_deliveries(connection: Any, *, older_than: timedelta) -> int:
    """Drop inbox rows that no redelivery can reach any more."""
    status = await connection.execute("DELETE FROM chassis.inbox WHERE received_at < now() - $1::interval", older_than)
    return int(str(status).rsplit(" ", 1)[1])


async def forget_idle_jobs(connection: Any, *, older_than: timedelta, limit: int) -> int:
    """Drop jobs of schedules that ended long ago and that nothing came of, which their result says as `is_idle`.

    The last job of a schedule stays.
    """
    status = await connection.execute(
        "DELETE FROM chassis.job WHERE (county, id) IN (SELECT j.county, j.id FROM chassis.job j"
        "  WHERE j.result ->> 'is_idle' = 'true' AND j.finished_at < now() - $1::interval AND j.status = 'succeeded'"
        "  AND j.requested_by LIKE 'schedule:%' AND j.artifacts = '[]' AND NOT EXISTS (SELECT FROM chassis.schedule s"
        "   WHERE s.county = j.county AND s.last_job_id = j.id) ORDER BY j.finished_at LIMIT $2)",
        older_than,
        limit,
    )
    return int(str(status).rsplit(" ", 1)[1])


#: a job of the same county and kind that could start now and comes before this one
_MORE_URGENT = (
    "SELECT FROM chassis.job AS other WHERE other.county = $1 AND other.kind = job.kind AND other.status = 'queued'"
    " AND other.priority <> 'low' AND (job.priority = 'low' OR job.priority = 'normal' AND other.priority = 'high')"
    " AND (other.not_before IS NULL OR other.not_before <= now())"
)


async def claim_job(
    connection: Any,
    county: str,
    job_id: UUID,
    *,
    owner: str,
    lease: timedelta,
    attempt: int = 0,
    failures_allowed: int = 1_000_000,
    started: OutboxMessage | None = None,
) -> Row | None:
    """Take a job that waits while none more urgent does, or one whose worker was silent for longer than the lease.

    `started` tells of it and is stored in the same statement where the start turns out to be the `attempt`
    that it speaks of and not the last straw; `told` says whether.
    """
    message = started or OutboxMessage(job_id, county, "", {}, "")
    return await connection.fetchrow(  # type: ignore[no-any-return]
        "WITH claimed AS ("  # noqa: S608 both parts are constants of ours
        " UPDATE chassis.job SET status = 'running', attempt = attempt + 1, owner = $3, heartbeat_at = now(),"
        "  failures = failures + (status = 'running')::int, not_before = NULL,"
        "  started_at = coalesce(started_at, now())"
        " WHERE county = $1 AND id = $2 AND ("
        "  (status = 'queued' AND (not_before IS NULL OR not_before <= now() + interval '100 milliseconds')"
        f"   AND NOT EXISTS ({_MORE_URGENT}))"
        "  OR (status = 'running' AND heartbeat_at < now() - $4::interval))"
        " RETURNING id, county, kind, attempt, failures, requested_by, deadline, parameters"
        "), told AS ("
        " INSERT INTO chassis.outbox (id, county, subject, headers, body)"
        " SELECT $6, $1, $7, $8, $9 FROM claimed WHERE attempt = $5 AND failures < $10 ON CONFLICT (id) DO NOTHING"
        ") SELECT *, attempt = $5 AND failures < $10 AS told FROM claimed",
        county,
        job_id,
        owner,
        lease,
        attempt if started else 0,
        message.id,
        message.subject,
        message.headers,
        message.body,
        failures_allowed,
    )


async def read_claim(connection: Any, county: str, job_id: UUID) -> Row | None:
    """Why a job could not be claimed: its status, and the seconds until it may be tried again."""
    return await connection.fetchrow(  # type: ignore[no-any-return]
        "SELECT status, attempt, kind, greatest(extract(epoch FROM not_before - now()), 0)::float8 AS wait_seconds,"
        " extract(epoch FROM now() - heartbeat_at)::float8 AS silent_seconds"
        " FROM chassis.job WHERE county = $1 AND id = $2",
        county,
        job_id,
    )


async def beat(connection: Any, county: str, job_id: UUID, *, attempt: int) -> Row | None:
    """Say that the worker lives; nothing where the job is no longer this attempt's."""
    return await connection.fetchrow(  # type: ignore[no-any-return]
        "UPDATE chassis.job SET heartbeat_at = now() WHERE county = $1 AND id = $2 AND attempt = $3"
        " AND status IN ('running', 'cancelling') RETURNING status, deadline < now() AS expired",
        county,
        job_id,
        attempt,
    )


async def save_progress(connection: Any, county: str, job_id: UUID, *, attempt: int, progress: dict[str, Any]) -> bool:
    """Store how far the job is; false where it is no longer this attempt's."""
    status = await connection.execute(
        "UPDATE chassis.job SET progress = $4, heartbeat_at = now() WHERE county = $1 AND id = $2"
        " AND attempt = $3 AND status IN ('running', 'cancelling')",
        county,
        job_id,
        attempt,
        progress,
    )
    return str(status).endswith(" 1")


# A long unit of work begins long before it ends: `now()` is its beginning.


async def succeed_job(
    connection: Any,
    county: str,
    job_id: UUID,
    *,
    attempt: int,
    result: dict[str, Any],
    artifacts: list[dict[str, Any]],
    messages: Sequence[OutboxMessage] = (),
) -> bool:
    """End the job well and store what tells of it; false where it was cancelled or taken over meanwhile."""
    ended = await connection.fetchval(
        "WITH ended AS ("
        " UPDATE chassis.job SET status = 'succeeded', result = $4, artifacts = $5, error = NULL,"
        "  finished_at = clock_timestamp(), heartbeat_at = NULL,"
        "  progress = CASE WHEN progress ->> 'total' IS NULL THEN progress"
        "   ELSE progress || jsonb_build_object('done', progress -> 'total') END"
        " WHERE county = $1 AND id = $2 AND attempt = $3 AND status = 'running' RETURNING id"
        "), told AS ("
        " INSERT INTO chassis.outbox (id, county, subject, headers, body)"
        " SELECT m.* FROM ended, unnest($6::uuid[], $7::text[], $8::text[], $9::jsonb[], $10::text[]) m"
        " ON CONFLICT (id) DO NOTHING"
        ") SELECT count(*) FROM ended",
        county,
        job_id,
        attempt,
        result,
        artifacts,
        *_columns(messages),
    )
    return bool(ended)


async def end_job(
    connection: Any, county: str, job_id: UUID, *, attempt: int, status: str, error: dict[str, Any] | None
) -> bool:
    """End the job as failed or cancelled; false where it ended before or is another attempt's."""
    done = await connection.execute(
        "UPDATE chassis.job SET status = $4, error = $5, finished_at = clock_timestamp(), heartbeat_at = NULL"
        " WHERE county = $1 AND id = $2 AND attempt = $3 AND finished_at IS NULL",
        county,
        job_id,
        attempt,
        status,
        error,
    )
    return str(done).endswith(" 1")


async def requeue_job(
    connection: Any,
    county: str,
    job_id: UUID,
    *,
    attempt: int,
    wait: timedelta,
    error: dict[str, Any] | None = None,
    is_failure: bool = False,
) -> bool:
    """Let a job wait for its next start; false where it is not this attempt's or is being cancelled.

    `error` says why it waits. Handed back (a worker shuts down) or postponed, it does not count as a failed start.
    """
    done = await connection.execute(
        "UPDATE chassis.job SET status = 'queued', not_before = now() + $4::interval, error = $5,"
        " failures = failures + $6::int,"
        " heartbeat_at = NULL, owner = NULL, published_at = now()"
        " WHERE county = $1 AND id = $2 AND attempt = $3 AND status = 'running'",
        county,
        job_id,
        attempt,
        wait,
        error,
        int(is_failure),
    )
    return str(done).endswith(" 1")


async def take_lost_jobs(connection: Any, *, silence: timedelta, limit: int) -> list[Row]:
    """Jobs that should have been delivered or finished by now, marked as published again.

    JetStream acknowledges before it syncs to disk; after a power cut it may lack a message that the outbox has
    already forgotten. A job that waits, or runs without a heartbeat, for longer than `silence` is such a one.
    """
    return await connection.fetch(  # type: ignore[no-any-return]
        "UPDATE chassis.job SET published_at = now() WHERE (county, id) IN ("
        " SELECT county, id FROM chassis.job WHERE finished_at IS NULL"
        "  AND published_at < now() - $1::interval"
        "  AND (status = 'queued' AND coalesce(not_before, published_at) < now() - $1::interval"
        "   OR status IN ('running', 'cancelling') AND coalesce(heartbeat_at, published_at) < now() - $1::interval)"
        "  AND NOT EXISTS (SELECT FROM chassis.outbox o WHERE o.id = job.id)"
        " ORDER BY published_at LIMIT $2 FOR UPDATE SKIP LOCKED) RETURNING *",
        silence,
        limit,
    )


async def read_job(connection: Any, county: str, job_id: UUID) -> Row | None:
    """One job, whole."""
    return await connection.fetchrow(  # type: ignore[no-any-return]
        "SELECT * FROM chassis.job WHERE county = $1 AND id = $2", county, job_id
    )


async def read_job_by_key(connection: Any, county: str, *, requested_by: str, idempotency_key: str) -> Row | None:
    """The job that somebody asked for with this key before."""
    return await connection.fetchrow(  # type: ignore[no-any-return]
        "SELECT * FROM chassis.job WHERE county = $1 AND requested_by = $2 AND idempotency_key = $3",
        county,
        requested_by,
        idempotency_key,
    )


async def restart_job(connection: Any, county: str, job_id: UUID) -> Row | None:
    """Queue a job again that ended without success, with as long a time as it had first; nothing where it did not."""
    return await connection.fetchrow(  # type: ignore[no-any-return]
        "UPDATE chassis.job SET status = 'queued', error = NULL, result = NULL, artifacts = '[]', finished_at = NULL,"
        " not_before = NULL, owner = NULL, progress = '{}', failures = 0, published_at = now(),"
        " restarted_at = now(), deadline = now() + (deadline - coalesce(restarted_at, created_at))"
        " WHERE county = $1 AND id = $2 AND status IN ('failed', 'cancelled') RETURNING *",
        county,
        job_id,
    )


async def end_silent_sessions(connection: Any, *, silence: timedelta) -> list[str]:
    """End sessions of this login whose statement has waited for its client so long; says whose they were.

    Only a login's own sessions are seen and ended, so the service's role is left for this transaction.
    """
    await connection.execute("SET LOCAL ROLE NONE")
    rows = await connection.fetch(
        "SELECT application_name, pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE usename = current_user AND datname = current_database() AND application_name LIKE 'terrafusion %'"
        " AND state = 'active' AND wait_event IN ('ClientRead', 'ClientWrite') AND state_change < now() - $1::interval",
        silence,
    )
    return [row["application_name"] for row in rows]
