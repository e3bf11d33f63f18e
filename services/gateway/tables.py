"""The gateway's tables: local accounts and their logins."""

from sqlalchemy import Boolean, Column, DateTime, Index, MetaData, Table, Text, text
from sqlalchemy.dialects.postgresql import ARRAY, UUID

metadata = MetaData(schema="gateway")
_now = text("now()")

#: people are of the platform, not of a county: what they may do in a county stands in its users file or in user_grant
user = Table(
    "user",
    metadata,
    Column("username", Text, primary_key=True),
    Column("password_hash", Text, nullable=False),
    Column("disabled", Boolean, nullable=False, server_default=text("false")),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=_now),
    Column("password_changed_at", DateTime(timezone=True), nullable=False, server_default=_now),
)

user_grant = Table(
    "user_grant",
    metadata,
    Column("county", Text, primary_key=True, comment="* stands for every county"),
    Column("username", Text, primary_key=True),
    Column("roles", ARRAY(Text), nullable=False, server_default=text("'{}'::text[]")),
    Column("permissions", ARRAY(Text), nullable=False, server_default=text("'{}'::text[]")),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=_now),
)

refresh_token = Table(
    "refresh_token",
    metadata,
    Column("digest", Text, primary_key=True, comment="sha256; the token itself is nowhere"),
    Column("session", UUID, nullable=False, comment="one login and all its renewals"),
    Column("username", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=_now),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Column("used_at", DateTime(timezone=True), comment="renewed: coming again means that it was stolen"),
    Column("revoked_at", DateTime(timezone=True)),
    Index("refresh_token_session", "session"),
    Index("refresh_token_username", "username"),
)
