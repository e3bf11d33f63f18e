"""What ingest says: source rows as Debezium change envelopes, and canonical facts, one for each domain change.

The envelope follows Debezium's documentation and code of the SQL Server connector (value schema, not the Kafka key).
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

NEW_KEY_HEADER, OLD_KEY_HEADER = "__debezium.newkey", "__debezium.oldkey"
"""Where a row's key was updated: on the `d` of the old key, and on the `c` of the new one."""

SnapshotMark = Literal[
    "true", "first", "first_in_data_collection", "last_in_data_collection", "last", "false", "incremental"
]
"""Debezium's words for where in a snapshot a row stands."""


Origin = Literal["terrafusion"]
"""The change is TerraFusion's own value, written to the source: whoever writes values back leaves it alone."""


class EnvelopeSource(BaseModel):
    """Where and when a row changed. `ts_*` is the moment at which the reader saw the row."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True, serialize_by_alias=True)

    version: str
    connector: str
    name: str = Field(description="the sync pair")
    ts_ms: int
    snapshot: SnapshotMark = Field(description="`false` for what is no snapshot; `incremental` where it was asked for")
    db: str
    sequence: str | None = Field(description="the pair's run number: later runs have higher ones")
    ts_us: int
    ts_ns: int
    schema_name: str = Field(alias="schema")
    table: str
    change_lsn: str | None = Field(default=None, description="of readers of SQL Server's log")
    commit_lsn: str | None = None
    event_serial_no: int | None = None
    version_token: str | None = Field(default=None, description="of other readers: how far the table was read")
    origin: Origin | None = Field(default=None, description="who caused the change, where the row says so")


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
    origin: Origin | None = Field(default=None, description="who caused the change, where all of its rows say so")

    @property
    def subject(self) -> str:
        """The fact's grammar: `parcel.changed.benton`."""
        return fact_subject(self.family, self.fact, self.county)


class ParcelFact(CanonicalFact):
    """A fact of one parcel; `before` and `after` hold the fields that differ, as they stand in `parcel_v1`.

    A layer that is both the working and the official one is told of once, as the working one.
    """

    family = "parcel"

    parcel_id: str
    tax_year: int
    supplement: int
    changed_fields: tuple[str, ...]
    before: dict[str, Any] | None = Field(description="null: the parcel is new")
    after: dict[str, Any] | None
    layer: Literal["working", "official"] = "working"
    is_certified_year: bool = Field(default=False, description="the official layer of a certified year is concerned")

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


class BatchFact(CanonicalFact):
    """So many facts of one run that they are told of in one: a new year, a recalculation.

    Which entities they are is in the operation's history.
    """

    facts: int = Field(description="so many entities differ")
    removed: int = Field(description="so many of them are gone")
    tax_year: int
    changed_fields: dict[str, int] = Field(description="how many entities differ in each field")

    @property
    def subject_id(self) -> str:
        """The operation's id."""
        return str(self.operation_id)


class ParcelBatchChanged(BatchFact):
    """More parcels changed in one run than are told of one by one."""

    family, fact = "parcel", "batch_changed"
    subjects = ("parcel.batch_changed.*",)

    is_certified_year: bool = Field(default=False, description="official layers of a certified year are among them")


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


class SaleBatchChanged(BatchFact):
    """More sales changed in one run than are told of one by one."""

    family, fact = "sale", "batch_changed"
    subjects = ("sale.batch_changed.*",)


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


class OwnerBatchChanged(BatchFact):
    """The owners of more parcels changed in one run than are told of one by one."""

    family, fact = "owner", "batch_changed"
    subjects = ("owner.batch_changed.*",)


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

    mode: Literal["full", "incremental", "snapshot", "undo"]
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
    """A synchronisation was stopped before it did what is hardly meant; nothing was applied."""

    fact = "brake_applied"
    subjects = ("sync.brake_applied.*",)

    reason: Literal["empty_read", "mass_delete", "mass_change"]
    source_tables: tuple[str, ...]
    approval_id: UUID | None = Field(default=None, description="what a person has to say yes or no to")
    rows_deleted: int | None = None
    rows_changed: int | None = None


class SyncGapFound(SyncFact):
    """A source no longer has all changes since the last run; the tables are compared as a whole instead."""

    fact = "gap_found"
    subjects = ("sync.gap_found.*",)

    source_tables: tuple[str, ...]
    reader: str
    token: str = Field(description="how far it had been read")
    oldest_token: str = Field(description="from where on the source is complete")


