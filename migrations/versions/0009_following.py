"""Following a source for ever: open runs, ranges, tokens, staged differences, before-images, approvals, certificates.

Revision ID: 0009
Revises: 0008
"""

from alembic import op

from migrations.grants import enable_row_level_security

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

#: images are JSON as text: nothing is parsed on the way in, which makes copying twice as fast
ROW = """
  key text NOT NULL, digest text, image text, personal text,
  parcel_id text, sale_id text, owner_id text, lot_id text
"""

CHANGES = """
ALTER TABLE ingest.source_row
  ALTER COLUMN image TYPE text,
  ADD COLUMN personal text, ADD COLUMN parcel_id text, ADD COLUMN sale_id text, ADD COLUMN owner_id text,
  ADD COLUMN lot_id text, ADD COLUMN range_number integer, ADD COLUMN created_sequence bigint NOT NULL DEFAULT 0,
  ADD COLUMN sequence bigint NOT NULL DEFAULT 0, ADD COLUMN is_filtered boolean NOT NULL DEFAULT false;
CREATE INDEX source_row_parcel ON ingest.source_row (county, pair, parcel_id) WHERE parcel_id IS NOT NULL;
CREATE INDEX source_row_sale ON ingest.source_row (county, pair, sale_id) WHERE sale_id IS NOT NULL;
CREATE INDEX source_row_owner ON ingest.source_row (county, pair, owner_id) WHERE owner_id IS NOT NULL;
CREATE INDEX source_row_lot ON ingest.source_row (county, pair, lot_id) WHERE lot_id IS NOT NULL;
COMMENT ON COLUMN ingest.source_row.personal IS 'names and addresses as read; for the record of owners alone';
COMMENT ON COLUMN ingest.source_row.range_number IS 'the range of keys it was read in; null: not placed yet';
COMMENT ON COLUMN ingest.source_row.created_sequence IS 'the run that brought it; the pair is not there yet: pending';
COMMENT ON COLUMN ingest.source_row.sequence IS 'the run of the pair that changed it last';
COMMENT ON COLUMN ingest.source_row.is_filtered IS 'left out by the mapping, and landed to know the scope';
ALTER TABLE ingest.sync_pair
  ADD COLUMN status text NOT NULL DEFAULT 'active', ADD COLUMN fence bigint NOT NULL DEFAULT 0,
  ADD COLUMN lease_owner text, ADD COLUMN lease_expires_at timestamptz,
  ADD COLUMN failures integer NOT NULL DEFAULT 0, ADD COLUMN retry_at timestamptz,
  ADD COLUMN working_year integer;
COMMENT ON COLUMN ingest.sync_pair.status IS 'active, paused by a person, or held until one decides';
COMMENT ON COLUMN ingest.sync_pair.fence IS 'rises with every owner: a late one changes nothing';
COMMENT ON COLUMN ingest.sync_pair.working_year IS 'of the last run';
COMMENT ON COLUMN ingest.sync_pair.failures IS 'failed runs in a row, for the circuit breaker';
ALTER TABLE ingest.quarantine ADD COLUMN source_key jsonb;
COMMENT ON COLUMN ingest.quarantine.source_key IS 'as the source gave it, to ask for the row again; null: not known';
ALTER TABLE ingest.sync_operation
  ADD COLUMN started_at timestamptz, ADD COLUMN undone_by uuid, ADD COLUMN certificate_id uuid;
"""

TABLES = {
    "sync_run": """
      county text, pair text, id uuid NOT NULL, sequence bigint NOT NULL, mode text NOT NULL, rules text NOT NULL,
      working_year integer NOT NULL, phase text NOT NULL, started_at timestamptz NOT NULL DEFAULT now(),
      seen_at timestamptz NOT NULL, details jsonb NOT NULL DEFAULT '{}', PRIMARY KEY (county, pair)
    """,
    "sync_table": """
      county text, pair text, source_table text, reader text NOT NULL, content text NOT NULL DEFAULT 'row',
      status text NOT NULL, token text, rules text, columns jsonb NOT NULL DEFAULT '{}', rows bigint NOT NULL DEFAULT 0,
      verified_through timestamptz, stopped_code text, stopped_message text,
      PRIMARY KEY (county, pair, source_table)
    """,
    "sync_range": """
      county text, pair text, source_table text, number integer, lower jsonb, upper jsonb, digest text,
      PRIMARY KEY (county, pair, source_table, number)
    """,
    "row_before": f"""
      county text, pair text, sequence bigint, source_table text, op text NOT NULL, {ROW},
      created_sequence bigint NOT NULL, changed_sequence bigint NOT NULL, is_filtered boolean NOT NULL,
      PRIMARY KEY (county, pair, sequence, source_table, key)
    """,
    "schema_change": """
      county text, pair text, id uuid, source_table text NOT NULL, kind text NOT NULL, columns jsonb NOT NULL,
      seen_at timestamptz NOT NULL DEFAULT now(), operation_id uuid NOT NULL, PRIMARY KEY (county, pair, id)
    """,
    "certificate": """
      county text, id uuid, pair text NOT NULL, operation_id uuid NOT NULL, sequence bigint NOT NULL,
      holds boolean NOT NULL, document jsonb NOT NULL, signature text NOT NULL,
      issued_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (county, id)
    """,
    "approval": """
      county text, id uuid, pair text NOT NULL, operation_id uuid NOT NULL, reason text NOT NULL,
      details jsonb NOT NULL, status text NOT NULL DEFAULT 'pending', asked_at timestamptz NOT NULL DEFAULT now(),
      decided_by text, decided_at timestamptz, PRIMARY KEY (county, id)
    """,
    "contribution": """
      county text, pair text, entity text, match_key text, fields jsonb NOT NULL, digest text NOT NULL,
      origin text, updated_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (county, pair, entity, match_key)
    """,
    "conflict": """
      county text, id uuid, entity text NOT NULL, entity_id text NOT NULL, field text NOT NULL,
      candidates jsonb NOT NULL,
      status text NOT NULL DEFAULT 'open', choice text, decided_by text, decided_at timestamptz,
      seen_at timestamptz NOT NULL DEFAULT now(), operation_id uuid NOT NULL, PRIMARY KEY (county, id)
    """,
}

