"""Events of version 1: readers ignore what they do not know, and refuse what is no fact."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from pydantic import ValidationError

from contracts.api.jobs import JobStatus, RunRequest, job_links
from contracts.events.base import Event
from contracts.events.chassis import DeadLettered
from contracts.events.jobs import JobFailed, JobProgressed, JobRequested, JobStarted, JobSucceeded

JOB = UUID(int=5)
COMMON: dict[str, Any] = {
    "county": "benton",
    "occurred_at": "2026-01-02T03:04:05Z",
    "job_id": str(JOB),
    "kind": "gis_export",
    "attempt": 1,
}


def test_a_started_job_is_on_its_subject() -> None:
    event = JobStarted.model_validate(COMMON)
    assert (event.subject, event.subject_id) == ("job.gis_export.started.benton", str(JOB))
    assert event.body() == COMMON


def test_a_later_versions_field_is_ignored() -> None:
    assert JobStarted.model_validate(COMMON | {"mood": "fine"}) == JobStarted.model_validate(COMMON)


@pytest.mark.parametrize(
    ("event", "more"),
    [
        (JobRequested, {"parameters": {"a": 1}, "requested_by": "someone"}),
        (JobProgressed, {"done": 1, "total": None, "unit": "parcels"}),
        (JobSucceeded, {"result": {"n": 1}}),
        (JobFailed, {"error": {"code": "crs_unknown", "message": "no"}}),
    ],
)
def test_an_event_survives_the_wire(event: type[Event], more: dict[str, Any]) -> None:
    said = event.model_validate(COMMON | more)
    assert event.model_validate_json(said.model_dump_json()) == said


@pytest.mark.parametrize(
    "wrong",
    [{"county": "Benton County"}, {"kind": "espionage"}, {"attempt": -1}, {"job_id": 7}, {"occurred_at": "soon"}],
)
def test_what_is_no_fact_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        JobStarted.model_validate(COMMON | wrong)


def test_a_dead_letter_is_about_its_job() -> None:
    letter = DeadLettered(
        county="benton",
        occurred_at=datetime.now(UTC),
        service="market",
        original_subject="x",
        original_body="",
        code="c",
        reason="r",
        deliveries=1,
        job_id=JOB,
    )
    assert (letter.subject, letter.subject_id) == ("dlq.market.benton", str(JOB))


def test_a_job_that_waits_runs_or_is_stopping_has_not_ended() -> None:
    ended = {status for status in JobStatus if status.ended}
    assert ended == {JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED}


@pytest.mark.parametrize("wrong", [{"county": "X"}, {"deadline_seconds": 0}, {"priority": "asap"}, {"colour": "red"}])
def test_a_run_with_nonsense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        RunRequest.model_validate({"county": "benton"} | wrong)


def test_links_of_a_job() -> None:
    assert job_links(JOB).cancel == f"/api/v1/jobs/{JOB}/cancel"
