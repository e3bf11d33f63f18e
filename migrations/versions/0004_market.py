"""The schema of the market service.

Revision ID: 0004
Revises: 0003
"""

from alembic import op

from migrations.grants import own_schema

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    own_schema("market")


def downgrade() -> None:
    op.execute('DROP SCHEMA "market" CASCADE')
