"""Jobs that nothing came of are swept: the relay may delete jobs, and finds those.

Revision ID: 0016
Revises: 0015
"""

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE INDEX job_idle ON chassis.job (finished_at) WHERE result ->> 'is_idle' = 'true'")
    op.execute("GRANT DELETE ON chassis.job TO terrafusion_relay")


def downgrade() -> None:
    op.execute("REVOKE DELETE ON chassis.job FROM terrafusion_relay")
    op.execute("DROP INDEX chassis.job_idle")
