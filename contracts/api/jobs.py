"""One job interface for all kinds."""

from datetime import datetime
from enum import StrEnum
from typing import Any, Literal
from uuid import UUID

from pydantic import Field

from contracts.api.base import Answer, Request
from contracts.subjects import COUNTY_PATTERN, JobKind


class JobStatus(StrEnum):
    """`queued → running → succeeded | failed | cancelled`, with `cancelling` between."""

    QUEUED = "queued"
    RUNNING = "running"
    CANCELLING = "cancelling"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to the job by itself."""
        return self in {JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED}


class JobProgress(Answer):
    """How far a job has come; `total` is null while it is not known."""

    done: int = 0
    total: int | None = None
    unit: str = ""
    message: str = ""


class JobError(Answer):
    """Why a job failed."""

    code: str
    message: str
    details: dict[str, Any] = Field(default_factory=dict)


class Artifact(Answer):
    """A file that a job made; `href` downloads it through the gateway."""

    name: str
    media_type: str
    bytes: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    href: str


class JobLinks(Answer):
    """Where to go from a job."""

    self: str
    results: str
    events: str
    cancel: str


class Job(Answer):
    """A job, everywhere it appears."""

    id: UUID
    county: str
    kind: JobKind
    status: JobStatus
    progress: JobProgress
    parameters: dict[str, Any]
    requested_by: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    attempt: int
    deadline: datetime | None = None
    error: JobError | None
    result: dict[str, Any] | None
    artifacts: list[Artifact]
    trace_id: str | None
    links: JobLinks


class JobResult(Answer):
    """What a job that succeeded has to show."""

    id: UUID
    kind: JobKind
    result: dict[str, Any]
    artifacts: list[Artifact]


class RunRequest(Request):
    """`POST /api/v1/<kind>/run`; the kind's route validates `parameters` by its own model."""

    county: str = Field(pattern=COUNTY_PATTERN)
    parameters: dict[str, Any] = Field(default_factory=dict)
    deadline_seconds: int | None = Field(default=None, ge=1, le=86_400)
    priority: Literal["low", "normal", "high"] = "normal"


def job_links(job_id: UUID) -> JobLinks:
    """The links of a job's representation."""
    base = f"/api/v1/jobs/{job_id}"
    return JobLinks(self=base, results=f"{base}/results", events=f"{base}/events", cancel=f"{base}/cancel")
