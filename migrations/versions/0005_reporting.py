"""The schema of the reporting service.

Revision ID: 0005
Revises: 0004
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB, UUID

from migrations.grants import enable_row_level_security, own_schema

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    own_schema("reporting")
    op.create_table(
        "report_run",
        sa.Column("county", sa.Text, primary_key=True),
        sa.Column("job_id", UUID, primary_key=True),
        sa.Column("report", sa.Text, nullable=False),
        sa.Column("format", sa.Text, nullable=False),
        sa.Column("arguments", JSONB, nullable=False),
        sa.Column("definition_hash", sa.Text, nullable=False, comment="sha256 of report and arguments"),
        sa.Column("watermark", JSONB, nullable=False, comment="which data the report saw"),
        sa.Column("summary", JSONB, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.text("now()")),
        schema="reporting",
    )
    op.create_index(
        "report_run_newest",
        "report_run",
        ["county", "report", sa.text("created_at DESC")],
        schema="reporting",
    )
    enable_row_level_security("reporting", "report_run")


def downgrade() -> None:
    op.execute('DROP SCHEMA "reporting" CASCADE')
