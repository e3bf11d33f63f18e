"""What the gateway shows of following a source: tables, runs, certificates, approvals, conflicts, drift.

Revision ID: 0011
Revises: 0010
"""

from alembic import op

from migrations.grants import publish_view

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

COLUMNS = """
ALTER TABLE ingest.sync_table
  ADD COLUMN token_at timestamptz, ADD COLUMN blind_spots jsonb NOT NULL DEFAULT '[]';
COMMENT ON COLUMN ingest.sync_table.token_at IS 'when the source gave the token, by its own clock';
COMMENT ON COLUMN ingest.sync_table.blind_spots IS 'what its reader cannot see, in words'
"""

VIEWS = {
    "sync_table_v1": """
      SELECT county, pair, source_table, reader, content, status, token, token_at, rows, verified_through,
        stopped_code, stopped_message, blind_spots
      FROM ingest.sync_table""",
    # what an open run has read so far; nothing of it is applied yet
    "sync_run_v1": """
      SELECT r.county, r.pair, r.id, r.mode, r.phase, r.sequence, r.started_at, r.seen_at,
        coalesce(s.rows_read, 0) AS rows_read, coalesce(s.rows_compared, 0) AS rows_compared,
        coalesce(s.rows_quarantined, 0) AS rows_quarantined, coalesce(s.rows_filtered, 0) AS rows_filtered,
        coalesce(s.tables_begun, 0) AS tables_begun, coalesce(s.tables_done, 0) AS tables_done, s.staged_at
      FROM ingest.sync_run r LEFT JOIN LATERAL (
        SELECT sum(p.rows_read)::bigint AS rows_read, sum(p.rows_compared)::bigint AS rows_compared,
          sum(p.rows_quarantined)::bigint AS rows_quarantined, sum(p.rows_filtered)::bigint AS rows_filtered,
          count(DISTINCT p.source_table) AS tables_begun,
          count(DISTINCT p.source_table) FILTER (WHERE p.is_done) AS tables_done, max(p.staged_at) AS staged_at
        FROM ingest.staged_progress p WHERE p.county = r.county AND p.pair = r.pair AND p.run_id = r.id
      ) s ON true""",
    "certificate_v1": """
      SELECT county, id, pair, operation_id, sequence, holds, document, signature, issued_at FROM ingest.certificate""",
    "approval_v1": """
      SELECT county, id, pair, operation_id, reason, details, status, asked_at, decided_by, decided_at
      FROM ingest.approval""",
    "conflict_v1": """
      SELECT county, id, entity, entity_id, field, candidates, status, choice, decided_by, decided_at, seen_at,
        operation_id
      FROM ingest.conflict""",
    "schema_change_v1": """
      SELECT county, pair, id, source_table, kind, columns, seen_at, operation_id FROM ingest.schema_change""",
}

#: published before, now with more at their ends
GROWN = {
    "sync_pair_v1": """
      SELECT p.county, p.pair, p.reader, p.tables, p.last_operation_id, p.last_synchronized_at, p.status, p.failures,
        p.retry_at, t.verified_through, coalesce(t.tables_stopped, 0) AS tables_stopped,
        (SELECT count(*) FROM ingest.approval a
          WHERE a.county = p.county AND a.pair = p.pair AND a.status = 'pending') AS approvals_pending
      FROM ingest.sync_pair p LEFT JOIN LATERAL (
        SELECT count(*) FILTER (WHERE s.stopped_code IS NOT NULL) AS tables_stopped,
          CASE WHEN bool_and(s.verified_through IS NOT NULL) THEN min(s.verified_through) END AS verified_through
        FROM ingest.sync_table s WHERE s.county = p.county AND s.pair = p.pair
      ) t ON true""",
    "sync_operation_v1": """
      SELECT j.county, j.id, coalesce(o.pair, j.parameters ->> 'pair') AS pair,
        coalesce(o.mode, j.parameters ->> 'mode', 'incremental') AS mode, coalesce(o.reader, '') AS reader, j.status,
        coalesce(o.rows_read, 0) AS rows_read, coalesce(o.rows_applied, 0) AS rows_applied,
        coalesce(o.rows_unchanged, 0) AS rows_unchanged, coalesce(o.rows_quarantined, 0) AS rows_quarantined,
        coalesce(o.rows_filtered, 0) AS rows_filtered, coalesce(o.changes, 0) AS changes,
        coalesce(o.events, 0) AS events, coalesce(j.started_at, j.created_at) AS started_at, j.finished_at,
        coalesce(o.details, j.error, '{}') AS details, o.sequence, o.certificate_id, o.undone_by,
        j.requested_by
      FROM chassis.job j LEFT JOIN ingest.sync_operation o USING (county, id) WHERE j.kind = 'sync'""",
}

BEFORE = {
    "sync_pair_v1": """
      SELECT county, pair, reader, tables, last_operation_id, last_synchronized_at FROM ingest.sync_pair""",
    "sync_operation_v1": """
      SELECT j.county, j.id, coalesce(o.pair, j.parameters ->> 'pair') AS pair,
        coalesce(o.mode, j.parameters ->> 'mode', 'incremental') AS mode, coalesce(o.reader, '') AS reader, j.status,
        coalesce(o.rows_read, 0) AS rows_read, coalesce(o.rows_applied, 0) AS rows_applied,
        coalesce(o.rows_unchanged, 0) AS rows_unchanged, coalesce(o.rows_quarantined, 0) AS rows_quarantined,
        coalesce(o.rows_filtered, 0) AS rows_filtered, coalesce(o.changes, 0) AS changes,
        coalesce(o.events, 0) AS events, coalesce(j.started_at, j.created_at) AS started_at, j.finished_at,
        coalesce(o.details, j.error, '{}') AS details
      FROM chassis.job j LEFT JOIN ingest.sync_operation o USING (county, id) WHERE j.kind = 'sync'""",
}


def upgrade() -> None:
    op.execute(COLUMNS)
    op.execute("GRANT INSERT ON chassis.job TO terrafusion_ingest")  # signals over the bus become jobs
    for view, query in VIEWS.items():
        publish_view("ingest", view, query)
    for view, query in GROWN.items():
        op.execute(f"DROP VIEW ingest.{view}")
        publish_view("ingest", view, query)


def downgrade() -> None:
    op.execute("REVOKE INSERT ON chassis.job FROM terrafusion_ingest")
    for view in (*VIEWS, *GROWN):
        op.execute(f"DROP VIEW ingest.{view}")
    for view, query in BEFORE.items():
        publish_view("ingest", view, query)
    op.execute("ALTER TABLE ingest.sync_table DROP COLUMN token_at, DROP COLUMN blind_spots")
