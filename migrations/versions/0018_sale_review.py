"""What is odd about sales, and what persons said of them.

Revision ID: 0018
Revises: 0017
"""

from alembic import op

from migrations.grants import enable_row_level_security, publish_view

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

SALE_REVIEW = """
CREATE TABLE valuation.sale_review (
  county text NOT NULL,
  sale_id text NOT NULL,
  parcel_id text NOT NULL,
  neighborhood text,
  sale_date date NOT NULL,
  sale_price_usd numeric(14,2),
  expected_price_usd numeric(14,2),
  robust_z double precision,
  influence_percent double precision NOT NULL,
  strength double precision NOT NULL,
  findings jsonb NOT NULL,
  job_id uuid NOT NULL,
  found_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT sale_review_pkey PRIMARY KEY (county, sale_id)
);
COMMENT ON COLUMN valuation.sale_review.influence_percent IS 'how far the level of its place moves with the sale';
COMMENT ON COLUMN valuation.sale_review.findings IS 'reason, strength and figures, the strongest first';
CREATE INDEX sale_review_influence ON valuation.sale_review (county, influence_percent DESC, sale_id)
"""
SALE_DECISION = """
CREATE TABLE valuation.sale_decision (
  county text NOT NULL,
  id uuid NOT NULL,
  sale_id text NOT NULL,
  parcel_id text NOT NULL,
  decision text NOT NULL,
  reason text NOT NULL,
  sale_date date,
  sale_price_usd numeric(14,2),
  validity_code text,
  is_qualified boolean,
  findings jsonb NOT NULL,
  decided_by text NOT NULL,
  decided_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT sale_decision_pkey PRIMARY KEY (county, id),
  CONSTRAINT sale_decision_known CHECK (decision IN ('valid', 'invalid', 'needs_more'))
);
COMMENT ON COLUMN valuation.sale_decision.id IS 'the id of the job that entered it';
COMMENT ON COLUMN valuation.sale_decision.sale_price_usd IS 'as it was then: of another price nobody has decided';
COMMENT ON COLUMN valuation.sale_decision.findings IS 'as they stood then';
CREATE INDEX sale_decision_newest ON valuation.sale_decision (county, sale_id, decided_at DESC, id DESC)
"""
VIEWS = {
    "sale_review_v1": """
SELECT county, sale_id, parcel_id, neighborhood, sale_date, sale_price_usd, expected_price_usd, robust_z,
    influence_percent, strength, findings, job_id, found_at
FROM valuation.sale_review
""",
    "sale_finding_v1": """
SELECT review.county, review.sale_id, review.sale_price_usd, finding.value ->> 'reason' AS reason,
    (finding.value ->> 'strength')::double precision AS strength, finding.value -> 'figures' AS figures, review.found_at
FROM valuation.sale_review AS review CROSS JOIN LATERAL jsonb_array_elements(review.findings) AS finding (value)
""",
    "sale_decision_v1": """
SELECT DISTINCT ON (county, sale_id) county, sale_id, id, parcel_id, decision, reason, sale_date, sale_price_usd,
    validity_code, is_qualified, decided_by, decided_at
FROM valuation.sale_decision
ORDER BY county, sale_id, decided_at DESC, id DESC
""",
}


def upgrade() -> None:
    op.execute(SALE_REVIEW)
    op.execute(SALE_DECISION)
    for table in ("sale_review", "sale_decision"):
        enable_row_level_security("valuation", table)
    op.execute("REVOKE UPDATE, DELETE ON valuation.sale_decision FROM terrafusion_valuation")
    for view, query in VIEWS.items():
        publish_view("valuation", view, query)


def downgrade() -> None:
    for view in VIEWS:
        op.execute(f"DROP VIEW valuation.{view}")
    op.execute("DROP TABLE valuation.sale_decision")
    op.execute("DROP TABLE valuation.sale_review")
