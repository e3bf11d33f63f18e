"""The schema of the ingest service.

Revision ID: 0002
Revises: 0001
"""

from alembic import op

from migrations.grants import own_schema

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    own_schema("ingest")


def downgrade() -> None:
    op.execute('DROP SCHEMA "ingest" CASCADE')