#: what a run has read so far; a crash of the server empties them all at once, and the run is read again
STAGES = {
    "staged_row": f"""
      county text NOT NULL, pair text NOT NULL, run_id uuid NOT NULL, source_table text NOT NULL,
      batch integer NOT NULL, place integer NOT NULL, op text NOT NULL, {ROW},
      range_number integer, is_filtered boolean NOT NULL DEFAULT false, log jsonb
    """,
    "staged_progress": """
      county text, pair text, run_id uuid, source_table text, batch integer, position jsonb NOT NULL, token text,
      ranges jsonb NOT NULL DEFAULT '[]', rows_read bigint NOT NULL, rows_quarantined bigint NOT NULL,
      rows_filtered bigint NOT NULL, rows_compared bigint NOT NULL,
      rows_created bigint NOT NULL DEFAULT 0, is_done boolean NOT NULL DEFAULT false,
      staged_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (county, pair, run_id, source_table, batch)
    """,
    "staged_violation": """
      county text NOT NULL, pair text NOT NULL, run_id uuid NOT NULL, source_table text NOT NULL,
      batch integer NOT NULL, key text NOT NULL, rule text, field text, value text,
      source_key jsonb
    """,
}
STAGE_INDEXES = """
CREATE INDEX staged_row_run ON ingest.staged_row (county, pair, run_id, source_table, batch, place);
CREATE INDEX staged_violation_run ON ingest.staged_violation (county, pair, run_id, source_table, key);
COMMENT ON COLUMN ingest.staged_row.op IS
  'c, u, d: to be told; m: only its range changed; x: it left the years that are read';
COMMENT ON COLUMN ingest.staged_violation.rule IS 'null: the row was read and is held back no longer';
"""


def upgrade() -> None:
    op.execute(CHANGES)
    for table, columns in TABLES.items():
        op.execute(f"CREATE TABLE ingest.{table} ({columns})")
        enable_row_level_security("ingest", table)
    for table, columns in STAGES.items():
        op.execute(f"CREATE UNLOGGED TABLE ingest.{table} ({columns})")
        enable_row_level_security("ingest", table)
    op.execute(STAGE_INDEXES)
    op.execute("CREATE INDEX certificate_pair ON ingest.certificate (county, pair, sequence)")
    op.execute("CREATE INDEX row_before_key ON ingest.row_before (county, pair, source_table, key)")


def downgrade() -> None:
    op.execute("ALTER TABLE ingest.quarantine DROP COLUMN source_key")
    for table in (*TABLES, *STAGES):
        op.execute(f"DROP TABLE ingest.{table}")
    op.execute(
        "ALTER TABLE ingest.sync_operation DROP COLUMN started_at, DROP COLUMN undone_by, DROP COLUMN certificate_id"
    )
    op.execute(
        "ALTER TABLE ingest.sync_pair DROP COLUMN status, DROP COLUMN fence, DROP COLUMN lease_owner,"
        " DROP COLUMN lease_expires_at, DROP COLUMN failures, DROP COLUMN retry_at,"
        " DROP COLUMN working_year"
    )
    op.execute(
        "ALTER TABLE ingest.source_row DROP COLUMN personal, DROP COLUMN parcel_id, DROP COLUMN sale_id,"
        " DROP COLUMN owner_id, DROP COLUMN lot_id, DROP COLUMN range_number, DROP COLUMN created_sequence,"
        " DROP COLUMN sequence, DROP COLUMN is_filtered, ALTER COLUMN image TYPE jsonb USING image::jsonb"
    )
