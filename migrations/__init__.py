"""One Alembic history for the operational database."""
