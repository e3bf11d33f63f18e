"""What ingest says: source rows as Debezium change envelopes, and canonical facts, one for each domain change.

The envelope follows Debezium's documentation of the SQL Server connector (value schema, not the Kafka key).
"""

from datetime import datetime
from typing import Any, ClassVar, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from contracts.events.base import Event
from contracts.subjects import COUNTY_PATTERN, change_subject, fact_subject

MASK = "***"
"""Stands where a name or an address of a person was."""

KEY_HEADER = "debezium-key"
"""The header that carries a row's key as JSON, as Debezium's message key does."""


class EnvelopeSource(BaseModel):
    """Where and when a row changed. `ts_*` is the moment at which the reader saw the row."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True, serialize_by_alias=True)

    version: str
    connector: str
    name: str = Field(description="the sync pair")
    ts_ms: int
    snapshot: str = Field(description="`true` for rows of a first load, else `false`")
    db: str
    sequence: str | None = Field(description="the pair's run number: later runs have higher ones")
    ts_us: int
    ts_ns: int
    schema_name: str = Field(alias="schema")
    table: str


class EnvelopeTransaction(BaseModel):
    """The run that a change belongs to."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str
    total_order: int
    data_collection_order: int


class ChangeEnvelope(Event):
    """A source row before and after; names and addresses of people are masked."""

    model_config = ConfigDict(serialize_by_alias=True)
    subjects = ("cdc.*.*.*.*",)

    # Debezium's envelope has no place for these two: they stand in the subject and in `ce-time`
    county: str = Field(pattern=COUNTY_PATTERN, exclude=True)
    occurred_at: datetime = Field(exclude=True)
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    source: EnvelopeSource
    op: Literal["c", "u", "d", "r"]
    ts_ms: int
    ts_us: int
    ts_ns: int
    transaction: EnvelopeTransaction | None

    @property
    def subject(self) -> str:
        """`cdc.<county>.<pair>.<schema>.<table>`."""
        return change_subject(self.county, self.source.name, self.source.schema_name, self.source.table)


class CanonicalFact(Event):
    """Something that is now different in the canonical record."""

    family: ClassVar[str]
    fact: ClassVar[str]

    pair: str
    operation_id: UUID = Field(description="the synchronisation that saw it, which is its job's id")

    @property
    def subject(self) -> str:
        """The fact's grammar: `parcel.changed.benton`."""
        return fact_subject(self.family, self.fact, self.county)


class ParcelFact(CanonicalFact):
    """A fact of one parcel; `before` and `after` hold the fields that differ, as they stand in `parcel_v1`."""

    family = "parcel"

    parcel_id: str
    tax_year: int
    supplement: int
    changed_fields: tuple[str, ...]
    before: dict[str, Any] | None = Field(description="null: the parcel is new")
    after: dict[str, Any] | None

    @property
    def subject_id(self) -> str:
        """The parcel's id."""
        return self.parcel_id


class ParcelChanged(ParcelFact):
    """A parcel is new or its working layer says something else; a supplement is one such change."""

    fact = "changed"
    subjects = ("parcel.changed.*",)


class ParcelRemoved(ParcelFact):
    """A parcel was made inactive or is gone from the source."""

    fact = "removed"
    subjects = ("parcel.removed.*",)


class SaleFact(CanonicalFact):
    """A fact of one sale, however many parcels it has."""

    family = "sale"

    sale_id: str
    parcel_ids: tuple[str, ...]
    changed_fields: tuple[str, ...]
    before: dict[str, Any] | None
    after: dict[str, Any] | None

    @property
    def subject_id(self) -> str:
        """The sale's id."""
        return self.sale_id


class SaleRecorded(SaleFact):
    """A sale is new in the record."""

    fact = "recorded"
    subjects = ("sale.recorded.*",)


class SaleChanged(SaleFact):
    """A known sale says something else."""

    fact = "changed"
    subjects = ("sale.changed.*",)


class SaleRemoved(SaleFact):
    """A sale is gone from the source."""

    fact = "removed"
    subjects = ("sale.removed.*",)


class OwnerChanged(CanonicalFact):
    """The owners of a parcel, their shares, names or mailing addresses changed; which, but not to what."""

    family = "owner"
    fact = "changed"
    subjects = ("owner.changed.*",)

    parcel_id: str
    tax_year: int
    owner_ids: tuple[str, ...]
    changed_fields: tuple[str, ...]

    @property
    def subject_id(self) -> str:
        """The parcel's id."""
        return self.parcel_id


class SyncFact(CanonicalFact):
    """Something to know of a synchronisation."""

    family = "sync"

    @property
    def subject_id(self) -> str:
        """The operation's id."""
        return str(self.operation_id)


class SyncCompleted(SyncFact):
    """A synchronisation was applied; read = applied + unchanged + quarantined + filtered."""

    fact = "completed"
    subjects = ("sync.completed.*",)

    mode: Literal["full", "incremental"]
    reader: str
    rows_read: int
    rows_applied: int
    rows_unchanged: int
    rows_quarantined: int
    rows_filtered: int
    changes: int
    events: int
    parcels: int
    sales: int


class SyncSnapshotCompleted(SyncFact):
    """A table was loaded for the first time; stands for an `r` envelope per row."""

    fact = "snapshot_completed"
    subjects = ("sync.snapshot_completed.*",)

    source_table: str
    rows: int


class SyncBrakeApplied(SyncFact):
    """A synchronisation was stopped because it would have deleted what is hardly gone; nothing was applied."""

    fact = "brake_applied"
    subjects = ("sync.brake_applied.*",)

    reason: Literal["empty_read"]
    source_tables: tuple[str, ...]


INGEST_EVENTS: tuple[type[Event], ...] = (
    ChangeEnvelope, ParcelChanged, ParcelRemoved, SaleRecorded, SaleChanged, SaleRemoved, OwnerChanged,
    SyncCompleted, SyncSnapshotCompleted, SyncBrakeApplied,
)  # fmt: skip
