"""Asking for a job: the job and its command in one statement of one transaction, then to the bus."""

import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

from opentelemetry import trace
from starlette.responses import Response

from chassis import queries as chassis_queries
from chassis.errors import ConflictError, PermanentError
from chassis.outbox import new_id
from chassis.requests import job_requested
from chassis.telemetry import JOBS_SUBMITTED, current_traceparent
from contracts.api.jobs import Job, RunRequest
from contracts.subjects import JobKind
from services.gateway import queries
from services.gateway.access import require
from services.gateway.answers import answer, job_answer, new_job_answer
from services.gateway.domain.permissions import Caller, ask
from services.gateway.pairs import require_pair
from services.gateway.state import Gateway

MAXIMUM_KEY_CHARACTERS = 255


async def submit(gateway: Gateway, caller: Caller, kind: JobKind, *, body: RunRequest, key: str | None) -> Response:
    """Accept a job: 202 with its place.

    Raises:
        ConflictError: `idempotency_key_reused`, the key came with another body before.
        ForbiddenError: `county_forbidden` or `permission_denied`.
        NotFoundError: `pair_unknown`.
    """
    job = _new_job(kind, body, requested_by=caller.username, key=_checked(key) if key is not None else None)
    require(gateway, caller, body.county, permission=ask(kind, job["parameters"]))
    if kind == JobKind.SYNC:
        await require_pair(gateway, body.county, job["parameters"]["pair"])
    message = job_requested(job, service="gateway", first=True)
    async with gateway.database.pool.acquire() as connection:
        created_at = await queries.insert_job(connection, body.county, job, message)
    if created_at is None:
        return _accepted(await _known_job(gateway, body.county, job))
    assert gateway.database.publisher is not None
    gateway.database.publisher.send([message])
    JOBS_SUBMITTED[kind].labels(body.county).inc()
    trace.get_current_span().set_attribute("terrafusion.job.id", str(job["id"]))
    return _accepted(new_job_answer(job, county=body.county, created_at=created_at))


async def is_known(gateway: Gateway, caller: Caller, county: str, *, key: str | None) -> bool:
    """Whether the caller's key stands for a job already: its repetition is no new request, whatever has come since."""
    if key is None:
        return False
    async with gateway.database.read(county) as connection:
        row = await chassis_queries.read_job_by_key(
            connection, county, requested_by=caller.username, idempotency_key=_checked(key)
        )
    return row is not None


async def _known_job(gateway: Gateway, county: str, job: dict[str, Any]) -> Job:
    """The job that this caller's key stands for already."""
    async with gateway.database.read(county) as connection:
        row = await chassis_queries.read_job_by_key(
            connection, county, requested_by=job["requested_by"], idempotency_key=job["idempotency_key"]
        )
    assert row is not None
    if row["request_digest"] != job["request_digest"]:
        raise ConflictError("idempotency_key_reused", "this Idempotency-Key came with another request before")
    return job_answer(row)


def _new_job(kind: JobKind, body: RunRequest, *, requested_by: str, key: str | None) -> dict[str, Any]:
    """The row of a job that is asked for; parameters as the caller gave them, checked by the kind's model."""
    asked = body.model_dump(mode="json", exclude_unset=True)
    seconds = body.deadline_seconds
    return {
        "id": new_id(),
        "county": body.county,
        "kind": kind,
        "attempt": 0,
        "priority": body.priority,
        "parameters": asked.get("parameters", {}),
        "request_digest": _digest(kind, asked),
        "idempotency_key": key,
        "requested_by": requested_by,
        "deadline": datetime.now(UTC) + timedelta(seconds=seconds) if seconds is not None else None,
        "traceparent": current_traceparent(),
    }


def _digest(kind: JobKind, asked: dict[str, Any]) -> str:
    """The same for the same request, however its JSON was written."""
    return hashlib.sha256(json.dumps([kind, asked], sort_keys=True).encode()).hexdigest()


def _checked(key: str) -> str:
    if not (0 < len(key) <= MAXIMUM_KEY_CHARACTERS and key.isascii() and key.isprintable()):
        raise PermanentError("idempotency_key_invalid", "an Idempotency-Key is 1 to 255 visible characters")
    return key


def _accepted(job: Job) -> Response:
    return answer(job, 202, {"Location": job.links.self})
