"""The synchronisation interface that the county's operators know."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import Field

from contracts.api.base import Answer, Request
from contracts.subjects import COUNTY_PATTERN


class SyncParameters(Request):
    """What a synchronisation job is asked to do; no `tables` means every table of the pair."""

    pair: str = Field(pattern=COUNTY_PATTERN, description="a sync pair of the county's mappings.yaml")
    mode: Literal["full", "incremental"] = "incremental"
    tables: list[str] | None = Field(default=None, min_length=1)


class SyncRequest(Request):
    """The body of `POST /api/sync/full` and `/api/sync/incremental`."""

    county: str = Field(pattern=COUNTY_PATTERN)
    pair: str = Field(pattern=COUNTY_PATTERN)


class SyncPair(Answer):
    """A legacy system that a county is synchronised with."""

    county: str
    pair: str
    reader: str
    tables: list[str]
    last_operation_id: UUID | None = None
    last_synchronized_at: datetime | None = None


class SyncOperation(Answer):
    """One run of a pair; its counts satisfy read = applied + unchanged + quarantined + filtered."""

    id: UUID
    county: str
    pair: str
    mode: str
    reader: str
    status: str
    rows_read: int
    rows_applied: int
    rows_unchanged: int
    rows_quarantined: int
    rows_filtered: int
    changes: int
    events: int
    started_at: datetime
    finished_at: datetime | None = None
    details: dict[str, Any] = Field(default_factory=dict)
