"""The platform's one scheduler: asks for jobs at the times that a county's files and its people name.

A due time is claimed, its job and command written and the next due time set in one transaction. The job's id follows
from the schedule and the due time, so that a time gives rise to one job whatever dies when, and however many processes
look.
"""

import hashlib
import json
import logging
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from pydantic import ValidationError

from chassis import schedule_queries as queries
from chassis.cron import next_due
from chassis.database import Connection, Database, UnitOfWork
from chassis.errors import ConflictError, NotFoundError, PermanentError, TerraFusionError
from chassis.outbox import derived_id
from chassis.relay import EVERY_COUNTY
from chassis.requests import job_requested
from chassis.telemetry import JOBS_SUBMITTED, SCHEDULE_FIRES, SCHEDULE_SKIPS, current_traceparent
from contracts.kinds import PARAMETERS
from contracts.schedules import Schedule
from contracts.subjects import JobKind

log = logging.getLogger(__name__)
SCHEDULES = UUID("0f6a4c1e-5b0a-5c1d-9a51-1f2f5f0c7d3b")  # namespace of the schedules' ids
LATE = timedelta(minutes=1)
"""A time that passed longer ago than this was missed, and `catch_up` says what becomes of it."""
API = "api"
Row = queries.Row


async def fire_all(database: Database) -> int:
    """Ask for every job that is due; returns how many were asked for. Safe with several processes."""
    fired = 0
    while (has_fired := await fire_next(database)) is not None:
        fired += has_fired
    return fired


async def fire_next(database: Database) -> bool | None:
    """Settle the schedule that has been due for longest: whether it gave rise to a job; null: none is due."""
    async with database.begin(EVERY_COUNTY) as unit:
        row = await queries.take_due(unit.connection)
        return None if row is None else await _settle(unit, row)


async def _settle(unit: UnitOfWork, row: Row) -> bool:
    """Write the job of a locked schedule that is due, or let the time go by."""
    try:
        schedule = to_schedule(row)
        upcoming = next_due(schedule, row["time_zone"], row["now"])
    except (TerraFusionError, ValidationError) as error:
        log.error(  # noqa: TRY400 the reason is in the message; a trace would say no more
            "a schedule makes no sense and rests", extra={"schedule": row["name"], "reason": type(error).__name__}
        )
        await queries.pause_schedule(unit.connection, row["county"], row["name"], by="scheduler")
        return False
    if reason := _skip_reason(row):
        SCHEDULE_SKIPS.labels(row["county"], row["name"], reason).inc()
        log.info("a scheduled job is left out", extra={"schedule": row["name"], "reason": reason})
        await queries.save_skip(unit.connection, row, next_due_at=upcoming)
        return False
    due: datetime = row["next_due_at"]
    job_id = derived_id(row["id"], due.isoformat())
    await _ask(unit, row, job_id=job_id, key=f"{row['id']}:{due.isoformat()}", by=f"schedule:{row['name']}")
    await queries.save_fire(unit.connection, row, job_id=job_id, next_due_at=upcoming)
    SCHEDULE_FIRES.labels(row["county"], row["name"]).inc()
    return True


def _skip_reason(row: Row) -> str | None:
    if row["is_busy"]:
        return "still_running"
    if row["catch_up"] == "skip" and row["now"] - row["next_due_at"] > LATE:
        return "missed"
    return None


async def _ask(unit: UnitOfWork, row: Row, *, job_id: UUID, key: str, by: str) -> Row | None:
    """Write a job of a schedule and its command; nothing where the job is known."""
    asked = [row["kind"], row["parameters"]]
    job = {
        **{name: row[name] for name in ("county", "kind", "priority", "parameters")},
        "id": job_id,
        "request_digest": hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest(),
        "idempotency_key": key,
        "requested_by": by,
        "traceparent": current_traceparent(),
    }
    written = await queries.insert_job(unit.connection, job)
    if written is not None:
        unit.publish_message(job_requested(written, service=unit.service, first=True))
        JOBS_SUBMITTED[JobKind(row["kind"])].labels(row["county"]).inc()
    return written


def to_schedule(row: Row) -> Schedule:
    """What is stored, as the contract says it."""
    return Schedule.model_validate({name: row[name] for name in Schedule.model_fields})


def check(schedule: Schedule, time_zone: str, now: datetime) -> datetime | None:
    """When the schedule is due first, once it is known to make sense.

    Raises:
        PermanentError: `cron_invalid`, `time_zone_unknown`, `schedule_never_due`, `parameters_invalid`.
    """
    try:
        PARAMETERS[schedule.kind].model_validate(schedule.parameters)
    except ValidationError as error:
        faults = [{"field": ".".join(map(str, fault["loc"])), "message": fault["msg"]} for fault in error.errors()]
        raise PermanentError(
            "parameters_invalid", f"the parameters of {schedule.name} are not valid", details={"errors": faults}
        ) from error
    due = next_due(schedule, time_zone, now)
    if due is None:
        raise PermanentError("schedule_never_due", f"{schedule.name} names a time that never comes: {schedule.cron}")
    return due


def columns(schedule: Schedule, county: str, *, origin: str, time_zone: str) -> dict[str, Any]:
    """A schedule's row, but for what the scheduler keeps in it."""
    identity = derived_id(SCHEDULES, f"{county}:{schedule.name}")
    return {**schedule.model_dump(mode="json"), "id": identity, "origin": origin, "time_zone": time_zone}


async def create(connection: Connection, county: str, schedule: Schedule, *, time_zone: str, by: str) -> Row:
    """Add a schedule that a person asked for.

    Raises:
        ConflictError: `schedule_exists`.
        PermanentError: as `check`.
    """
    due = check(schedule, time_zone, await queries.clock(connection))
    values = columns(schedule, county, origin=API, time_zone=time_zone)
    row = await queries.insert_schedule(connection, county, {**values, "next_due_at": due, "created_by": by})
    if row is None:
        raise ConflictError("schedule_exists", f"{county} has a schedule {schedule.name!r} already")
    return row


async def pause(connection: Connection, county: str, name: str, *, by: str) -> Row:
    """Let a schedule rest until somebody resumes it, whatever its file says.

    Raises:
        NotFoundError: `schedule_unknown`.
    """
    return _found(await queries.pause_schedule(connection, county, name, by=by), county, name)


async def resume(connection: Connection, county: str, name: str) -> Row:
    """Let a schedule go on; what was due while it rested is not caught up with.

    Raises:
        NotFoundError: `schedule_unknown`.
        PermanentError: as `check`, where it does not make sense.
    """
    row = _found(await queries.read_schedule(connection, county, name, lock=True), county, name)
    due = check(to_schedule(row), row["time_zone"], await queries.clock(connection))
    return _found(await queries.resume_schedule(connection, county, name, next_due_at=due), county, name)


async def delete(connection: Connection, county: str, name: str) -> None:
    """Remove a schedule that a person asked for.

    Raises:
        NotFoundError: `schedule_unknown`.
        ConflictError: `schedule_declared`: it stands in a file of the county.
    """
    row = _found(await queries.read_schedule(connection, county, name, lock=True), county, name)
    if row["origin"] != API:
        raise ConflictError("schedule_declared", f"{name!r} stands in a file of {county}; pause it, or change the file")
    await queries.delete_schedule(connection, county, name)


def _found(row: Row | None, county: str, name: str) -> Row:
    if row is None:
        raise NotFoundError("schedule_unknown", f"{county} has no schedule {name!r}")
    return row
