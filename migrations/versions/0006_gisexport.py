"""The schema of the gisexport service.

Revision ID: 0006
Revises: 0005
"""

from alembic import op

from migrations.grants import own_schema

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    own_schema("gisexport")


def downgrade() -> None:
    op.execute('DROP SCHEMA "gisexport" CASCADE')
