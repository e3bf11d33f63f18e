"""From rows to the contracts' answers, and from those to responses."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import asyncpg
from pydantic import BaseModel
from starlette.responses import Response

from chassis.telemetry import trace_id_of
from contracts.api.jobs import Artifact, Job, JobError, JobProgress, JobStatus, job_links
from contracts.subjects import JobKind


def answer(body: BaseModel, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A contract's model as a response; times are RFC 3339 in UTC."""
    return Response(body.model_dump_json(), status, headers, media_type="application/json")


def job_answer(row: asyncpg.Record) -> Job:
    """A job's row as everybody sees it."""
    return Job(
        id=row["id"],
        county=row["county"],
        kind=JobKind(row["kind"]),
        status=JobStatus(row["status"]),
        progress=JobProgress(**row["progress"]),
        parameters=row["parameters"],
        requested_by=row["requested_by"],
        created_at=row["created_at"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
        attempt=row["attempt"],
        deadline=row["deadline"],
        error=JobError(**row["error"]) if row["error"] else None,
        result=row["result"],
        artifacts=[Artifact(**artifact) for artifact in row["artifacts"]],
        trace_id=trace_id_of(row["traceparent"]),
        links=job_links(row["id"]),
    )


def new_job_answer(job: Mapping[str, Any], *, county: str, created_at: datetime) -> Job:
    """A job that has just been asked for."""
    nothing_yet: dict[str, Any] = {
        "started_at": None,
        "finished_at": None,
        "error": None,
        "result": None,
        "artifacts": [],
    }
    return Job.model_validate(
        {
            **nothing_yet,
            "id": job["id"],
            "county": county,
            "kind": job["kind"],
            "status": JobStatus.QUEUED,
            "progress": {},
            "parameters": job["parameters"],
            "requested_by": job["requested_by"],
            "created_at": created_at,
            "attempt": job["attempt"],
            "deadline": job["deadline"],
            "trace_id": trace_id_of(job["traceparent"]),
            "links": job_links(job["id"]),
        }
    )
