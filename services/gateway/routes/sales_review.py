"""Sales that a person should look at, and what persons say of them: each decision is a `valuation` job."""

from typing import Annotated, Any

import asyncpg
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from chassis.errors import NotFoundError
from contracts.api.base import Page
from contracts.api.jobs import Job
from contracts.api.sales_review import ReviewedSale, SaleDecision, SaleDecisionRequest, SalesReviewQuery
from contracts.subjects import JobKind
from services.gateway import sales_queries
from services.gateway.access import CurrentCaller
from services.gateway.answers import answer
from services.gateway.paging import cut, position
from services.gateway.readable import readable_county
from services.gateway.routes.runs import IdempotencyKey
from services.gateway.run_requests import is_new, request_run
from services.gateway.state import gateway_of

router = APIRouter(prefix="/api/v1/sales", tags=["sales"])
_DECISION = ("decision", "reason", "decided_by", "decided_at", "is_current")


@router.get("/review", response_model=Page[ReviewedSale], summary="Sales to look at, the most influential first")
async def review(request: Request, caller: CurrentCaller, query: Annotated[SalesReviewQuery, Query()]) -> Response:
    """What a `review_sales` job found odd about each, the figures that explain it, and what a person said."""
    gateway = gateway_of(request)
    county = readable_county(gateway, caller, query.county, kind=JobKind.VALUATION)
    after = position(query.cursor, float, str, str)
    async with gateway.database.read(county) as connection:
        rows = await sales_queries.list_reviewed(connection, county, query, after=after)
    page, following = cut(rows, query.limit, "influence_percent", "county", "sale_id")
    return answer(Page[ReviewedSale](items=[_reviewed(row) for row in page], next=following))


@router.post("/{sale_id:path}/decision", status_code=202, response_model=Job, summary="Say whether a sale counts")
async def decide(
    request: Request,
    sale_id: str,
    body: SaleDecisionRequest,
    caller: CurrentCaller,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """It stands beside the source's own code, which is never overwritten; the newest decision counts."""
    gateway = gateway_of(request)
    entry = {"sale_id": sale_id, "decision": body.decision, "reason": body.reason}
    asked: dict[str, Any] = {"mode": "decide_sale", "sale_decision": entry}
    about: dict[str, Any] = {"county": body.county, "asked": asked, "key": idempotency_key}
    if await is_new(gateway, caller, JobKind.VALUATION, **about):
        async with gateway.database.read(body.county) as connection:
            if not await sales_queries.has_sale(connection, body.county, sale_id):
                raise NotFoundError("sale_not_found", f"there is no sale {sale_id!r} in {body.county}")
    return await request_run(gateway, caller, JobKind.VALUATION, **about)


def _reviewed(row: asyncpg.Record) -> ReviewedSale:
    known = dict(row)
    said = {name: known.pop(name) for name in _DECISION}
    decision_id = known.pop("decision_id")
    decision = SaleDecision(id=decision_id, **said) if decision_id is not None else None
    return ReviewedSale(**known, decision=decision)
