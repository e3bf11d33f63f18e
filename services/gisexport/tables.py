"""The tables that the gisexport service owns."""

from sqlalchemy import Column, DateTime, Index, MetaData, Table, Text, text
from sqlalchemy.dialects.postgresql import JSONB, UUID

metadata = MetaData(schema="gisexport")

export_run = Table(
    "export_run",
    metadata,
    Column("county", Text, primary_key=True),
    Column("job_id", UUID, primary_key=True),
    Column("parameters", JSONB, nullable=False),
    Column("receipt", JSONB, nullable=False, comment="GisExportReceipt of contracts/api/gis_export.py"),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=text("now()")),
    Index("export_run_newest", "county", text("created_at DESC")),
)
