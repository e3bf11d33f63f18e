"""Landed rows found by their range, staged ones by their key; ingest may have its large tables analysed.

Revision ID: 0014
Revises: 0013
"""

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

#: only a table's owner may; a run that lands a county cannot wait for autovacuum to know how its rows are found
ANALYZE = """
CREATE FUNCTION ingest.analyze_landed() RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog AS $$
BEGIN
  ANALYZE ingest.source_row;
  ANALYZE ingest.staged_row;
END $$
"""


def upgrade() -> None:
    # the range first: an index that begins like the key would be taken for it
    op.execute("CREATE INDEX source_row_range ON ingest.source_row (range_number, county, pair, source_table)")
    op.execute("CREATE INDEX staged_row_key ON ingest.staged_row (county, pair, run_id, source_table, key)")
    op.execute(ANALYZE)
    op.execute("REVOKE ALL ON FUNCTION ingest.analyze_landed() FROM PUBLIC")
    op.execute("GRANT EXECUTE ON FUNCTION ingest.analyze_landed() TO terrafusion_ingest")


def downgrade() -> None:
    op.execute("DROP FUNCTION ingest.analyze_landed()")
    op.execute("DROP INDEX ingest.staged_row_key")
    op.execute("DROP INDEX ingest.source_row_range")
