"""Jobs that the platform asks for by itself, as the gateway shows and takes them."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import Field

from contracts.api.base import Answer, Request
from contracts.schedules import Schedule
from contracts.subjects import COUNTY_PATTERN, JobKind


class ScheduleRequest(Schedule):
    """The body of `POST /api/v1/schedules`."""

    county: str = Field(pattern=COUNTY_PATTERN)

    @property
    def schedule(self) -> Schedule:
        """The schedule without its county."""
        return Schedule.model_validate(self.model_dump(exclude={"county"}))


class SchedulesQuery(Request):
    """Which schedules, by county and name; `cursor` is the `next` of the page before."""

    county: str | None = Field(default=None, pattern=COUNTY_PATTERN, description="null: every county that you have")
    kind: JobKind | None = None
    limit: int = Field(default=50, ge=1, le=500)
    cursor: str | None = Field(default=None, max_length=500)


class ScheduledJob(Answer):
    """A schedule and when it is due."""

    id: UUID
    county: str
    name: str
    kind: JobKind
    parameters: dict[str, Any]
    cron: str | None
    every_seconds: int | None
    catch_up: str
    priority: str
    time_zone: str
    origin: str = Field(description="county_file, mappings or api; what a file says is changed in the file")
    is_paused: bool
    paused_by: str | None
    next_due_at: datetime | None
    last_due_at: datetime | None
    last_job_id: UUID | None
    skips: int = Field(description="times without a job: the one before had not ended, or the time had passed")
    last_skipped_at: datetime | None
    created_by: str
    created_at: datetime
