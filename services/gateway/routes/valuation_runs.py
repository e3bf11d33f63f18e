"""What there is to see of valuations: runs and their values, comparisons, overrides, what came back of a posting."""

from typing import Annotated
from urllib.parse import quote
from uuid import UUID

import asyncpg
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from chassis.errors import NotFoundError
from contracts.api.base import Page
from contracts.api.valuation_runs import (
    ComparisonOptions,
    ComparisonQuery,
    OverridesQuery,
    PostedParcel,
    PostedQuery,
    PostedReport,
    PostedStatus,
    Posting,
    PostingCheck,
    Promotion,
    RunComparison,
    RunHistory,
    RunsQuery,
    RunValue,
    RunValuesQuery,
    ValuationRun,
    ValuationRunDetail,
    ValueOverride,
)
from contracts.subjects import JobKind
from services.gateway import valuation_queries
from services.gateway.access import CurrentCaller
from services.gateway.answers import answer
from services.gateway.bus_queries import ask
from services.gateway.domain.permissions import Caller
from services.gateway.paging import cut, moment, position
from services.gateway.readable import find_readable, readable_county
from services.gateway.state import Gateway, gateway_of

router = APIRouter(prefix="/api/v1/valuation", tags=["valuation"])
_STATUSES: tuple[PostedStatus, ...] = ("pending", "matched", "different", "missing")


@router.get("/runs", response_model=Page[ValuationRun], summary="Valuation runs, the newest first")
async def runs(request: Request, caller: CurrentCaller, query: Annotated[RunsQuery, Query()]) -> Response:
    """Each with its stamps: by whom, from which data, by which code."""
    gateway = gateway_of(request)
    county = readable_county(gateway, caller, query.county, kind=JobKind.VALUATION)
    after = position(query.cursor, moment, UUID)
    async with gateway.database.read(county) as connection:
        rows = await valuation_queries.list_runs(connection, county, query, after=after)
    page, following = cut(rows, query.limit, "created_at", "run_id")
    return answer(Page[ValuationRun](items=[ValuationRun(**row) for row in page], next=following))


@router.get("/runs/{run_id}", response_model=ValuationRunDetail, summary="One run")
async def run(request: Request, caller: CurrentCaller, run_id: UUID) -> Response:
    """What it was asked, how good it is, and what became of it."""
    gateway = gateway_of(request)
    row = await find_run(gateway, caller, run_id)
    async with gateway.database.read(row["county"]) as connection:
        about = (connection, row["county"], run_id)
        detail = ValuationRunDetail(
            **row,
            flags=await valuation_queries.count_flags(*about),
            refused=await valuation_queries.count_refused(*about),
            promotions=[Promotion(**found) for found in await valuation_queries.list_promotions(*about)],
            postings=[posting_of(found) for found in await valuation_queries.list_postings(*about)],
            history=[RunHistory(**found) for found in await valuation_queries.list_decisions(*about)],
        )
    return answer(detail)


@router.get("/runs/{run_id}/values", response_model=Page[RunValue], summary="The values of a run")
async def values(
    request: Request, caller: CurrentCaller, run_id: UUID, query: Annotated[RunValuesQuery, Query()]
) -> Response:
    """By parcel; `is_flagged` or `flag` lists what waits for review."""
    gateway = gateway_of(request)
    row = await find_run(gateway, caller, run_id)
    (after,) = position(query.cursor, str) or (None,)
    async with gateway.database.read(row["county"]) as connection:
        rows = await valuation_queries.list_values(connection, row["county"], run_id, query, after=after)
    page, following = cut(rows, query.limit, "parcel_id")
    return answer(Page[RunValue](items=[RunValue(**found) for found in page], next=following))


@router.get("/runs/{run_id}/compare/{other_run_id}", response_model=RunComparison, summary="Two runs side by side")
async def compare(
    request: Request,
    caller: CurrentCaller,
    run_id: UUID,
    other_run_id: UUID,
    options: Annotated[ComparisonOptions, Query()],
) -> Response:
    """How the other run's values differ, as a whole and by neighbourhood and use; the largest changes with reasons."""
    gateway = gateway_of(request)
    row = await find_run(gateway, caller, run_id)
    asked = ComparisonQuery(run_id=run_id, other_run_id=other_run_id, movers=options.movers)
    found = await ask(gateway, f"query.valuation.comparison.{row['county']}", asked, RunComparison)
    return answer(found)


