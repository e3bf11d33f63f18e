"""All SQL of the gateway, but for the canonical record, which `record_queries.py` reads."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from chassis.outbox import OutboxMessage

Row = asyncpg.Record


async def insert_job(connection: Any, county: str, job: dict[str, Any], message: OutboxMessage) -> datetime | None:
    """Write a job and its command: when it was; None where the idempotency key is known.

    To be run outside a transaction: the statement is one, and declares its county to row-level security itself
    before it writes, so that accepting a job takes one round trip.
    """
    return await connection.fetchval(  # type: ignore[no-any-return]
        "WITH scope AS MATERIALIZED (SELECT set_config('terrafusion.county', $1, true) AS county),"
        " asked AS ("
        " INSERT INTO chassis.job (county, id, kind, priority, parameters, request_digest, idempotency_key,"
        "  requested_by, deadline, traceparent)"
        " SELECT county, $2, $3, $4, $5, $6, $7, $8, $9, $10 FROM scope"
        " ON CONFLICT ON CONSTRAINT job_idempotency_key DO NOTHING RETURNING id, created_at"
        "), told AS ("
        " INSERT INTO chassis.outbox (id, county, subject, headers, body)"
        " SELECT id, $1, $11, $12, $13 FROM asked"
        ") SELECT created_at FROM asked",
        county,
        job["id"],
        job["kind"],
        job["priority"],
        job["parameters"],
        job["request_digest"],
        job["idempotency_key"],
        job["requested_by"],
        job["deadline"],
        job["traceparent"],
        message.subject,
        message.headers,
        message.body,
    )


async def list_jobs(
    connection: Any,
    county: str,
    *,
    kinds: Sequence[str],
    status: str | None,
    after: tuple[datetime, UUID] | None,
    limit: int,
) -> list[Row]:
    """The newest jobs of a county (`*`: of all) below a point in the list."""
    moment, job_id = after or (None, None)
    return await connection.fetch(  # type: ignore[no-any-return]
        "SELECT * FROM chassis.job WHERE ($1 = '*' OR county = $1) AND kind = ANY($2::text[])"
        " AND ($3::text IS NULL OR status = $3)"
        " AND ($4::timestamptz IS NULL OR (created_at, id) < ($4, $5::uuid))"
        " ORDER BY created_at DESC, id DESC LIMIT $6",
        county,
        kinds,
        status,
        moment,
        job_id,
        limit,
    )


async def read_job_of(connection: Any, counties: Sequence[str], job_id: UUID) -> Row | None:
    """One job of any of several counties."""
    return await connection.fetchrow(  # type: ignore[no-any-return]
        "SELECT * FROM chassis.job WHERE county = ANY($1::text[]) AND id = $2", counties, job_id
    )


async def lock_job(connection: Any, county: str, job_id: UUID) -> Row | None:
    """One job, kept from changing until the transaction ends."""
    return await connection.fetchrow(  # type: ignore[no-any-return]
        "SELECT * FROM chassis.job WHERE county = $1 AND id = $2 FOR UPDATE", county, job_id
    )


async def cancel_queued_job(connection: Any, county: str, job_id: UUID) -> Row:
    """End a locked job that has not begun."""
    return await connection.fetchrow(  # type: ignore[no-any-return]
        "UPDATE chassis.job SET status = 'cancelled', finished_at = now(), not_before = NULL"
        " WHERE county = $1 AND id = $2 RETURNING *",
        county,
        job_id,
    )


async def ask_job_to_stop(connection: Any, county: str, job_id: UUID) -> Row:
    """Mark a locked job that runs: its worker sees it at its next heartbeat, if it does not hear it before."""
    return await connection.fetchrow(  # type: ignore[no-any-return]
        "UPDATE chassis.job SET status = 'cancelling' WHERE county = $1 AND id = $2 RETURNING *",
        county,
        job_id,
    )


async def count_jobs(connection: Any, county: str) -> dict[str, int]:
    """How many jobs there are in each status."""
    rows = await connection.fetch(
        "SELECT status, count(*) AS jobs FROM chassis.job WHERE $1 = '*' OR county = $1 GROUP BY status", county
    )
    return {row["status"]: row["jobs"] for row in rows}


async def read_user(connection: Any, username: str) -> Row | None:
    """A local account."""
    return await connection.fetchrow(  # type: ignore[no-any-return]
        'SELECT username, password_hash, disabled FROM gateway."user" WHERE username = $1', username
    )


async def save_password(connection: Any, username: str, password_hash: str) -> None:
    """Create the account or change its password, which ends all its logins."""
    await connection.execute(
        'INSERT INTO gateway."user" (username, password_hash) VALUES ($1, $2)'
        " ON CONFLICT (username) DO UPDATE SET password_hash = excluded.password_hash, password_changed_at = now()",
        username,
        password_hash,
    )
    await connection.execute(
        "UPDATE gateway.refresh_token SET revoked_at = now() WHERE username = $1 AND revoked_at IS NULL", username
    )


async def save_grant(
    connection: Any, county: str, username: str, *, roles: Sequence[str], permissions: Sequence[str]
) -> None:
    """Give an account its roles in a county, in place of those it had there."""
    await connection.execute(
        "INSERT INTO gateway.user_grant (county, username, roles, permissions) VALUES ($1, $2, $3, $4)"
        " ON CONFLICT (county, username) DO UPDATE SET roles = excluded.roles, permissions = excluded.permissions",
        county,
        username,
        list(roles),
        list(permissions),
    )


async def read_grants(connection: Any, username: str) -> list[Row]:
    """What an account was given beside the county files."""
    return await connection.fetch(  # type: ignore[no-any-return]
        "SELECT county, roles, permissions FROM gateway.user_grant WHERE username = $1", username
    )


async def insert_refresh_token(
    connection: Any, digest: str, *, session: UUID, username: str, lifetime: timedelta
) -> None:
    """Remember a refresh token; forget those of the account that nobody can use any more."""
    await connection.execute(
        "INSERT INTO gateway.refresh_token (digest, session, username, expires_at)"
        " VALUES ($1, $2, $3, now() + $4::interval)",
        digest,
        session,
        username,
        lifetime,
    )
    await connection.execute("DELETE FROM gateway.refresh_token WHERE username = $1 AND expires_at < now()", username)


async def use_refresh_token(connection: Any, digest: str) -> Row | None:
    """Use a refresh token up: its session and account, whether it was usable and whether it was used before."""
    return await connection.fetchrow(  # type: ignore[no-any-return]
        "WITH known AS ("
        " SELECT t.digest, t.session, t.username, t.used_at IS NOT NULL AS reused,"
        "  t.revoked_at IS NULL AND t.expires_at > now() AND NOT u.disabled AS valid"
        ' FROM gateway.refresh_token t JOIN gateway."user" u USING (username) WHERE t.digest = $1 FOR UPDATE OF t'
        "), used AS ("
        " UPDATE gateway.refresh_token t SET used_at = now() FROM known k WHERE t.digest = k.digest"
        ") SELECT session, username, valid, reused FROM known",
        digest,
    )


async def revoke_session(connection: Any, session: UUID) -> None:
    """End a login with all its renewals."""
    await connection.execute(
        "UPDATE gateway.refresh_token SET revoked_at = now() WHERE session = $1 AND revoked_at IS NULL", session
    )
