"""Jobs that a service asks for by itself, as the gateway does for people."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from chassis import queries
from chassis.database import UnitOfWork
from chassis.errors import ConflictError
from chassis.outbox import new_id
from chassis.requests import job_requested
from chassis.schedule_queries import insert_job
from chassis.telemetry import JOBS_SUBMITTED, current_traceparent
from contracts.subjects import JobKind


async def request_job(
    unit: UnitOfWork, kind: JobKind, parameters: Mapping[str, Any], *, by: str, key: str | None = None
) -> queries.Row:
    """Write a job and its command; with a key, asking twice gives the same job. The service needs INSERT on jobs.

    Raises:
        ConflictError: `idempotency_key_reused`, the key came with other parameters before.
    """
    asked = [kind, parameters]
    job = {
        "id": new_id(),
        "county": unit.county,
        "kind": kind,
        "priority": "normal",
        "parameters": dict(parameters),
        "request_digest": hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest(),
        "idempotency_key": key,
        "requested_by": by,
        "traceparent": current_traceparent(),
    }
    written = await insert_job(unit.connection, job)
    if written is not None:
        unit.publish_message(job_requested(written, service=unit.service, first=True))
        JOBS_SUBMITTED[kind].labels(unit.county).inc()
        return written
    assert key is not None
    known = await queries.read_job_by_key(unit.connection, unit.county, requested_by=by, idempotency_key=key)
    if known is None or known["request_digest"] != job["request_digest"]:
        raise ConflictError("idempotency_key_reused", "this idempotency key came with another request before")
    return known
