"""Jobs that the platform asks for by itself.

Revision ID: 0010
Revises: 0009
"""

from alembic import op

from migrations.grants import enable_row_level_security

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

TABLE = """
CREATE TABLE chassis.schedule (
  county text, name text, id uuid NOT NULL, origin text NOT NULL, kind text NOT NULL, parameters jsonb NOT NULL,
  priority text NOT NULL DEFAULT 'normal', cron text, every_seconds integer, time_zone text NOT NULL,
  catch_up text NOT NULL DEFAULT 'once', is_paused boolean NOT NULL DEFAULT false, paused_by text,
  next_due_at timestamptz, last_due_at timestamptz, last_job_id uuid, skips bigint NOT NULL DEFAULT 0,
  last_skipped_at timestamptz, created_by text NOT NULL, created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (county, name)
)
"""
COMMENTS = {
    "id": "of the county and the name: the id of a job follows from it and the time that it was due",
    "origin": "county_file, mappings or api; what a file says is changed in the file",
    "next_due_at": "null: never again",
    "last_due_at": "the time that the last job of it was due",
    "skips": "times without a job, for the one before had not ended or the time had passed",
}


def upgrade() -> None:
    op.execute(TABLE)
    for column, comment in COMMENTS.items():
        op.execute(f"COMMENT ON COLUMN chassis.schedule.{column} IS '{comment}'")
    op.execute("CREATE INDEX schedule_due ON chassis.schedule (next_due_at) WHERE NOT is_paused")
    enable_row_level_security("chassis", "schedule")
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON chassis.schedule TO terrafusion_relay, terrafusion_gateway")
    op.execute("GRANT INSERT ON chassis.job TO terrafusion_relay")


def downgrade() -> None:
    op.execute("REVOKE INSERT ON chassis.job FROM terrafusion_relay")
    op.execute("DROP TABLE chassis.schedule")
