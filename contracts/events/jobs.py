"""A job's life on the bus: asked for by the gateway, reported by the service that owns its kind."""

from datetime import datetime
from typing import Any, ClassVar, Literal
from uuid import UUID

from pydantic import Field

from contracts.api.jobs import Artifact, JobError
from contracts.events.base import Event
from contracts.subjects import JobFact, JobKind, job_subject


class JobEvent(Event):
    """One fact of one job's life; `attempt` counts from 1 and is 0 before the first start."""

    fact: ClassVar[JobFact]

    job_id: UUID
    kind: JobKind
    attempt: int = Field(ge=0)

    @property
    def subject(self) -> str:
        """The job grammar: `job.<kind>.<fact>.<county>`."""
        return job_subject(self.kind, self.fact, self.county)

    @property
    def subject_id(self) -> str:
        """The job's id."""
        return str(self.job_id)


class JobRequested(JobEvent):
    """A command: somebody with the permission asked for a job."""

    fact = JobFact.REQUESTED
    subjects = ("job.*.requested.*",)

    parameters: dict[str, Any] = Field(description="the parameters of the kind, validated by the gateway")
    requested_by: str = Field(description="the account that asked, never a person's name")
    priority: Literal["low", "normal", "high"] = "normal"
    deadline: datetime | None = None


class JobStarted(JobEvent):
    """A worker took the job."""

    fact = JobFact.STARTED
    subjects = ("job.*.started.*",)


class JobProgressed(JobEvent):
    """How far the job has come."""

    fact = JobFact.PROGRESSED
    subjects = ("job.*.progressed.*",)

    done: int = Field(ge=0)
    total: int | None = Field(default=None, ge=0)
    unit: str
    message: str = ""


class JobSucceeded(JobEvent):
    """The job ended with a result."""

    fact = JobFact.SUCCEEDED
    subjects = ("job.*.succeeded.*",)

    result: dict[str, Any]
    artifacts: tuple[Artifact, ...] = ()


class JobFailed(JobEvent):
    """The job ended without a result."""

    fact = JobFact.FAILED
    subjects = ("job.*.failed.*",)

    error: JobError


class JobCancelled(JobEvent):
    """The job was stopped on request."""

    fact = JobFact.CANCELLED
    subjects = ("job.*.cancelled.*",)


class JobCancelRequested(JobEvent):
    """Somebody asked a running job to stop."""

    fact = JobFact.CANCEL_REQUESTED
    subjects = ("job.*.cancel_requested.*",)

    requested_by: str
