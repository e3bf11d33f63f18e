"""How a legacy system is followed: what a pair of `mappings.yaml` says beyond which columns mean what."""

from datetime import date, time
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

ReaderName = Literal["auto", "cdc", "change_tracking", "rowversion", "timestamp", "hash_diff"]
"""How changes of a table are found; `auto`: the best that the probe finds possible."""

SnapshotMode = Literal["initial", "initial_only", "no_data", "when_needed", "recovery", "always"]
"""Debezium's snapshot modes; `recovery` rebuilds the state of reading from what is landed."""


class Section(BaseModel):
    """A part of a mapping: a misspelt key is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Brake(Section):
    """How much of a table may go or change in one run before a person has to say yes: more than both limits."""

    deleted_rows: int = Field(default=100, ge=0)
    deleted_share: float = Field(default=0.05, ge=0, le=1)
    changed_rows: int = Field(default=5_000, ge=0)
    changed_share: float = Field(default=0.6, ge=0, le=1)


def _as_written(value: Any) -> Any:
    """YAML 1.1 reads an unquoted 18:00 as the number 18 * 60 and 18:00:30 as seconds; neither is a time of day yet."""
    if isinstance(value, bool) or not isinstance(value, int):
        return value
    seconds = value * 60 if value < 24 * 60 else value
    if not (0 <= value < 24 * 60 or 3600 <= value < 24 * 3600):
        raise ValueError("a time of day is written as 18:00")
    return time(seconds // 3600, seconds // 60 % 60, seconds % 60)


LocalTime = Annotated[time, BeforeValidator(_as_written)]


class Window(Section):
    """When the source may be read, in the county's local time; an end before the start is on the next day."""

    days: tuple[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], ...] = (
        "mon", "tue", "wed", "thu", "fri", "sat", "sun",
    )  # fmt: skip
    start: LocalTime = time(0, 0)
    end: LocalTime = time(0, 0)


class Following(Section):
    """How gently and how carefully a pair is followed."""

    snapshot_mode: SnapshotMode = "initial"
    brake: Brake = Brake()
    windows: tuple[Window, ...] = Field(default=(), description="none: always")
    blackout_dates: tuple[date, ...] = ()
    rows_per_second: int | None = Field(default=None, ge=1, description="null: as fast as it goes")
    poll_cron: str | None = Field(default=None, description="runs `incremental` by itself, in the county's time zone")
    poll_every_seconds: int | None = Field(default=None, ge=1, le=86_400, description="the same in a fixed rhythm")
    lock_timeout_seconds: float = Field(default=10, gt=0)
    query_timeout_seconds: float = Field(default=300, gt=0)
    chunk_seconds: float = Field(default=2, gt=0, description="how long one range should take to read")
    timestamp_overlap_seconds: int = Field(
        default=7_200, ge=3_600, description="a timestamp reader reads so much again: clocks repeat an hour in autumn"
    )
    mass_change_rows: int = Field(default=10_000, ge=1, description="more changed parcels in a run are told of in one")
    tombstones: bool = Field(default=False, description="a message without a body after every `d` envelope")
    transactions: bool = Field(default=False, description="say where the envelopes of a run begin and end")
    heartbeats: bool = Field(default=True, description="say that a run found nothing")

    @model_validator(mode="after")
    def _has_one_rhythm(self) -> Self:
        if self.poll_cron is not None and self.poll_every_seconds is not None:
            raise ValueError("following names poll_cron or poll_every_seconds, not both")
        return self
