"""The schema of the reporting service.

Revision ID: 0005
Revises: 0004
"""

from alembic import op

from migrations.grants import own_schema

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    own_schema("reporting")


def downgrade() -> None:
    op.execute('DROP SCHEMA "reporting" CASCADE')
