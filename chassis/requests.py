"""Asks for jobs: the command that a job row gives rise to."""

from datetime import UTC, datetime
from typing import Any

from chassis.outbox import OutboxMessage, to_message
from contracts.events.jobs import JobRequested


def job_requested(row: Any, *, service: str, first: bool = False) -> OutboxMessage:
    """The command of a job's row, in the trace that asked for it; the first one carries the job's own id."""
    event = JobRequested(
        county=row["county"],
        occurred_at=datetime.now(UTC),
        job_id=row["id"],
        kind=row["kind"],
        attempt=row["attempt"],
        parameters=row["parameters"],
        requested_by=row["requested_by"],
        priority=row["priority"],
        deadline=row["deadline"],
    )
    event_id = str(row["id"]) if first else None
    return to_message(event, service=service, event_id=event_id, traceparent=row["traceparent"])
