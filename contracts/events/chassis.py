"""What any service says when a message cannot be handled."""

from typing import Any
from uuid import UUID

from pydantic import Field

from contracts.events.base import Event
from contracts.subjects import dead_letter_subject


class DeadLettered(Event):
    """A message that cannot be handled, with reason and origin; `terrafusion dlq redrive` returns it."""

    subjects = ("dlq.*.*",)

    service: str
    original_subject: str
    original_headers: dict[str, str] = Field(default_factory=dict)
    original_body: str = Field(description="the body as text; bytes that are no UTF-8 stand as base64")
    original_body_encoding: str = "utf-8"
    code: str = Field(description="why, as a stable code")
    reason: str
    deliveries: int = Field(ge=0)
    job_id: UUID | None = None
    details: dict[str, Any] = Field(default_factory=dict)

    @property
    def subject(self) -> str:
        """The dead-letter subject of the service and county."""
        return dead_letter_subject(self.service, self.county)

    @property
    def subject_id(self) -> str:
        """The job's id where the message was a job."""
        return str(self.job_id) if self.job_id else ""
