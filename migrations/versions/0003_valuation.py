"""The schema of the valuation service.

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB, UUID

from migrations.grants import enable_row_level_security, own_schema, publish_view

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

PARCEL_VALUE_V1 = """
SELECT value.county, value.run_id, value.parcel_id, run.tax_year, run.valuation_date, run.model, value.value_usd,
    value.land_value_usd, value.improvement_value_usd, value.low_usd, value.high_usd, value.confidence,
    value.created_at
FROM valuation.parcel_value AS value
JOIN valuation.model_run AS run ON run.county = value.county AND run.run_id = value.run_id
"""
LATEST_VALUE_V1 = """
SELECT DISTINCT ON (county, parcel_id) *
FROM valuation.parcel_value_v1
ORDER BY county, parcel_id, created_at DESC, run_id DESC
"""


def upgrade() -> None:
    own_schema("valuation")
    create_model_run()
    create_parcel_value()
    create_refused_parcel()
    for table in ("model_run", "parcel_value", "refused_parcel"):
        enable_row_level_security("valuation", table)
    publish_view("valuation", "parcel_value_v1", PARCEL_VALUE_V1)
    publish_view("valuation", "latest_value_v1", LATEST_VALUE_V1)


def create_model_run() -> None:
    op.create_table(
        "model_run",
        sa.Column("county", sa.Text, primary_key=True),
        sa.Column("run_id", UUID, primary_key=True, comment="the job's id"),
        sa.Column("tax_year", sa.Integer, nullable=False),
        sa.Column("valuation_date", sa.Date, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("parameters", JSONB, nullable=False),
        sa.Column(
            "model_card", JSONB, nullable=False, comment="data, accuracy on held-out sales, coefficients, version"
        ),
        sa.Column("parcels_valued", sa.Integer, nullable=False),
        sa.Column("parcels_refused", sa.Integer, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.text("now()")),
        schema="valuation",
    )
    op.create_index("model_run_newest", "model_run", ["county", sa.text("created_at DESC")], schema="valuation")


def create_parcel_value() -> None:
    money = sa.Numeric(14, 2)
    op.create_table(
        "parcel_value",
        sa.Column("county", sa.Text, primary_key=True),
        sa.Column("run_id", UUID, primary_key=True),
        sa.Column("parcel_id", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("value_usd", money, nullable=False),
        sa.Column("land_value_usd", money, comment="null: no assessed land share is known"),
        sa.Column("improvement_value_usd", money),
        sa.Column("low_usd", money, nullable=False, comment="90 % interval"),
        sa.Column("high_usd", money, nullable=False),
        sa.Column("confidence", sa.Double, nullable=False, comment="chance that the value is within 10 % of the price"),
        sa.Column("contributions", JSONB, nullable=False, comment="USD by model or feature, adding up to the value"),
        sa.Column("comparables", JSONB, nullable=False, comment="ComparableSale of contracts/api/valuation.py"),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.text("now()")),
        schema="valuation",
    )
    op.create_index(
        "parcel_value_newest",
        "parcel_value",
        ["county", "parcel_id", sa.text("created_at DESC")],
        schema="valuation",
    )


def create_refused_parcel() -> None:
    op.create_table(
        "refused_parcel",
        sa.Column("county", sa.Text, primary_key=True),
        sa.Column("run_id", UUID, primary_key=True),
        sa.Column("parcel_id", sa.Text, primary_key=True),
        sa.Column("reason", sa.Text, nullable=False),
        schema="valuation",
    )


def downgrade() -> None:
    op.execute('DROP SCHEMA "valuation" CASCADE')
