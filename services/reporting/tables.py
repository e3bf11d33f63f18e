"""The tables that the reporting service owns."""

from sqlalchemy import Column, DateTime, Index, MetaData, Table, Text, text
from sqlalchemy.dialects.postgresql import JSONB, UUID

metadata = MetaData(schema="reporting")

report_run = Table(
    "report_run",
    metadata,
    Column("county", Text, primary_key=True),
    Column("job_id", UUID, primary_key=True),
    Column("report", Text, nullable=False),
    Column("format", Text, nullable=False),
    Column("arguments", JSONB, nullable=False),
    Column("definition_hash", Text, nullable=False, comment="sha256 of report and arguments"),
    Column("watermark", JSONB, nullable=False, comment="which data the report saw"),
    Column("summary", JSONB, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=text("now()")),
    Index("report_run_newest", "county", "report", text("created_at DESC")),
)
