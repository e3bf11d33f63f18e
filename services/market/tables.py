"""The tables that the market service owns."""

from sqlalchemy import Column, Date, DateTime, Double, Index, Integer, MetaData, Numeric, Table, Text, text
from sqlalchemy.dialects.postgresql import JSONB, UUID

metadata = MetaData(schema="market")

study = Table(
    "study",
    metadata,
    Column("county", Text, primary_key=True),
    Column("study_id", UUID, primary_key=True, comment="the job's id"),
    Column("from_date", Date, nullable=False),
    Column("to_date", Date, nullable=False),
    Column("parameters", JSONB, nullable=False),
    Column("document", JSONB, nullable=False, comment="MarketStudy of contracts/api/market.py"),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=text("now()")),
    Index("study_newest", "county", text("created_at DESC")),
)

index = Table(
    "index",
    metadata,
    Column("county", Text, primary_key=True),
    Column("study_id", UUID, primary_key=True),
    Column("segment", Text, primary_key=True),
    Column("month", Date, primary_key=True),
    Column("sales", Integer, nullable=False),
    Column("index", Double, comment="price level, base month = 100; null: too few sales, see reason"),
    Column("index_low", Double, comment="95 % interval"),
    Column("index_high", Double),
    Column("reason", Text),
    Column("median_price_usd", Numeric(14, 2)),
    Column("median_price_per_sqft_usd", Numeric(14, 2)),
)
