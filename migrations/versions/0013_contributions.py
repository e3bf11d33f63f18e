"""What contributing pairs say, found by what it matches in the record; conflicts found by what they are about.

Revision ID: 0013
Revises: 0012
"""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE ingest.contribution ADD COLUMN parcel_key text NOT NULL, ADD COLUMN matches text NOT NULL")
    op.execute("COMMENT ON COLUMN ingest.contribution.parcel_key IS 'the pair''s own id of the parcel'")
    op.execute("COMMENT ON COLUMN ingest.contribution.matches IS 'what its parcel or owner is known by in the record'")
    op.execute("CREATE INDEX contribution_parcel ON ingest.contribution (county, pair, parcel_key)")
    op.execute("CREATE INDEX contribution_matches ON ingest.contribution (county, entity, matches)")
    op.execute("CREATE INDEX conflict_subject ON ingest.conflict (county, entity, entity_id)")
    op.execute(
        "CREATE UNIQUE INDEX conflict_open ON ingest.conflict (county, entity, entity_id, field) WHERE status = 'open'"
    )


def downgrade() -> None:
    op.execute("DROP INDEX ingest.conflict_open")
    op.execute("DROP INDEX ingest.conflict_subject")
    op.execute("ALTER TABLE ingest.contribution DROP COLUMN matches, DROP COLUMN parcel_key")
