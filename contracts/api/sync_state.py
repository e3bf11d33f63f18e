"""What there is to see of following a source: tables, quarantine, certificates, approvals, conflicts, drift."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import Field

from contracts.api.base import Answer, Request
from contracts.api.sync import SyncParameters
from contracts.subjects import COUNTY_PATTERN


class SyncQuery(Request):
    """Which part of a list; `cursor` is the `next` of the page before."""

    county: str | None = Field(default=None, pattern=COUNTY_PATTERN, description="null: every county that you have")
    pair: str | None = Field(default=None, pattern=COUNTY_PATTERN)
    limit: int = Field(default=50, ge=1, le=500)
    cursor: str | None = Field(default=None, max_length=1000)


class QuarantineQuery(SyncQuery):
    """Which rows in quarantine, by table and key."""

    table: str | None = Field(default=None, max_length=200)
    rule: str | None = Field(default=None, max_length=100)


class CertificatesQuery(SyncQuery):
    """Which certificates, the newest first."""

    holds: bool | None = None


class ApprovalsQuery(SyncQuery):
    """Which questions to people, the newest first."""

    status: Literal["pending", "approved", "rejected", "superseded"] | None = None


class ConflictsQuery(Request):
    """Which contradictions between systems, the newest first."""

    county: str | None = Field(default=None, pattern=COUNTY_PATTERN)
    status: Literal["open", "resolved"] | None = None
    entity: str | None = Field(default=None, max_length=40)
    limit: int = Field(default=50, ge=1, le=500)
    cursor: str | None = Field(default=None, max_length=1000)


class SchemaChangesQuery(SyncQuery):
    """Which changes of the source's own shape, the newest first."""

    table: str | None = Field(default=None, max_length=200)


class SyncTable(Answer):
    """How a table of a pair is followed and how far that has come."""

    county: str
    pair: str
    source_table: str
    reader: str
    content: str = Field(description="`row`: ranges are compared by whole rows; `key`: by keys, for deletions")
    status: str
    token: str | None = Field(description="how far the reader is, in the source's own spelling")
    token_at: datetime | None = Field(description="when the source gave the token, by its own clock")
    token_age_seconds: float | None
    rows: int
    verified_through: datetime | None = Field(description="what the source held then is in the record")
    lag_seconds: float | None = Field(description="how long ago that was")
    stopped_code: str | None = Field(description="why the table is not followed at present")
    stopped_message: str | None
    blind_spots: list[str] = Field(description="what its reader cannot see")


class QuarantinedRow(Answer):
    """A source row that broke a rule and is held back from the record."""

    county: str
    pair: str
    source_table: str
    key: str
    rule: str
    field: str
    value: str | None = Field(description="the offending value; masked where it is personal")
    operation_id: UUID
    first_seen_at: datetime
    last_seen_at: datetime


class CertificateSummary(Answer):
    """Whether what was read is in the record, to the row and the dollar."""

    id: UUID
    county: str
    pair: str
    operation_id: UUID
    sequence: int
    holds: bool = Field(description="false: something is not as it has to be, and the document says what")
    issued_at: datetime


class SyncCertificate(CertificateSummary):
    """The certificate of a run; `signature` is of `document`."""

    document: dict[str, Any]
    signature: str


class Approval(Answer):
    """A run that changes so much that it waits for a person's yes; what it has read stays staged."""

    id: UUID
    county: str
    pair: str
    operation_id: UUID
    reason: str = Field(description="the brake that held it, as a code")
    details: dict[str, Any] = Field(description="the counts that made it wait")
    status: str
    asked_at: datetime
    decided_by: str | None
    decided_at: datetime | None


class ConflictCandidate(Answer):
    """What one system says."""

    pair: str
    value: Any
    updated_at: datetime | None = None


class SyncConflict(Answer):
    """Systems that say different things of one field, and no rule that says which is right."""

    id: UUID
    county: str
    entity: str
    entity_id: str
    field: str
    candidates: list[ConflictCandidate] = Field(description="owners' values are masked without `pii:read`")
    status: str
    choice: str | None = Field(description="the pair whose value was chosen")
    decided_by: str | None
    decided_at: datetime | None
    seen_at: datetime
    operation_id: UUID


class SchemaChange(Answer):
    """A change of the source's own shape."""

    id: UUID
    county: str
    pair: str
    source_table: str
    kind: str
    columns: Any = Field(description="the columns before and after")
    seen_at: datetime
    operation_id: UUID


class SyncSignal(Request):
    """The body of `POST /api/v1/sync/signals`: steers a pair that goes on being followed."""

    county: str = Field(pattern=COUNTY_PATTERN)
    pair: str = Field(pattern=COUNTY_PATTERN)
    mode: Literal["snapshot", "pause", "resume", "stop"]
    tables: list[str] | None = Field(default=None, min_length=1)
    where: dict[str, list[str | int]] | None = Field(
        default=None, description="of `snapshot`: rows of one table whose column holds one of the values"
    )
    keys: list[list[str | int]] | None = Field(
        default=None, min_length=1, max_length=10_000, description="of `snapshot`: keys of rows of one table"
    )
    reason: str | None = Field(default=None, max_length=500)


class BusSignal(SyncParameters):
    """A request on `query.ingest.signal.<county>`: what a system may ask for; what a person decides it may not."""

    mode: Literal["full", "incremental", "verify", "snapshot", "pause", "resume", "stop"] = "incremental"
    idempotency_key: str | None = Field(
        default=None, min_length=1, max_length=255, description="same key and same signal: the same job, made once"
    )


class SignalAccepted(Answer):
    """The reply to a signal: the job that it became, whose events are on `job.sync.*.<county>`."""

    job_id: UUID
    county: str
    parameters: dict[str, Any]
    status: str
    href: str


class Decision(Request):
    """The body of an approval's approve and reject."""

    reason: str | None = Field(default=None, max_length=500, description="why, for the history")


class UndoRequest(Decision):
    """The body of an operation's undo."""

    cascade: bool = Field(default=False, description="also later operations that touched its rows")


class ConflictChoice(Decision):
    """The body of a conflict's resolve."""

    choice: str = Field(pattern=COUNTY_PATTERN, description="the pair whose value shall stand")
