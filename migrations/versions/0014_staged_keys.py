"""Landed rows found by their range, staged ones by their key.

Revision ID: 0014
Revises: 0013
"""

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE INDEX source_row_range ON ingest.source_row (county, pair, source_table, range_number)")
    op.execute("CREATE INDEX staged_row_key ON ingest.staged_row (county, pair, run_id, source_table, key)")


def downgrade() -> None:
    op.execute("DROP INDEX ingest.staged_row_key")
    op.execute("DROP INDEX ingest.source_row_range")
