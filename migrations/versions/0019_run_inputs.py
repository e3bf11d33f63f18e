"""A digest of what a run's model saw: sales as they were decided, and parcels.

Revision ID: 0019
Revises: 0018
"""

from alembic import op

from migrations.grants import publish_view

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

COLUMNS = (
    "run.county, run.run_id, run.tax_year, run.valuation_date, run.model, run.is_what_if, run.parcels_valued,"
    " run.parcels_refused, run.parcels_flagged, run.total_value_usd, run.requested_by, run.created_at,"
    " run.code_version, run.snapshot, run.values_sha256, run.prior_basis, run.parameters, run.model_card"
)
RUN_V1 = """
SELECT {columns},
    (SELECT promotion.status FROM valuation.promotion AS promotion
      WHERE promotion.county = run.county AND promotion.run_id = run.run_id
      ORDER BY promotion.requested_at DESC, promotion.id DESC LIMIT 1) AS promotion_status,
    (SELECT max(posting.posted_at) FROM valuation.posting AS posting
      WHERE posting.county = run.county AND posting.run_id = run.run_id) AS posted_at
FROM valuation.model_run AS run
"""


def upgrade() -> None:
    op.execute("ALTER TABLE valuation.model_run ADD COLUMN input_sha256 text")
    op.execute("COMMENT ON COLUMN valuation.model_run.input_sha256 IS 'digest of the sales and parcels that it is of'")
    publish_run_view(f"{COLUMNS}, run.input_sha256")


def downgrade() -> None:
    publish_run_view(COLUMNS)
    op.execute("ALTER TABLE valuation.model_run DROP COLUMN input_sha256")


def publish_run_view(columns: str) -> None:
    op.execute("DROP VIEW valuation.run_v1")
    publish_view("valuation", "run_v1", RUN_V1.format(columns=columns))
