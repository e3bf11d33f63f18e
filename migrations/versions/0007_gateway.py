"""The schema of the gateway service.

Revision ID: 0007
Revises: 0006
"""

from alembic import op

from migrations.grants import own_schema

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    own_schema("gateway")


def downgrade() -> None:
    op.execute('DROP SCHEMA "gateway" CASCADE')
