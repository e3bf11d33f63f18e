"""The tables that the chassis owns, and the row-level security that every table gets."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Identity,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, UUID

metadata = MetaData(schema="chassis")
_now = text("now()")

job = Table(
    "job",
    metadata,
    Column("county", Text, primary_key=True),
    Column("id", UUID, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("status", Text, nullable=False, server_default="queued"),
    Column("priority", Text, nullable=False, server_default="normal"),
    Column("parameters", JSONB, nullable=False),
    Column("request_digest", Text, nullable=False, comment="sha256 of the canonical request body"),
    Column("idempotency_key", Text),
    Column("requested_by", Text, nullable=False),
    Column("deadline", DateTime(timezone=True)),
    Column("attempt", Integer, nullable=False, server_default="0"),
    Column(
        "failures", Integer, nullable=False, server_default="0", comment="starts that failed since it was asked for"
    ),
    Column("owner", Text, comment="the worker process that runs it"),
    Column("heartbeat_at", DateTime(timezone=True)),
    Column("not_before", DateTime(timezone=True), comment="a retry waits until then"),
    Column("progress", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    Column("error", JSONB),
    Column("result", JSONB),
    Column("artifacts", JSONB, nullable=False, server_default=text("'[]'::jsonb")),
    Column("traceparent", Text),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=_now),
    Column("published_at", DateTime(timezone=True), nullable=False, server_default=_now),
    Column("started_at", DateTime(timezone=True)),
    Column("finished_at", DateTime(timezone=True)),
    Column("restarted_at", DateTime(timezone=True)),
    UniqueConstraint("county", "requested_by", "idempotency_key", name="job_idempotency_key"),
    Index("job_unended", "status", "published_at", postgresql_where=text("finished_at IS NULL")),
    Index("job_urgent", "county", "kind", "priority", postgresql_where=text("status = 'queued' AND priority <> 'low'")),
    Index("job_idle", "finished_at", postgresql_where=text("result ->> 'is_idle' = 'true'")),
    Index("job_newest", "county", text("created_at DESC"), text("id DESC")),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", UUID, primary_key=True),
    Column("position", BigInteger, Identity(always=True), nullable=False, unique=True),
    Column("county", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("headers", JSONB, nullable=False),
    Column("body", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=_now),
)

inbox = Table(
    "inbox",
    metadata,
    Column("county", Text, primary_key=True),
    Column("consumer", Text, primary_key=True),
    Column("event_id", Text, primary_key=True),
    Column("received_at", DateTime(timezone=True), nullable=False, server_default=_now),
    Index("inbox_received_at", "received_at"),
)

schedule = Table(
    "schedule",
    metadata,
    Column("county", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column(
        "id",
        UUID,
        nullable=False,
        comment="of the county and the name: the id of a job follows from it and the time that it was due",
    ),
    Column(
        "origin", Text, nullable=False, comment="county_file, mappings or api; what a file says is changed in the file"
    ),
    Column("kind", Text, nullable=False),
    Column("parameters", JSONB, nullable=False),
    Column("priority", Text, nullable=False, server_default="normal"),
    Column("cron", Text),
    Column("every_seconds", Integer),
    Column("time_zone", Text, nullable=False),
    Column("catch_up", Text, nullable=False, server_default="once"),
    Column("is_paused", Boolean, nullable=False, server_default=text("false")),
    Column("paused_by", Text),
    Column("next_due_at", DateTime(timezone=True), comment="null: never again"),
    Column("last_due_at", DateTime(timezone=True), comment="the time that the last job of it was due"),
    Column("last_job_id", UUID),
    Column(
        "skips",
        BigInteger,
        nullable=False,
        server_default="0",
        comment="times without a job, for the one before had not ended or the time had passed",
    ),
    Column("last_skipped_at", DateTime(timezone=True)),
    Column("created_by", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=_now),
    Index("schedule_due", "next_due_at", postgresql_where=text("NOT is_paused")),
)