@router.get("/runs/{run_id}/posted", response_model=PostedReport, summary="What came back of a posted run")
async def posted(
    request: Request, caller: CurrentCaller, run_id: UUID, query: Annotated[PostedQuery, Query()]
) -> Response:
    """What the synchronisation has brought back since, parcel by parcel: matched, different or missing."""
    gateway = gateway_of(request)
    row = await find_run(gateway, caller, run_id)
    county, (after,) = row["county"], position(query.cursor, str) or (None,)
    async with gateway.database.read(county) as connection:
        postings = await valuation_queries.list_postings(connection, county, run_id)
        if not postings:
            raise NotFoundError("posting_not_found", f"run {run_id} has not been posted")
        newest = postings[0]
        verified = await valuation_queries.read_verified_through(connection, county, newest["pair"])
        is_synchronized = verified is not None and verified > newest["posted_at"]
        sums = await valuation_queries.sum_posted(connection, county, newest["id"], is_synchronized=is_synchronized)
        rows = await valuation_queries.list_posted(
            connection,
            county,
            newest["id"],
            is_synchronized=is_synchronized,
            status=query.status,
            after=after,
            limit=query.limit,
        )
        checks = await valuation_queries.list_checks(connection, county, newest["id"])
    page, following = cut(rows, query.limit, "parcel_id")
    counts = {found["status"]: found["parcels"] for found in sums}
    found_usd = [found["found_usd"] for found in sums if found["found_usd"] is not None]
    report = PostedReport(
        posting=posting_of(newest),
        is_synchronized=is_synchronized,
        verified_through=verified,
        counts={status: counts.get(status, 0) for status in _STATUSES},
        posted_usd=float(sum(found["posted_usd"] for found in sums)),
        found_usd=float(sum(found_usd)) if found_usd else None,
        checks=[PostingCheck(**found) for found in checks],
        items=[PostedParcel(**found) for found in page],
        next=following,
    )
    return answer(report)


@router.get("/overrides", response_model=Page[ValueOverride], summary="Values of persons, the newest first")
async def overrides(request: Request, caller: CurrentCaller, query: Annotated[OverridesQuery, Query()]) -> Response:
    """Each with its reason, beside what the model said then; withdrawn ones stay listed."""
    gateway = gateway_of(request)
    county = readable_county(gateway, caller, query.county, kind=JobKind.VALUATION)
    after = position(query.cursor, moment, UUID)
    async with gateway.database.read(county) as connection:
        rows = await valuation_queries.list_overrides(connection, county, query, after=after)
    page, following = cut(rows, query.limit, "created_at", "id")
    return answer(Page[ValueOverride](items=[ValueOverride(**row) for row in page], next=following))


@router.get("/overrides/{override_id}", response_model=ValueOverride, summary="One value of a person")
async def override(request: Request, caller: CurrentCaller, override_id: UUID) -> Response:
    """With its reason, and whether it still counts."""
    row = await find_override(gateway_of(request), caller, override_id)
    return answer(ValueOverride(**row))


async def find_run(gateway: Gateway, caller: Caller, run_id: UUID) -> asyncpg.Record:
    """A run that the caller may see.

    Raises:
        NotFoundError: `run_not_found`.
    """
    return await find_readable(
        gateway, caller, run_id, kind=JobKind.VALUATION, what="run", find=valuation_queries.read_run
    )


async def find_override(gateway: Gateway, caller: Caller, override_id: UUID) -> asyncpg.Record:
    """A value of a person that the caller may see.

    Raises:
        NotFoundError: `override_not_found`.
    """
    return await find_readable(
        gateway, caller, override_id, kind=JobKind.VALUATION, what="override", find=valuation_queries.read_override
    )


def posting_of(row: asyncpg.Record) -> Posting:
    """A posting with the way to its file."""
    return Posting(**row, href=f"/api/v1/jobs/{row['id']}/artifacts/{quote(row['file_name'])}")
