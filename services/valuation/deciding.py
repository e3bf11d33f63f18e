"""What persons decide about runs and values: promote, approve or reject, override, withdraw."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import asyncpg

from chassis.database import Connection, UnitOfWork
from chassis.errors import ConflictError, ForbiddenError, NotFoundError
from chassis.jobs import RunningJob
from contracts.api.valuation import ValuationParameters
from contracts.events.valuation import (
    ValuationOverrideWithdrawn,
    ValuationPromotionRejected,
    ValuationPromotionRequested,
    ValuationRunPromoted,
    ValuationValueOverridden,
)
from services.valuation import decision_queries, run_queries

BY_ITSELF = "schedule:"  # how jobs that nobody asked for by hand say who asked


def require_person(job: RunningJob) -> None:
    """Refuse what a schedule asks for: it would be nobody's decision.

    Raises:
        ForbiddenError: `person_required`.
    """
    if job.requested_by.startswith(BY_ITSELF):
        raise ForbiddenError("person_required", "a decision about values is a person's, not a schedule's")


async def promote(job: RunningJob, parameters: ValuationParameters) -> None:
    """Ask for a run to become the roll, with the overrides that count now; another person decides."""
    require_person(job)
    assert parameters.run_id is not None
    run_id = parameters.run_id
    async with job.database.read(job.county) as connection:
        run = await require_run(connection, job.county, run_id)
    result = {"promotion_id": str(job.id), "run_id": str(run_id), "status": "requested"}
    async with job.completing(result) as unit:
        await decision_queries.lock_decisions(unit.connection, job.county)
        overrides = await decision_queries.active_overrides(unit.connection, job.county, run_id)
        asked = await decision_queries.insert_promotion(
            unit.connection,
            job.county,
            job.id,
            run_id=run_id,
            overrides=overrides,
            by=job.requested_by,
            reason=parameters.reason,
        )
        if not asked:
            raise ConflictError("promotion_pending", f"somebody has asked for run {run_id}: approve or reject it first")
        await _enter(unit, job, "promotion_requested", run_id=run_id)
        await unit.publish(
            ValuationPromotionRequested(
                **_fact(job, run["tax_year"]),
                run_id=run_id,
                promotion_id=job.id,
                requested_by=job.requested_by,
                parcels=run["parcels_valued"],
                total_value_usd=float(run["total_value_usd"] or 0),
                overrides=len(overrides),
            )
        )


async def approve(job: RunningJob, parameters: ValuationParameters) -> None:
    """Let a run be the roll: by another person than the one who asked, with the overrides that were asked with."""
    require_person(job)
    assert parameters.promotion_id is not None
    async with job.completing({"promotion_id": str(parameters.promotion_id), "status": "approved"}) as unit:
        row = await _pending(unit, job, parameters.promotion_id)
        if row["requested_by"].casefold() == job.requested_by.casefold():
            raise ForbiddenError("approver_is_requester", "whoever asked for a promotion cannot approve it")
        await _require_same_overrides(unit, row)
        await _decide(unit, job, parameters, "approved", run_id=row["run_id"])
        await unit.publish(
            ValuationRunPromoted(
                **_promotion(job, row),
                approved_by=job.requested_by,
                parcels=row["parcels_valued"],
                total_value_usd=float(row["total_value_usd"] or 0),
                overrides=row["overrides"],
                values_sha256=row["values_sha256"],
            )
        )


async def reject(job: RunningJob, parameters: ValuationParameters) -> None:
    """Say no to a run; whoever asked for it may take it back so."""
    require_person(job)
    assert parameters.promotion_id is not None
    async with job.completing({"promotion_id": str(parameters.promotion_id), "status": "rejected"}) as unit:
        row = await _pending(unit, job, parameters.promotion_id)
        await _decide(unit, job, parameters, "rejected", run_id=row["run_id"])
        await unit.publish(ValuationPromotionRejected(**_promotion(job, row), rejected_by=job.requested_by))


async def override(job: RunningJob, parameters: ValuationParameters) -> None:
    """Enter a person's value beside the model's."""
    require_person(job)
    entry = parameters.override
    assert entry is not None
    async with job.completing({"override_id": str(job.id), "parcel_id": entry.parcel_id}) as unit:
        await decision_queries.lock_decisions(unit.connection, job.county)
        found = await decision_queries.read_parcel_year(unit.connection, job.county, entry.parcel_id)
        if found is None:
            raise NotFoundError("parcel_not_found", f"there is no parcel {entry.parcel_id!r} in {job.county}")
        year = entry.tax_year or found["value_year"] or found["tax_year"]
        beside = found if found["value_year"] == year else dict.fromkeys(("run_id", "value_usd"))
        row = {
            **entry.model_dump(exclude={"value_usd", "land_value_usd"}),
            "id": job.id,
            "tax_year": year,
            "value_usd": _money(entry.value_usd),
            "land_value_usd": None if entry.land_value_usd is None else _money(entry.land_value_usd),
            "run_id": beside["run_id"],
            "model_value_usd": beside["value_usd"],
            "created_by": job.requested_by,
        }
        if not await decision_queries.insert_override(unit.connection, job.county, row):
            raise ConflictError("override_exists", f"parcel {entry.parcel_id} has an override for {year}: withdraw it")
        await _enter(unit, job, "value_overridden", run_id=beside["run_id"], parcel_id=entry.parcel_id)
        await unit.publish(
            ValuationValueOverridden(
                **_fact(job, year),
                override_id=job.id,
                parcel_id=entry.parcel_id,
                value_usd=float(row["value_usd"]),
                model_value_usd=None if beside["value_usd"] is None else float(beside["value_usd"]),
                overridden_by=job.requested_by,
            )
        )


async def withdraw(job: RunningJob, parameters: ValuationParameters) -> None:
    """Let a person's value no longer count; it stays in the record."""
    require_person(job)
    assert parameters.override_id is not None
    async with job.completing({"override_id": str(parameters.override_id), "status": "withdrawn"}) as unit:
        await decision_queries.lock_decisions(unit.connection, job.county)
        row = await decision_queries.withdraw_override(
            unit.connection, job.county, parameters.override_id, by=job.requested_by, reason=parameters.reason
        )
        if row is None:
            raise ConflictError("override_not_active", f"there is no override {parameters.override_id} that counts")
        await _enter(unit, job, "override_withdrawn", parcel_id=row["parcel_id"])
        await unit.publish(
            ValuationOverrideWithdrawn(
                **_fact(job, row["tax_year"]),
                override_id=parameters.override_id,
                parcel_id=row["parcel_id"],
                withdrawn_by=job.requested_by,
            )
        )