class SyncCertificateIssued(SyncFact):
    """What the record holds of a pair was reconciled with the source, and signed."""

    fact = "certificate_issued"
    subjects = ("sync.certificate_issued.*",)

    certificate_id: UUID
    holds: bool
    sequence: int
    differences: tuple[str, ...] = Field(default=(), description="what did not reconcile, by name")


class SyncUndone(SyncFact):
    """Runs were taken back: the landed rows and the record are as before them. The pair is held."""

    fact = "undone"
    subjects = ("sync.undone.*",)

    undone_operation_ids: tuple[UUID, ...]
    sequence: int
    rows: int
    parcels: int
    sales: int


class SyncTableStopped(SyncFact):
    """A table is no longer followed until the mapping is mended; the others go on."""

    fact = "table_stopped"
    subjects = ("sync.table_stopped.*",)

    source_table: str
    code: str
    message: str
    columns: tuple[str, ...] = ()


class SyncConflictFound(SyncFact):
    """Two pairs say different things of one field; a person has to choose."""

    fact = "conflict_found"
    subjects = ("sync.conflict_found.*",)

    conflict_id: UUID
    entity: str
    entity_id: str
    field: str
    pairs: tuple[str, ...]


class SyncHeartbeat(SyncFact):
    """A source was looked at and nothing had changed; `ts_ms` as in Debezium's heartbeat."""

    fact = "heartbeat"
    subjects = ("sync.heartbeat.*",)

    ts_ms: int
    sequence: int


class ChangedColumn(BaseModel):
    """A column of a table, in Debezium's shape."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True, serialize_by_alias=True)

    name: str
    jdbc_type: int = Field(alias="jdbcType", description="of java.sql.Types; 1111 where none fits")
    native_type: int | None = Field(default=None, alias="nativeType")
    type_name: str = Field(alias="typeName")
    type_expression: str | None = Field(default=None, alias="typeExpression")
    charset_name: str | None = Field(default=None, alias="charsetName")
    length: int | None = None
    scale: int | None = None
    position: int
    optional: bool
    auto_incremented: bool = Field(default=False, alias="autoIncremented")
    generated: bool = False


class ChangedTable(BaseModel):
    """A table as it is now, in Debezium's shape."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True, serialize_by_alias=True)

    default_charset_name: str | None = Field(default=None, alias="defaultCharsetName")
    primary_key_column_names: tuple[str, ...] = Field(alias="primaryKeyColumnNames")
    columns: tuple[ChangedColumn, ...]
    attributes: tuple[dict[str, Any], ...] = ()


class TableChange(BaseModel):
    """What happened to a table, in Debezium's shape; `table` is null where it is gone."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    type: Literal["CREATE", "ALTER", "DROP"]
    id: str
    table: ChangedTable | None


class SyncSchemaChanged(SyncFact):
    """A source's table has other columns than before; `tableChanges` as in Debezium's schema change event."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)
    fact = "schema_changed"
    subjects = ("sync.schema_changed.*",)

    source: EnvelopeSource
    ts_ms: int
    database_name: str = Field(alias="databaseName")
    schema_name: str = Field(alias="schemaName")
    ddl: None = None
    table_changes: tuple[TableChange, ...] = Field(alias="tableChanges")


class TransactionPart(BaseModel):
    """How many changes a transaction has of a table."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    data_collection: str
    event_count: int


class SyncTransactionMarked(SyncFact):
    """A run's change envelopes begin or end; as Debezium's transaction event."""

    fact = "transaction_marked"
    subjects = ("sync.transaction_marked.*",)

    status: Literal["BEGIN", "END"]
    id: str
    ts_ms: int
    event_count: int | None = None
    data_collections: tuple[TransactionPart, ...] | None = None


INGEST_EVENTS: tuple[type[Event], ...] = (
    ChangeEnvelope, ParcelChanged, ParcelRemoved, ParcelBatchChanged, SaleRecorded, SaleChanged, SaleRemoved,
    SaleBatchChanged, OwnerChanged, OwnerBatchChanged, SyncCompleted, SyncSnapshotCompleted, SyncBrakeApplied,
    SyncGapFound, SyncCertificateIssued, SyncUndone, SyncTableStopped, SyncConflictFound, SyncHeartbeat,
    SyncSchemaChanged, SyncTransactionMarked,
)  # fmt: skip
