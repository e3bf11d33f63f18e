"""The synchronisation interface that the county's operators know."""

import logging
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from pydantic import Field
from starlette.responses import Response

from chassis.counties import county_names
from chassis.errors import PermanentError
from contracts.api.base import Page
from contracts.api.base import Request as Body
from contracts.api.jobs import Job
from contracts.api.sync import SyncOperation, SyncPair, SyncRequest, SyncRun
from contracts.subjects import COUNTY_PATTERN, JobKind
from services.gateway import record_queries, sync_queries
from services.gateway.access import CurrentCaller
from services.gateway.answers import answer
from services.gateway.domain.permissions import EVERY_COUNTY, Caller
from services.gateway.pairs import configured_pairs
from services.gateway.readable import readable_county
from services.gateway.routes.runs import IdempotencyKey
from services.gateway.run_requests import request_run
from services.gateway.state import Gateway, gateway_of

router = APIRouter(prefix="/api", tags=["sync"])
log = logging.getLogger(__name__)


class OperationsQuery(Body):
    """Which synchronisation runs, the newest first."""

    county: str | None = Field(default=None, pattern=COUNTY_PATTERN)
    pair: str | None = Field(default=None, pattern=COUNTY_PATTERN)
    limit: int = Field(default=50, ge=1, le=500)


@router.get("/sync-pairs", response_model=Page[SyncPair], summary="The pairs of legacy system and county")
async def pairs(
    request: Request, caller: CurrentCaller, county: Annotated[str | None, Query(pattern=COUNTY_PATTERN)] = None
) -> Response:
    """What is synchronised with what, how far that has come, and what waits for a person."""
    gateway = gateway_of(request)
    chosen = readable_county(gateway, caller, county, kind=JobKind.SYNC)
    async with gateway.database.read(chosen) as connection:
        rows = await sync_queries.list_pairs(connection, chosen)
        runs = {
            (row["county"], row["pair"]): SyncRun(**row) for row in await sync_queries.list_runs(connection, chosen)
        }
    found = {(row["county"], row["pair"]): SyncPair(**row, run=runs.get((row["county"], row["pair"]))) for row in rows}
    counties = county_names(gateway.counties_dir) if chosen == EVERY_COUNTY else [chosen]
    known = {key: pair for name in counties for key, pair in (await _configured(gateway, name)).items()}
    items = [pair for _, pair in sorted({**known, **found}.items())]
    return answer(Page[SyncPair](items=items))


async def _configured(gateway: Gateway, county: str) -> dict[tuple[str, str], SyncPair]:
    """Pairs as the county's mappings name them: one that has not run yet stands nowhere else."""
    try:
        pairs = await configured_pairs(gateway, county)
    except PermanentError as error:
        log.warning("the county's mappings cannot be read", extra={"county": county, "code": error.code})
        return {}
    return {
        (county, pair.pair): SyncPair(
            county=county, pair=pair.pair, reader=pair.reader, tables=[table.name for table in pair.tables]
        )
        for pair in pairs
    }


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
    county = readable_county(gateway, caller, query.county, kind=JobKind.SYNC)
    async with gateway.database.read(county) as connection:
        rows = await record_queries.list_sync_operations(connection, county, pair=query.pair, limit=query.limit)
    return answer(Page[SyncOperation](items=[SyncOperation.model_validate(dict(row)) for row in rows]))


@router.post("/sync/full", status_code=202, response_model=Job, summary="Synchronise everything")
async def full(
    request: Request, body: SyncRequest, caller: CurrentCaller, idempotency_key: IdempotencyKey = None
) -> Response:
    """Ask for a full synchronisation of a pair."""
    return await _run(request, caller, body, mode="full", key=idempotency_key)


@router.post("/sync/incremental", status_code=202, response_model=Job, summary="Synchronise what has changed")
async def incremental(
    request: Request, body: SyncRequest, caller: CurrentCaller, idempotency_key: IdempotencyKey = None
) -> Response:
    """Ask for an incremental synchronisation of a pair."""
    return await _run(request, caller, body, mode="incremental", key=idempotency_key)


async def _run(
    request: Request, caller: Caller, body: SyncRequest, *, mode: Literal["full", "incremental"], key: str | None
) -> Response:
    asked = {"pair": body.pair, "mode": mode}
    return await request_run(gateway_of(request), caller, JobKind.SYNC, county=body.county, asked=asked, key=key)
