"""The synchronisation interface that the county's operators know."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from pydantic import Field
from starlette.responses import Response

from contracts.api.base import Page
from contracts.api.base import Request as Body
from contracts.api.jobs import Job, RunRequest
from contracts.api.sync import SyncOperation, SyncPair, SyncParameters, SyncRequest
from contracts.subjects import COUNTY_PATTERN, JobKind
from services.gateway import record_queries
from services.gateway.access import CurrentCaller, choose_county, visible_counties
from services.gateway.answers import answer
from services.gateway.domain.permissions import EVERY_COUNTY, Caller, read
from services.gateway.routes.runs import IdempotencyKey, run_request
from services.gateway.state import Gateway, gateway_of
from services.gateway.submission import submit

router = APIRouter(prefix="/api", tags=["sync"])
_SyncRun = run_request(JobKind.SYNC)


class OperationsQuery(Body):
    """Which synchronisation runs, the newest first."""

    county: str | None = Field(default=None, pattern=COUNTY_PATTERN)
    pair: str | None = Field(default=None, pattern=COUNTY_PATTERN)
    limit: int = Field(default=50, ge=1, le=500)


@router.get("/sync-pairs", response_model=Page[SyncPair], summary="The pairs of legacy system and county")
async def pairs(
    request: Request, caller: CurrentCaller, county: Annotated[str | None, Query(pattern=COUNTY_PATTERN)] = None
) -> Response:
    """What is synchronised with what, and when it last was."""
    gateway = gateway_of(request)
    chosen = _county(gateway, caller, county)
    async with gateway.database.read(chosen) as connection:
        rows = await record_queries.list_sync_pairs(connection, chosen)
    return answer(Page[SyncPair](items=[SyncPair.model_validate(dict(row)) for row in rows]))


@router.get(
    "/sync-operations",
    response_model=Page[SyncOperation],
    summary="Synchronisation runs, by their other name",
    operation_id="sync_operations",
)
@router.get("/sync/operations", response_model=Page[SyncOperation], summary="Synchronisation runs")
async def operations(request: Request, caller: CurrentCaller, query: Annotated[OperationsQuery, Query()]) -> Response:
    """The newest runs with their counts."""
    gateway = gateway_of(request)
    county = _county(gateway, caller, query.county)
    async with gateway.database.read(county) as connection:
        rows = await record_queries.list_sync_operations(connection, county, pair=query.pair, limit=query.limit)
    return answer(Page[SyncOperation](items=[SyncOperation.model_validate(dict(row)) for row in rows]))


@router.post("/sync/full", status_code=202, response_model=Job, summary="Synchronise everything")
async def full(
    request: Request, body: SyncRequest, caller: CurrentCaller, idempotency_key: IdempotencyKey = None
) -> Response:
    """Ask for a full synchronisation of a pair."""
    return await submit(gateway_of(request), caller, JobKind.SYNC, body=_run(body, "full"), key=idempotency_key)


@router.post("/sync/incremental", status_code=202, response_model=Job, summary="Synchronise what has changed")
async def incremental(
    request: Request, body: SyncRequest, caller: CurrentCaller, idempotency_key: IdempotencyKey = None
) -> Response:
    """Ask for an incremental synchronisation of a pair."""
    return await submit(gateway_of(request), caller, JobKind.SYNC, body=_run(body, "incremental"), key=idempotency_key)


def _run(body: SyncRequest, mode: Literal["full", "incremental"]) -> RunRequest:
    return _SyncRun(county=body.county, parameters=SyncParameters(pair=body.pair, mode=mode))


def _county(gateway: Gateway, caller: Caller, county: str | None) -> str:
    if county is None and visible_counties(caller) == [EVERY_COUNTY]:
        return EVERY_COUNTY
    return choose_county(gateway, caller, county, permission=read(JobKind.SYNC))
