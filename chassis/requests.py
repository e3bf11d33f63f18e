"""Asks for jobs: the command that a job row gives rise to."""

from datetime import UTC, datetime
from typing import Any

from chassis.outbox import OutboxMessage, to_message
from contracts.events.ingest import MASK
from contracts.events.jobs import JobRequested

FREE_TEXT = "reason"
"""What a person writes in their own words may name somebody: it stays in the job's record, which workers read."""


def job_requested(row: Any, *, service: str, first: bool = False) -> OutboxMessage:
    """The command of a job's row, in the trace that asked for it; the first one carries the job's own id."""
    event = JobRequested(
        county=row["county"],
        occurred_at=datetime.now(UTC),
        job_id=row["id"],
        kind=row["kind"],
        attempt=row["attempt"],
        parameters=without_free_text(row["parameters"]),
        requested_by=row["requested_by"],
        priority=row["priority"],
        deadline=row["deadline"],
    )
    event_id = str(row["id"]) if first else None
    return to_message(event, service=service, event_id=event_id, traceparent=row["traceparent"])


def without_free_text(parameters: Any) -> Any:
    """Parameters as the bus may carry them: persons' own words masked, wherever they stand."""
    if isinstance(parameters, dict):
        return {
            name: MASK if name == FREE_TEXT and isinstance(value, str) else without_free_text(value)
            for name, value in parameters.items()
        }
    return [without_free_text(value) for value in parameters] if isinstance(parameters, list) else parameters
