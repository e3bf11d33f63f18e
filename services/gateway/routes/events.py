"""A job's events as server-sent events (WHATWG HTML, section 9.2)."""

from collections.abc import AsyncIterator
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Header, Request
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.responses import Response

from chassis.errors import PermanentError
from contracts.api.jobs import JobStatus
from contracts.subjects import JobKind
from services.gateway.access import CurrentCaller
from services.gateway.found_jobs import find_job
from services.gateway.job_events import JobEvents
from services.gateway.state import gateway_of

router = APIRouter(prefix="/api/v1", tags=["jobs"])
SEND_TIMEOUT_SECONDS = 30
PING_SECONDS = 15
LastEventId = Annotated[str | None, Header(alias="Last-Event-ID", description="the id of the last event received")]


_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Server-sent events: `event` is the fact, `id` its place, `data` the fact's body as on the bus",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    },
    204: {"description": "The client has the job's last fact already"},
}


@router.get("/jobs/{job_id}/events", summary="Follow a job", response_class=EventSourceResponse, responses=_ANSWERS)
async def follow(request: Request, caller: CurrentCaller, job_id: UUID, last_event_id: LastEventId = None) -> Response:
    """Every fact of the job from its beginning, or after `Last-Event-ID`; ends with the job.

    204 where the client has the ending already, which tells a browser not to come back.
    """
    gateway = gateway_of(request)
    row = await find_job(gateway, caller, job_id)
    after = _sequence(last_event_id)
    if after and JobStatus(row["status"]).ended and await gateway.hub.is_ending(job_id, after):
        return Response(status_code=204)
    events = JobEvents(
        gateway.hub,
        gateway.database,
        county=row["county"],
        kind=JobKind(row["kind"]),
        job_id=job_id,
        created_at=row["created_at"],
        after=after,
        check_seconds=gateway.settings.event_check_interval.total_seconds(),
    )
    return EventSourceResponse(_wire(events), ping=PING_SECONDS, send_timeout=SEND_TIMEOUT_SECONDS)


async def _wire(events: JobEvents) -> AsyncIterator[ServerSentEvent]:
    async for said in events:
        yield ServerSentEvent(data=said.body, event=said.fact, id=str(said.sequence))


def _sequence(last_event_id: str | None) -> int:
    if not last_event_id:
        return 0
    if not (last_event_id.isascii() and last_event_id.isdigit() and len(last_event_id) < 19):
        raise PermanentError("last_event_id_invalid", "Last-Event-ID is the id of an event that we sent")
    return int(last_event_id)
