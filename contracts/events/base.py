"""What every event on the bus has in common."""

from abc import ABC, abstractmethod
from datetime import datetime
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from contracts.subjects import COUNTY_PATTERN


class Event(BaseModel, ABC):
    """A past-tense fact. Version 1 only grows, so readers ignore fields that they do not know."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    #: every subject that this event is published on, with `*` for what varies; feeds AsyncAPI
    subjects: ClassVar[tuple[str, ...]] = ()

    county: str = Field(pattern=COUNTY_PATTERN, description="the county that the fact is of")
    occurred_at: datetime = Field(description="when it happened, UTC")

    @property
    @abstractmethod
    def subject(self) -> str:
        """Where the event is published."""

    @property
    def subject_id(self) -> str:
        """What the event is about (`ce-subject`): a job id, a parcel id."""
        return ""

    def body(self) -> dict[str, Any]:
        """The event's JSON body."""
        return self.model_dump(mode="json")
