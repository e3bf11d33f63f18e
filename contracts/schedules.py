"""Jobs that the platform asks for by itself: how a county's files and the API say when."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from contracts.subjects import JobKind

ScheduleName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,63}$")]

CatchUp = Literal["once", "skip"]
"""What becomes of times that passed while the platform was down: one job for all of them, or none."""


class Schedule(BaseModel):
    """A job of a kind at times of the county's clock; exactly one of `cron` and `every_seconds` is named."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: ScheduleName
    kind: JobKind
    parameters: dict[str, Any] = Field(default_factory=dict, description="as in `POST /api/v1/<kind>/run`")
    cron: str | None = Field(
        default=None, max_length=200, description="five fields, or six with seconds first, in the county's time zone"
    )
    every_seconds: int | None = Field(default=None, ge=1, le=86_400, description="multiples of it since 1970 in UTC")
    catch_up: CatchUp = "once"
    priority: Literal["low", "normal", "high"] = "normal"

    @model_validator(mode="after")
    def _has_one_rhythm(self) -> Self:
        if (self.cron is None) == (self.every_seconds is None):
            raise ValueError("a schedule names either cron or every_seconds")
        return self
