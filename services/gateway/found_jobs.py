"""Finds the job that a path names, for a caller who may see it."""

from uuid import UUID

import asyncpg

from chassis.counties import county_names
from chassis.errors import ConflictError, ForbiddenError, NotFoundError
from contracts.api.jobs import JobResult, JobStatus
from contracts.subjects import JobKind
from services.gateway import queries
from services.gateway.access import visible_counties
from services.gateway.answers import job_answer
from services.gateway.domain.permissions import EVERY_COUNTY, Caller, ask, read
from services.gateway.state import Gateway


async def find_job(gateway: Gateway, caller: Caller, job_id: UUID, *, kind: JobKind | None = None) -> asyncpg.Record:
    """A job's row; one of another county is not there at all.

    Raises:
        NotFoundError: `job_not_found`.
        ForbiddenError: `permission_denied`.
    """
    row = await _search(gateway, caller, job_id)
    if row is None or (kind is not None and row["kind"] != kind):
        raise NotFoundError("job_not_found", f"there is no job {job_id}")
    _require(caller, read(row["kind"]), row["county"])
    return row


async def find_job_to_change(gateway: Gateway, caller: Caller, job_id: UUID) -> asyncpg.Record:
    """The same for who wants to stop or repeat it, which takes the permission to ask for it."""
    row = await find_job(gateway, caller, job_id)
    _require(caller, ask(row["kind"], row["parameters"]), row["county"])
    return row


async def _search(gateway: Gateway, caller: Caller, job_id: UUID) -> asyncpg.Record | None:
    """Look under each county by itself, so that row-level security checks every grant a second time."""
    for county in visible_counties(caller):
        counties = county_names(gateway.counties_dir) if county == EVERY_COUNTY else [county]
        async with gateway.database.read(county) as connection:
            row = await queries.read_job_of(connection, counties, job_id)
        if row is not None:
            return row
    return None


def _require(caller: Caller, permission: str, county: str) -> None:
    if not caller.may(permission, county):
        raise ForbiddenError("permission_denied", f"you lack the permission {permission} in {county}")


def result_of(row: asyncpg.Record) -> JobResult:
    """What a job that succeeded has to show.

    Raises:
        ConflictError: `job_not_finished`, `job_failed` (with the error) or `job_cancelled`.
    """
    job = job_answer(row)
    if not job.status.ended:
        raise ConflictError("job_not_finished", f"the job is {job.status}", details={"status": job.status})
    if job.status == JobStatus.CANCELLED:
        raise ConflictError("job_cancelled", "the job was cancelled")
    if job.error is not None or job.result is None:
        error = job.error.model_dump(mode="json") if job.error else None
        raise ConflictError("job_failed", "the job failed", details={"error": error})
    return JobResult(id=job.id, kind=job.kind, result=job.result, artifacts=job.artifacts)