async def require_run(connection: Connection, county: str, run_id: UUID) -> asyncpg.Record:
    """A run of the county.

    Raises:
        NotFoundError: `run_not_found`.
    """
    run = await run_queries.read_run(connection, county, run_id)
    if run is None:
        raise NotFoundError("run_not_found", f"there is no run {run_id} in {county}")
    return run


async def _pending(unit: UnitOfWork, job: RunningJob, promotion_id: UUID) -> asyncpg.Record:
    await decision_queries.lock_decisions(unit.connection, job.county)
    row = await decision_queries.lock_promotion(unit.connection, job.county, promotion_id)
    if row is None:
        raise NotFoundError("promotion_not_found", f"there is no promotion {promotion_id} in {job.county}")
    if row["status"] != "requested":
        raise ConflictError("promotion_decided", f"it was decided before: {row['status']}")
    return row


async def _require_same_overrides(unit: UnitOfWork, row: asyncpg.Record) -> None:
    """What is approved is what was asked for: an override that came or went since asks for a new request."""
    asked = await decision_queries.promoted_overrides(unit.connection, unit.county, row["id"])
    now = await decision_queries.active_overrides(unit.connection, unit.county, row["run_id"])
    if asked != now:
        raise ConflictError(
            "overrides_changed",
            "overrides came or went since the promotion was asked for: reject it and ask again",
            details={"came": len(now - asked), "went": len(asked - now)},
        )


async def _decide(
    unit: UnitOfWork, job: RunningJob, parameters: ValuationParameters, status: str, *, run_id: UUID
) -> None:
    assert parameters.promotion_id is not None
    await decision_queries.decide_promotion(
        unit.connection,
        job.county,
        parameters.promotion_id,
        status=status,
        by=job.requested_by,
        reason=parameters.reason,
    )
    await _enter(unit, job, f"promotion_{status}", run_id=run_id)


async def _enter(unit: UnitOfWork, job: RunningJob, action: str, **about: Any) -> None:
    await decision_queries.save_decision(
        unit.connection, job.county, job.id, action=action, by=job.requested_by, **about
    )


def _fact(job: RunningJob, tax_year: int) -> dict[str, Any]:
    return {"county": job.county, "occurred_at": datetime.now(UTC), "tax_year": tax_year, "job_id": job.id}


def _promotion(job: RunningJob, row: asyncpg.Record) -> dict[str, Any]:
    known = {"run_id": row["run_id"], "promotion_id": row["id"], "requested_by": row["requested_by"]}
    return {**_fact(job, row["tax_year"]), **known}


def _money(value_usd: float) -> Decimal:
    return Decimal(str(value_usd)).quantize(Decimal("0.01"))
