"""One interface for the jobs of all kinds, and the kinds' own status and results routes."""

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from chassis import queries as chassis_queries
from chassis.errors import ConflictError
from chassis.requests import job_requested
from contracts.api.base import Page
from contracts.api.job_lists import JobsQuery
from contracts.api.jobs import Job, JobResult, JobStatus
from contracts.events.jobs import JobCancelled, JobCancelRequested
from contracts.subjects import JobKind
from services.gateway import queries
from services.gateway.access import CurrentCaller
from services.gateway.answers import answer, job_answer
from services.gateway.domain.permissions import Caller, read
from services.gateway.found_jobs import find_job, find_job_to_change, result_of
from services.gateway.paging import cut, moment, position
from services.gateway.readable import readable_county
from services.gateway.state import gateway_of

router = APIRouter(prefix="/api/v1", tags=["jobs"])


@router.get("/jobs", response_model=Page[Job], summary="List jobs, the newest first")
async def list_jobs(request: Request, caller: CurrentCaller, query: Annotated[JobsQuery, Query()]) -> Response:
    """The jobs that the caller may see, page by page."""
    gateway = gateway_of(request)
    county = readable_county(gateway, caller, query.county)
    after = position(query.cursor, moment, UUID)
    async with gateway.database.read(county) as connection:
        rows = await queries.list_jobs(
            connection,
            county,
            kinds=_kinds(caller, county, query.kind),
            status=query.status,
            after=after,
            limit=query.limit + 1,
        )
    page, following = cut(rows, query.limit, "created_at", "id")
    return answer(Page[Job](items=[job_answer(row) for row in page], next=following))


def _kinds(caller: Caller, county: str, kind: JobKind | None) -> list[str]:
    wanted = list(JobKind) if kind is None else [kind]
    return [kind.value for kind in wanted if caller.may(read(kind), county)]


@router.get("/jobs/{job_id}", response_model=Job, summary="One job")
async def get_job(request: Request, caller: CurrentCaller, job_id: UUID) -> Response:
    """How the job is now."""
    return answer(job_answer(await find_job(gateway_of(request), caller, job_id)))


@router.get("/jobs/{job_id}/results", response_model=JobResult, summary="What a job found")
async def get_results(request: Request, caller: CurrentCaller, job_id: UUID) -> Response:
    """The result and the artifacts; 409 `job_not_finished` before the end."""
    return answer(result_of(await find_job(gateway_of(request), caller, job_id)))


@router.post("/jobs/{job_id}/cancel", status_code=202, response_model=Job, summary="Stop a job")
async def cancel(request: Request, caller: CurrentCaller, job_id: UUID) -> Response:
    """A job that waits ends at once; one that runs is asked to stop."""
    gateway = gateway_of(request)
    county = (await find_job_to_change(gateway, caller, job_id))["county"]
    async with gateway.database.begin(county) as unit:
        row = await queries.lock_job(unit.connection, county, job_id)
        assert row is not None
        said = {"county": county, "occurred_at": datetime.now(UTC), "job_id": job_id, "kind": row["kind"]}
        said["attempt"] = row["attempt"]
        if JobStatus(row["status"]).ended:
            raise ConflictError("job_ended", f"the job has ended: {row['status']}", details={"status": row["status"]})
        if row["status"] == JobStatus.QUEUED:
            row = await queries.cancel_queued_job(unit.connection, county, job_id)
            await unit.publish(JobCancelled(**said))
        elif row["status"] == JobStatus.RUNNING:
            row = await queries.ask_job_to_stop(unit.connection, county, job_id)
            await unit.publish(JobCancelRequested(**said, requested_by=caller.username))
    return answer(job_answer(row), 202)


@router.post("/jobs/{job_id}/retry", status_code=202, response_model=Job, summary="Start a job again")
async def retry(request: Request, caller: CurrentCaller, job_id: UUID) -> Response:
    """Queue a job again that failed or was cancelled; it keeps its id and its place."""
    gateway = gateway_of(request)
    found = await find_job_to_change(gateway, caller, job_id)
    async with gateway.database.begin(found["county"]) as unit:
        row = await chassis_queries.restart_job(unit.connection, found["county"], job_id)
        if row is None:
            raise ConflictError("job_not_retryable", "only a job that failed or was cancelled can be started again")
        unit.publish_message(job_requested(row, service="gateway"))
    return answer(job_answer(row), 202, {"Location": f"/api/v1/jobs/{job_id}"})


def _kind_routes(kind: JobKind) -> None:
    """The routes that the county's existing integrations know."""

    async def status(request: Request, caller: CurrentCaller, job_id: UUID) -> Response:
        return answer(job_answer(await find_job(gateway_of(request), caller, job_id, kind=kind)))

    async def results(request: Request, caller: CurrentCaller, job_id: UUID) -> Response:
        return answer(result_of(await find_job(gateway_of(request), caller, job_id, kind=kind)))

    router.add_api_route(
        f"/{kind.route}/status/{{job_id}}",
        status,
        response_model=Job,
        operation_id=f"{kind}_status",
        summary=f"How a {kind} job is",
    )
    router.add_api_route(
        f"/{kind.route}/results/{{job_id}}",
        results,
        response_model=JobResult,
        operation_id=f"{kind}_results",
        summary=f"What a {kind} job found",
    )


for _kind in JobKind:
    _kind_routes(_kind)
