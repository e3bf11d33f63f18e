"""The synchronisation interface that the county's operators know."""

from datetime import datetime
from typing import Any, Literal, Self
from uuid import UUID

from pydantic import Field, model_validator

from contracts.api.base import Answer, Request
from contracts.subjects import COUNTY_PATTERN

SyncMode = Literal[
    "full", "incremental", "verify", "snapshot", "undo", "approve", "reject", "pause", "resume", "stop", "resolve",
    "compare",
]  # fmt: skip
"""What a `sync` job does. `full` reads everything again; `verify` reads everything, applies nothing and certifies;
`snapshot` reads chosen rows or tables again while the pair goes on; `compare` lays what a pair says
beside the record or another pair, field by field; the others steer a pair."""


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
    against: str | None = Field(
        default=None, pattern=COUNTY_PATTERN, description="of `compare`: another pair; null: TerraFusion's record"
    )
    reason: str | None = Field(default=None, max_length=500, description="why, for the history")

    @model_validator(mode="after")
    def _says_what_its_mode_needs(self) -> Self:
        needed = {"undo": "operation_id", "approve": "approval_id", "reject": "approval_id", "resolve": "conflict_id"}
        name = needed.get(self.mode)
        if name is not None and getattr(self, name) is None:
            raise ValueError(f"{self.mode} needs {name}")
        if self.mode == "resolve" and self.choice is None:
            raise ValueError("resolve needs choice")
        if self.against is not None and (self.mode != "compare" or self.against == self.pair):
            raise ValueError("against names another pair, to compare with")
        chosen = self.where is not None or self.keys is not None
        if chosen and (self.mode != "snapshot" or len(self.tables or ()) != 1):
            raise ValueError("where and keys belong to a snapshot of one table")
        return self


class SyncRequest(Request):
    """The body of `POST /api/sync/full` and `/api/sync/incremental`."""

    county: str = Field(pattern=COUNTY_PATTERN)
    pair: str = Field(pattern=COUNTY_PATTERN)


class SyncRun(Answer):
    """A run of a pair that has not ended: what it has read so far, none of which is applied yet."""

    id: UUID = Field(description="the operation's id, which is its job's")
    mode: str
    phase: str
    started_at: datetime
    rows_read: int = 0
    rows_compared: int = 0
    rows_quarantined: int = 0
    rows_filtered: int = 0
    tables_begun: int = 0
    tables_done: int = 0
    staged_at: datetime | None = Field(default=None, description="when it last got on")


class PairCertificate(Answer):
    """A pair's newest certificate; the whole of it is at `/api/v1/sync/certificates/{id}`."""

    id: UUID
    holds: bool
    issued_at: datetime


class SyncPair(Answer):
    """A legacy system that a county is synchronised with."""

    county: str
    pair: str
    reader: str
    tables: list[str]
    last_operation_id: UUID | None = None
    last_synchronized_at: datetime | None = Field(default=None, description="null: never yet")
    status: str = Field(default="active", description="active, paused by a person, or held until one decides")
    verified_through: datetime | None = Field(
        default=None, description="what the source held then is in the record, in every table; null: not known of one"
    )
    lag_seconds: float | None = Field(default=None, description="how long ago that was")
    failures: int = Field(default=0, description="failed runs in a row")
    retry_at: datetime | None = Field(default=None, description="no run begins by itself before")
    tables_stopped: int = 0
    approvals_pending: int = 0
    run: SyncRun | None = Field(default=None, description="the run that has not ended")
    certificate: PairCertificate | None = Field(default=None, description="the newest; null: none was issued yet")


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
    requested_by: str = ""
    sequence: int | None = Field(default=None, description="the pair's applied operations are counted; null: not one")
    certificate_id: UUID | None = None
    undone_by: UUID | None = Field(default=None, description="the operation that took it back")
