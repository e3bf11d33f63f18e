"""Jobs, outbox and inbox; a role per service.

Revision ID: 0001
Revises:
"""

from pathlib import Path

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.grants import SERVICES, enable_row_level_security

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ROLES = Path(__file__).resolve().parents[2] / "deploy" / "postgres" / "roles.sql"


def upgrade() -> None:
    op.execute(sa.text(ROLES.read_text().replace(":", r"\:")))
    op.execute("CREATE SCHEMA IF NOT EXISTS chassis")
    create_job()
    create_outbox_and_inbox()
    for table in ("job", "outbox", "inbox"):
        enable_row_level_security("chassis", table)
    grant()


def create_job() -> None:
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "job",
        sa.Column("county", sa.Text, primary_key=True),
        sa.Column("id", postgresql.UUID, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False, server_default="queued"),
        sa.Column("priority", sa.Text, nullable=False, server_default="normal"),
        sa.Column("parameters", postgresql.JSONB, nullable=False),
        sa.Column("request_digest", sa.Text, nullable=False, comment="sha256 of the canonical request body"),
        sa.Column("idempotency_key", sa.Text),
        sa.Column("requested_by", sa.Text, nullable=False),
        sa.Column("deadline", moment),
        sa.Column("attempt", sa.Integer, nullable=False, server_default="0"),
        sa.Column(
            "failures",
            sa.Integer,
            nullable=False,
            server_default="0",
            comment="starts that failed since it was asked for",
        ),
        sa.Column("owner", sa.Text, comment="the worker process that runs it"),
        sa.Column("heartbeat_at", moment),
        sa.Column("not_before", moment, comment="a retry waits until then"),
        sa.Column("progress", postgresql.JSONB, nullable=False, server_default=sa.text("'{}'::jsonb")),
        sa.Column("error", postgresql.JSONB),
        sa.Column("result", postgresql.JSONB),
        sa.Column("artifacts", postgresql.JSONB, nullable=False, server_default=sa.text("'[]'::jsonb")),
        sa.Column("traceparent", sa.Text),
        sa.Column("created_at", moment, nullable=False, server_default=sa.text("now()")),
        sa.Column("published_at", moment, nullable=False, server_default=sa.text("now()")),
        sa.Column("started_at", moment),
        sa.Column("finished_at", moment),
        sa.UniqueConstraint("county", "requested_by", "idempotency_key", name="job_idempotency_key"),
        schema="chassis",
    )
    op.execute("CREATE INDEX job_unended ON chassis.job (status, published_at) WHERE finished_at IS NULL")
    op.execute(
        "CREATE INDEX job_urgent ON chassis.job (county, kind, priority) WHERE status = 'queued' AND priority <> 'low'"
    )
    op.execute("CREATE INDEX job_newest ON chassis.job (county, created_at DESC, id DESC)")


def create_outbox_and_inbox() -> None:
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "outbox",
        sa.Column("id", postgresql.UUID, primary_key=True),
        sa.Column("position", sa.BigInteger, sa.Identity(always=True), nullable=False, unique=True),
        sa.Column("county", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("headers", postgresql.JSONB, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("created_at", moment, nullable=False, server_default=sa.text("now()")),
        schema="chassis",
    )
    op.create_table(
        "inbox",
        sa.Column("county", sa.Text, primary_key=True),
        sa.Column("consumer", sa.Text, primary_key=True),
        sa.Column("event_id", sa.Text, primary_key=True),
        sa.Column("received_at", moment, nullable=False, server_default=sa.text("now()")),
        schema="chassis",
    )
    op.execute("CREATE INDEX inbox_received_at ON chassis.inbox (received_at)")


def grant() -> None:
    op.execute("GRANT SELECT ON public.alembic_version TO terrafusion_reader")  # services check it at their start
    op.execute("GRANT USAGE ON SCHEMA chassis TO terrafusion_reader")
    for service in SERVICES:
        role = f"terrafusion_{service}"
        op.execute(f"GRANT SELECT, UPDATE ON chassis.job TO {role}")
        op.execute(f"GRANT SELECT, INSERT, DELETE ON chassis.outbox, chassis.inbox TO {role}")
    op.execute("GRANT INSERT ON chassis.job TO terrafusion_gateway")
    op.execute("GRANT UPDATE ON chassis.outbox TO terrafusion_relay")  # SELECT … FOR UPDATE needs it


def downgrade() -> None:
    op.execute("DROP SCHEMA chassis CASCADE")
