"""When a job was last started again: its deadline is as far from there as it was from its beginning.

Revision ID: 0008
Revises: 0007
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("job", sa.Column("restarted_at", sa.DateTime(timezone=True)), schema="chassis")


def downgrade() -> None:
    op.drop_column("job", "restarted_at", schema="chassis")
