"""The tables that the valuation service owns."""

from sqlalchemy import Column, Date, DateTime, Double, Index, Integer, MetaData, Numeric, Table, Text, text
from sqlalchemy.dialects.postgresql import JSONB, UUID

metadata = MetaData(schema="valuation")
_now = text("now()")

model_run = Table(
    "model_run",
    metadata,
    Column("county", Text, primary_key=True),
    Column("run_id", UUID, primary_key=True, comment="the job's id"),
    Column("tax_year", Integer, nullable=False),
    Column("valuation_date", Date, nullable=False),
    Column("model", Text, nullable=False),
    Column("parameters", JSONB, nullable=False),
    Column("model_card", JSONB, nullable=False, comment="data, accuracy on held-out sales, coefficients, version"),
    Column("parcels_valued", Integer, nullable=False),
    Column("parcels_refused", Integer, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=_now),
    Index("model_run_newest", "county", text("created_at DESC")),
)

parcel_value = Table(
    "parcel_value",
    metadata,
    Column("county", Text, primary_key=True),
    Column("run_id", UUID, primary_key=True),
    Column("parcel_id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("value_usd", Numeric(14, 2), nullable=False),
    Column("land_value_usd", Numeric(14, 2), comment="null: no assessed land share is known"),
    Column("improvement_value_usd", Numeric(14, 2)),
    Column("low_usd", Numeric(14, 2), nullable=False, comment="90 % interval"),
    Column("high_usd", Numeric(14, 2), nullable=False),
    Column("confidence", Double, nullable=False, comment="chance that the value is within 10 % of the price"),
    Column("contributions", JSONB, nullable=False, comment="USD by model or feature, adding up to the value"),
    Column("comparables", JSONB, nullable=False, comment="ComparableSale of contracts/api/valuation.py"),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=_now),
    Index("parcel_value_newest", "county", "parcel_id", text("created_at DESC")),
)

refused_parcel = Table(
    "refused_parcel",
    metadata,
    Column("county", Text, primary_key=True),
    Column("run_id", UUID, primary_key=True),
    Column("parcel_id", Text, primary_key=True),
    Column("reason", Text, nullable=False),
)
