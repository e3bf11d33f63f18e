"""The schema of the gisexport service.

Revision ID: 0006
Revises: 0005
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB, UUID

from migrations.grants import enable_row_level_security, own_schema

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    own_schema("gisexport")
    op.create_table(
        "export_run",
        sa.Column("county", sa.Text, primary_key=True),
        sa.Column("job_id", UUID, primary_key=True),
        sa.Column("parameters", JSONB, nullable=False),
        sa.Column("receipt", JSONB, nullable=False, comment="GisExportReceipt of contracts/api/gis_export.py"),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.text("now()")),
        schema="gisexport",
    )
    op.create_index("export_run_newest", "export_run", ["county", sa.text("created_at DESC")], schema="gisexport")
    enable_row_level_security("gisexport", "export_run")


def downgrade() -> None:
    op.execute('DROP SCHEMA "gisexport" CASCADE')
