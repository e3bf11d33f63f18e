"""The schema of the market service.

Revision ID: 0004
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB, UUID

from migrations.grants import enable_row_level_security, own_schema

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    own_schema("market")
    create_study()
    create_index()
    for table in ("study", "index"):
        enable_row_level_security("market", table)


def create_study() -> None:
    op.create_table(
        "study",
        sa.Column("county", sa.Text, primary_key=True),
        sa.Column("study_id", UUID, primary_key=True, comment="the job's id"),
        sa.Column("from_date", sa.Date, nullable=False),
        sa.Column("to_date", sa.Date, nullable=False),
        sa.Column("parameters", JSONB, nullable=False),
        sa.Column("document", JSONB, nullable=False, comment="MarketStudy of contracts/api/market.py"),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.text("now()")),
        schema="market",
    )
    op.create_index("study_newest", "study", ["county", sa.text("created_at DESC")], schema="market")


def create_index() -> None:
    op.create_table(
        "index",
        sa.Column("county", sa.Text, primary_key=True),
        sa.Column("study_id", UUID, primary_key=True),
        sa.Column("segment", sa.Text, primary_key=True),
        sa.Column("month", sa.Date, primary_key=True),
        sa.Column("sales", sa.Integer, nullable=False),
        sa.Column("index", sa.Double, comment="price level, base month = 100; null: too few sales, see reason"),
        sa.Column("index_low", sa.Double, comment="95 % interval"),
        sa.Column("index_high", sa.Double),
        sa.Column("reason", sa.Text),
        sa.Column("median_price_usd", sa.Numeric(14, 2)),
        sa.Column("median_price_per_sqft_usd", sa.Numeric(14, 2)),
        schema="market",
    )


def downgrade() -> None:
    op.execute('DROP SCHEMA "market" CASCADE')
