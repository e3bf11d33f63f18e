"""Local accounts, their grants and their logins.

Revision ID: 0007
Revises: 0006
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.grants import enable_row_level_security, own_schema

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    own_schema("gateway")
    create_accounts()
    create_refresh_token()
    enable_row_level_security("gateway", "user_grant")


def create_accounts() -> None:
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "user",
        sa.Column("username", sa.Text, primary_key=True),
        sa.Column("password_hash", sa.Text, nullable=False),
        sa.Column("disabled", sa.Boolean, nullable=False, server_default=sa.text("false")),
        sa.Column("created_at", moment, nullable=False, server_default=sa.text("now()")),
        sa.Column("password_changed_at", moment, nullable=False, server_default=sa.text("now()")),
        schema="gateway",
    )
    empty = sa.text("'{}'::text[]")
    op.create_table(
        "user_grant",
        sa.Column("county", sa.Text, primary_key=True, comment="* stands for every county"),
        sa.Column("username", sa.Text, primary_key=True),
        sa.Column("roles", postgresql.ARRAY(sa.Text), nullable=False, server_default=empty),
        sa.Column("permissions", postgresql.ARRAY(sa.Text), nullable=False, server_default=empty),
        sa.Column("created_at", moment, nullable=False, server_default=sa.text("now()")),
        schema="gateway",
    )


def create_refresh_token() -> None:
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "refresh_token",
        sa.Column("digest", sa.Text, primary_key=True, comment="sha256; the token itself is nowhere"),
        sa.Column("session", postgresql.UUID, nullable=False, comment="one login and all its renewals"),
        sa.Column("username", sa.Text, nullable=False),
        sa.Column("created_at", moment, nullable=False, server_default=sa.text("now()")),
        sa.Column("expires_at", moment, nullable=False),
        sa.Column("used_at", moment, comment="renewed: coming again means that it was stolen"),
        sa.Column("revoked_at", moment),
        schema="gateway",
    )
    op.create_index("refresh_token_session", "refresh_token", ["session"], schema="gateway")
    op.create_index("refresh_token_username", "refresh_token", ["username"], schema="gateway")


def downgrade() -> None:
    op.execute('DROP SCHEMA "gateway" CASCADE')
