"""The schema of the valuation service.

Revision ID: 0003
Revises: 0002
"""

from alembic import op

from migrations.grants import own_schema

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    own_schema("valuation")


def downgrade() -> None:
    op.execute('DROP SCHEMA "valuation" CASCADE')
