"""What persons decide about runs and values. Each is a `valuation` job."""

from typing import Any, Literal
from uuid import UUID

import asyncpg
from fastapi import APIRouter, Request
from starlette.responses import Response

from chassis.errors import ConflictError, ForbiddenError, NotFoundError
from contracts.api.jobs import Job
from contracts.api.valuation_runs import OverrideRequest, RunDecision
from contracts.subjects import JobKind
from services.gateway import record_queries, valuation_queries
from services.gateway.access import CurrentCaller, require
from services.gateway.domain.permissions import Caller, ask
from services.gateway.routes.runs import IdempotencyKey
from services.gateway.routes.valuation_runs import find_override, find_run
from services.gateway.run_requests import given_in, is_new, request_run
from services.gateway.state import Gateway, gateway_of

router = APIRouter(prefix="/api/v1/valuation", tags=["valuation"])


@router.post("/runs/{run_id}/promote", status_code=202, response_model=Job, summary="Ask for a run to be the roll")
async def promote(
    request: Request,
    run_id: UUID,
    caller: CurrentCaller,
    body: RunDecision | None = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Another person has to approve it; 409 `promotion_pending` where somebody has asked already."""
    gateway = gateway_of(request)
    row = await find_run(gateway, caller, run_id)
    asked = {"mode": "promote", "run_id": run_id, **given_in(body)}
    if await _is_new(gateway, caller, row["county"], asked, key=idempotency_key):
        await _refuse_pending(gateway, row)
    return await _submit(gateway, caller, row["county"], asked, key=idempotency_key)


@router.post("/runs/{run_id}/approve", status_code=202, response_model=Job, summary="Let a run be the roll")
async def approve(
    request: Request,
    run_id: UUID,
    caller: CurrentCaller,
    body: RunDecision | None = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """By another person than the one who asked: 403 `approver_is_requester`."""
    return await _decide(request, caller, run_id, body, mode="approve", key=idempotency_key)


@router.post("/runs/{run_id}/reject", status_code=202, response_model=Job, summary="Say no to a run")
async def reject(
    request: Request,
    run_id: UUID,
    caller: CurrentCaller,
    body: RunDecision | None = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """The promotion is closed; the run stays, and may be asked for again."""
    return await _decide(request, caller, run_id, body, mode="reject", key=idempotency_key)


@router.post("/runs/{run_id}/post", status_code=202, response_model=Job, summary="Write an approved run's value file")
async def post(
    request: Request, run_id: UUID, caller: CurrentCaller, idempotency_key: IdempotencyKey = None
) -> Response:
    """The file, in the layout of the county's mapping, is an artifact of the job, with its checksum and totals."""
    gateway = gateway_of(request)
    row = await find_run(gateway, caller, run_id)
    asked = {"mode": "post", "run_id": run_id}
    if await _is_new(gateway, caller, row["county"], asked, key=idempotency_key):
        await _refuse_unapproved(gateway, row)
    return await _submit(gateway, caller, row["county"], asked, key=idempotency_key)


@router.post("/overrides", status_code=202, response_model=Job, summary="Give a parcel a person's value")
async def enter_override(
    request: Request, body: OverrideRequest, caller: CurrentCaller, idempotency_key: IdempotencyKey = None
) -> Response:
    """It stands beside the model's and never replaces it; one counts for each parcel and year."""
    gateway = gateway_of(request)
    asked = {"mode": "override", "override": body.model_dump(exclude={"county"}, exclude_unset=True)}
    if await _is_new(gateway, caller, body.county, asked, key=idempotency_key):
        async with gateway.database.read(body.county) as connection:
            if await record_queries.read_parcel(connection, body.county, body.parcel_id) is None:
                raise NotFoundError("parcel_not_found", f"there is no parcel {body.parcel_id!r} in {body.county}")
    return await _submit(gateway, caller, body.county, asked, key=idempotency_key)


@router.post("/overrides/{override_id}/withdraw", status_code=202, response_model=Job, summary="Take a value back")
async def withdraw(
    request: Request,
    override_id: UUID,
    caller: CurrentCaller,
    body: RunDecision | None = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """It no longer counts; who entered it, why, and who took it back stays in the record."""
    gateway = gateway_of(request)
    row = await find_override(gateway, caller, override_id)
    asked = {"mode": "withdraw", "override_id": override_id, **given_in(body)}
    is_new = await _is_new(gateway, caller, row["county"], asked, key=idempotency_key)
    if is_new and row["withdrawn_at"] is not None:
        raise ConflictError("override_not_active", "the override was withdrawn before")
    return await _submit(gateway, caller, row["county"], asked, key=idempotency_key)


async def _decide(
    request: Request,
    caller: Caller,
    run_id: UUID,
    body: RunDecision | None,
    *,
    mode: Literal["approve", "reject"],
    key: str | None,
) -> Response:
    gateway = gateway_of(request)
    row = await find_run(gateway, caller, run_id)
    county = row["county"]
    require(gateway, caller, county, permission=ask(JobKind.VALUATION, {"mode": mode}))
    async with gateway.database.read(county) as connection:
        promotions = await valuation_queries.list_promotions(connection, county, run_id)
    if not promotions:
        raise ConflictError("promotion_not_requested", f"nobody has asked for run {run_id} to be promoted")
    newest = promotions[0]
    asked = {"mode": mode, "promotion_id": newest["id"], **given_in(body)}
    if await _is_new(gateway, caller, county, asked, key=key):
        if newest["status"] != "requested":
            raise ConflictError("promotion_decided", f"it was decided before: {newest['status']}")
        if mode == "approve" and newest["requested_by"].casefold() == caller.username.casefold():
            raise ForbiddenError("approver_is_requester", "whoever asked for a promotion cannot approve it")
    return await _submit(gateway, caller, county, asked, key=key)


async def _refuse_pending(gateway: Gateway, row: asyncpg.Record) -> None:
    async with gateway.database.read(row["county"]) as connection:
        promotions = await valuation_queries.list_promotions(connection, row["county"], row["run_id"])
    if promotions and promotions[0]["status"] == "requested":
        raise ConflictError("promotion_pending", "somebody has asked for this run: approve or reject it first")


async def _refuse_unapproved(gateway: Gateway, row: asyncpg.Record) -> None:
    async with gateway.database.read(row["county"]) as connection:
        promotions = await valuation_queries.list_promotions(connection, row["county"], row["run_id"])
        postings = await valuation_queries.list_postings(connection, row["county"], row["run_id"])
    approved = [found for found in promotions if found["status"] == "approved"]
    if not approved:
        raise ConflictError("run_not_approved", "the run has not been approved")
    made = next((found for found in postings if found["promotion_id"] == approved[0]["id"]), None)
    if made is not None:
        details = {"posting_id": str(made["id"])}
        raise ConflictError("already_posted", "the approved run was posted before", details=details)


async def _is_new(gateway: Gateway, caller: Caller, county: str, asked: dict[str, Any], *, key: str | None) -> bool:
    return await is_new(gateway, caller, JobKind.VALUATION, county=county, asked=asked, key=key)


async def _submit(gateway: Gateway, caller: Caller, county: str, asked: dict[str, Any], *, key: str | None) -> Response:
    return await request_run(gateway, caller, JobKind.VALUATION, county=county, asked=asked, key=key)
