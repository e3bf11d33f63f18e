"""Jobs that the platform asks for by itself; a schedule takes the permission that its job takes."""

from typing import Annotated
from uuid import UUID

import asyncpg
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from chassis import schedules
from chassis.counties import county_names, load_county
from chassis.errors import ForbiddenError, NotFoundError
from contracts.api.base import Page
from contracts.api.jobs import Job
from contracts.api.schedules import ScheduledJob, ScheduleRequest, SchedulesQuery
from contracts.subjects import JobKind
from services.gateway import schedule_queries
from services.gateway.access import CurrentCaller, require, visible_counties
from services.gateway.answers import answer
from services.gateway.domain.permissions import EVERY_COUNTY, Caller, ask, read
from services.gateway.paging import cut, position
from services.gateway.pairs import require_pair
from services.gateway.readable import readable_county
from services.gateway.routes.runs import IdempotencyKey
from services.gateway.run_requests import run_request
from services.gateway.state import Gateway, gateway_of
from services.gateway.submission import submit

router = APIRouter(prefix="/api/v1/schedules", tags=["schedules"])


@router.get("", response_model=Page[ScheduledJob], summary="What is asked for by itself, and when next")
async def list_schedules(
    request: Request, caller: CurrentCaller, query: Annotated[SchedulesQuery, Query()]
) -> Response:
    """The schedules of files and of people, of the kinds that the caller may read."""
    gateway = gateway_of(request)
    county = readable_county(gateway, caller, query.county)
    kinds = [kind.value for kind in ([query.kind] if query.kind else JobKind) if caller.may(read(kind), county)]
    after = position(query.cursor, str, str)
    async with gateway.database.read(county) as connection:
        rows = await schedule_queries.list_schedules(
            connection, county, kinds=kinds, after=after, limit=query.limit + 1
        )
    page, following = cut(rows, query.limit, "county", "name")
    return answer(Page[ScheduledJob](items=[ScheduledJob(**row) for row in page], next=following))


@router.post("", status_code=201, response_model=ScheduledJob, summary="Add a schedule")
async def create(request: Request, body: ScheduleRequest, caller: CurrentCaller) -> Response:
    """Ask for a job again and again, in the county's time zone; 409 `schedule_exists` where the name is taken."""
    gateway, schedule = gateway_of(request), body.schedule
    require(gateway, caller, body.county, permission=ask(schedule.kind, schedule.parameters))
    if schedule.kind == JobKind.SYNC and isinstance(pair := schedule.parameters.get("pair"), str):
        await require_pair(gateway, body.county, pair)
    time_zone = load_county(gateway.counties_dir, body.county).time_zone
    async with gateway.database.begin(body.county) as unit:
        row = await schedules.create(unit.connection, body.county, schedule, time_zone=time_zone, by=caller.username)
    return answer(ScheduledJob(**row), 201, {"Location": f"/api/v1/schedules/{row['id']}"})


@router.post("/{schedule_id}/pause", response_model=ScheduledJob, summary="Let a schedule rest")
async def pause(request: Request, schedule_id: UUID, caller: CurrentCaller) -> Response:
    """No job by itself until somebody resumes it."""
    gateway = gateway_of(request)
    known = await _find(gateway, caller, schedule_id)
    async with gateway.database.begin(known["county"]) as unit:
        row = await schedules.pause(unit.connection, known["county"], known["name"], by=caller.username)
    return answer(ScheduledJob(**row))


@router.post("/{schedule_id}/resume", response_model=ScheduledJob, summary="Let a schedule go on")
async def resume(request: Request, schedule_id: UUID, caller: CurrentCaller) -> Response:
    """From now: what was due while it rested is not caught up with."""
    gateway = gateway_of(request)
    known = await _find(gateway, caller, schedule_id)
    async with gateway.database.begin(known["county"]) as unit:
        row = await schedules.resume(unit.connection, known["county"], known["name"])
    return answer(ScheduledJob(**row))


@router.post("/{schedule_id}/run", status_code=202, response_model=Job, summary="Ask for a schedule's job now")
async def run_now(
    request: Request, schedule_id: UUID, caller: CurrentCaller, idempotency_key: IdempotencyKey = None
) -> Response:
    """The schedule's job at once, in the caller's name; its times stay as they are."""
    gateway = gateway_of(request)
    known = await _find(gateway, caller, schedule_id)
    kind = JobKind(known["kind"])
    body = run_request(kind)(county=known["county"], parameters=known["parameters"], priority=known["priority"])
    return await submit(gateway, caller, kind, body=body, key=idempotency_key)


@router.delete("/{schedule_id}", status_code=204, response_class=Response, summary="Remove a schedule")
async def delete(request: Request, schedule_id: UUID, caller: CurrentCaller) -> Response:
    """Forget a schedule that a person added; one of a county's file can only be paused: 409 `schedule_declared`."""
    gateway = gateway_of(request)
    known = await _find(gateway, caller, schedule_id)
    async with gateway.database.begin(known["county"]) as unit:
        await schedules.delete(unit.connection, known["county"], known["name"])
    return Response(status_code=204)


async def _find(gateway: Gateway, caller: Caller, schedule_id: UUID) -> asyncpg.Record:
    """A schedule that the caller may change; one of another county is not there at all."""
    for county in visible_counties(caller):
        counties = county_names(gateway.counties_dir) if county == EVERY_COUNTY else [county]
        async with gateway.database.read(county) as connection:
            row = await schedule_queries.read_schedule(connection, counties, schedule_id)
        if row is not None:
            permission = ask(row["kind"], row["parameters"])
            if not caller.may(permission, row["county"]):
                raise ForbiddenError("permission_denied", f"you lack the permission {permission} in {row['county']}")
            return row
    raise NotFoundError("schedule_unknown", f"there is no schedule {schedule_id}")
