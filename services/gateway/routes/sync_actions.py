"""Steering what follows a source: signals, approvals, undo, conflicts. Each is a `sync` job."""

from typing import Any, Literal
from uuid import UUID

import asyncpg
from fastapi import APIRouter, Request
from starlette.responses import Response

from chassis.errors import ConflictError, PermanentError
from contracts.api.jobs import Job, JobStatus
from contracts.api.sync_state import ConflictChoice, Decision, SyncSignal, UndoRequest
from contracts.subjects import JobKind
from services.gateway import sync_queries
from services.gateway.access import CurrentCaller
from services.gateway.domain.permissions import Caller
from services.gateway.readable import find_readable
from services.gateway.routes.runs import IdempotencyKey
from services.gateway.run_requests import given_in, request_run
from services.gateway.state import gateway_of
from services.gateway.submission import is_known

router = APIRouter(prefix="/api/v1/sync", tags=["sync"])


@router.post("/signals", status_code=202, response_model=Job, summary="Steer a pair")
async def signal(
    request: Request, body: SyncSignal, caller: CurrentCaller, idempotency_key: IdempotencyKey = None
) -> Response:
    """Read chosen rows or tables again while the pair goes on, or pause, resume or stop it."""
    asked = body.model_dump(exclude={"county"}, exclude_unset=True)
    return await _submit(request, caller, body.county, asked, key=idempotency_key)


@router.post("/approvals/{approval_id}/approve", status_code=202, response_model=Job, summary="Let a held run apply")
async def approve(
    request: Request,
    approval_id: UUID,
    caller: CurrentCaller,
    body: Decision | None = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Apply what a brake has held."""
    return await _decide(request, caller, approval_id, body, mode="approve", key=idempotency_key)


@router.post("/approvals/{approval_id}/reject", status_code=202, response_model=Job, summary="Drop a held run")
async def reject(
    request: Request,
    approval_id: UUID,
    caller: CurrentCaller,
    body: Decision | None = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Forget what a brake has held; the record stays as it is."""
    return await _decide(request, caller, approval_id, body, mode="reject", key=idempotency_key)


@router.post("/operations/{operation_id}/undo", status_code=202, response_model=Job, summary="Take a run back")
async def undo(
    request: Request,
    operation_id: UUID,
    caller: CurrentCaller,
    body: UndoRequest | None = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Restore what an operation changed from its before-images, with compensating events."""
    row = await find_readable(
        gateway_of(request), caller, operation_id, kind=JobKind.SYNC, what="operation", find=sync_queries.read_operation
    )
    if not await is_known(gateway_of(request), caller, row["county"], key=idempotency_key):
        _require_undoable(row)
    asked = {"pair": row["pair"], "mode": "undo", "operation_id": operation_id, **given_in(body)}
    return await _submit(request, caller, row["county"], asked, key=idempotency_key)


@router.post("/conflicts/{conflict_id}/resolve", status_code=202, response_model=Job, summary="Say who is right")
async def resolve(
    request: Request,
    conflict_id: UUID,
    body: ConflictChoice,
    caller: CurrentCaller,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Let the value of one of the systems stand."""
    row = await find_readable(
        gateway_of(request), caller, conflict_id, kind=JobKind.SYNC, what="conflict", find=sync_queries.read_conflict
    )
    is_new = not await is_known(gateway_of(request), caller, row["county"], key=idempotency_key)
    if is_new and row["status"] != "open":
        raise ConflictError("conflict_resolved", f"the conflict is {row['status']}")
    pairs = sorted(candidate["pair"] for candidate in row["candidates"])
    if body.choice not in pairs:
        raise PermanentError("choice_unknown", f"{body.choice!r} has no value in it", details={"pairs": pairs})
    asked = {"pair": body.choice, "mode": "resolve", "conflict_id": conflict_id, **given_in(body)}
    return await _submit(request, caller, row["county"], asked, key=idempotency_key)


async def _decide(
    request: Request,
    caller: Caller,
    approval_id: UUID,
    body: Decision | None,
    *,
    mode: Literal["approve", "reject"],
    key: str | None,
) -> Response:
    row = await find_readable(
        gateway_of(request), caller, approval_id, kind=JobKind.SYNC, what="approval", find=sync_queries.read_approval
    )
    is_new = not await is_known(gateway_of(request), caller, row["county"], key=key)
    if is_new and row["status"] != "pending":
        raise ConflictError("approval_decided", f"it was decided before: {row['status']}")
    asked = {"pair": row["pair"], "mode": mode, "approval_id": approval_id, **given_in(body)}
    return await _submit(request, caller, row["county"], asked, key=key)


def _require_undoable(row: asyncpg.Record) -> None:
    if row["undone_by"] is not None:
        details = {"undone_by": str(row["undone_by"])}
        raise ConflictError("operation_undone", "the operation was taken back before", details=details)
    if row["status"] != JobStatus.SUCCEEDED or row["sequence"] is None:
        raise ConflictError("operation_not_applied", f"the operation applied nothing: it is {row['status']}")


async def _submit(request: Request, caller: Caller, county: str, asked: dict[str, Any], *, key: str | None) -> Response:
    return await request_run(gateway_of(request), caller, JobKind.SYNC, county=county, asked=asked, key=key)
