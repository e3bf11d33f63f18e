"""The synchronisation interface that the county's operators know."""

from datetime import datetime
from typing import Any, Literal, Self
from uuid import UUID

from pydantic import Field, model_validator

from contracts.api.base import Answer, Request
from contracts.subjects import COUNTY_PATTERN

SyncMode = Literal[
    "full", "incremental", "verify", "snapshot", "undo", "approve", "reject", "pause", "resume", "stop", "resolve"
]
"""What a `sync` job does. `full` reads everything again; `verify` reads everything, applies nothing and certifies;
`snapshot` reads chosen rows or tables again while the pair goes on; the others steer a pair."""


class SyncParameters(Request):
    """What a synchronisation job is asked to do; no `tables` means every table of the pair."""

    pair: str = Field(pattern=COUNTY_PATTERN, description="a sync pair of the county's mappings.yaml")
    mode: SyncMode = "incremental"
    tables: list[str] | None = Field(default=None, min_length=1)
    where: dict[str, list[str | int]] | None = Field(
        default=None, description="of `snapshot`: rows of one table whose column holds one of the values"
    )
    keys: list[list[str | int]] | None = Field(
        default=None, min_length=1, max_length=10_000, description="of `snapshot`: keys of rows of one table"
    )
    operation_id: UUID | None = Field(default=None, description="of `undo`: the operation to take back")
    cascade: bool = Field(default=False, description="of `undo`: also later operations that touched its rows")
    approval_id: UUID | None = Field(default=None, description="of `approve` and `reject`")
    conflict_id: UUID | None = Field(default=None, description="of `resolve`")
    choice: str | None = Field(default=None, description="of `resolve`: the pair whose value shall stand")
    reason: str | None = Field(default=None, max_length=500, description="why, for the history")

    @model_validator(mode="after")
    def _says_what_its_mode_needs(self) -> Self:
        needed = {"undo": "operation_id", "approve": "approval_id", "reject": "approval_id", "resolve": "conflict_id"}
        name = needed.get(self.mode)
        if name is not None and getattr(self, name) is None:
            raise ValueError(f"{self.mode} needs {name}")
        if self.mode == "resolve" and self.choice is None:
            raise ValueError("resolve needs choice")
        chosen = self.where is not None or self.keys is not None
        if chosen and (self.mode != "snapshot" or len(self.tables or ()) != 1):
            raise ValueError("where and keys belong to a snapshot of one table")
        return self


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
