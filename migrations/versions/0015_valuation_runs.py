"""Runs with their stamps, frozen; promotions by two persons, overrides, postings and what came back of them.

Revision ID: 0015
Revises: 0014
"""

from alembic import op

from migrations.grants import enable_row_level_security, publish_view

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

GROWN = """
ALTER TABLE valuation.model_run
  ADD COLUMN requested_by text,
  ADD COLUMN is_what_if boolean NOT NULL DEFAULT false,
  ADD COLUMN parcels_flagged integer,
  ADD COLUMN total_value_usd numeric(18,2),
  ADD COLUMN prior_basis text,
  ADD COLUMN code_version text,
  ADD COLUMN snapshot jsonb NOT NULL DEFAULT '[]'::jsonb,
  ADD COLUMN values_sha256 text;
COMMENT ON COLUMN valuation.model_run.is_what_if IS 'made with factors: nobody''s latest value until it is promoted';
COMMENT ON COLUMN valuation.model_run.prior_basis IS 'prior_year or roll: what the values were laid beside';
COMMENT ON COLUMN valuation.model_run.snapshot IS 'how far each pair had been read into the record';
COMMENT ON COLUMN valuation.model_run.values_sha256 IS 'digest of the values as they are stored, in their order';
ALTER TABLE valuation.parcel_value
  ADD COLUMN neighborhood text,
  ADD COLUMN use_code text,
  ADD COLUMN prior_value_usd numeric(14,2),
  ADD COLUMN model_value_usd numeric(14,2),
  ADD COLUMN uncapped_value_usd numeric(14,2),
  ADD COLUMN flags text[] NOT NULL DEFAULT '{}'::text[];
COMMENT ON COLUMN valuation.parcel_value.model_value_usd IS 'as the model said, before factors and caps';
COMMENT ON COLUMN valuation.parcel_value.uncapped_value_usd IS 'after factors, before caps';
CREATE INDEX parcel_value_flagged ON valuation.parcel_value (county, run_id, parcel_id) WHERE flags <> '{}'::text[]
"""
TABLES = """
CREATE TABLE valuation.value_override (
  county text NOT NULL,
  id uuid NOT NULL,
  parcel_id text NOT NULL,
  tax_year integer NOT NULL,
  value_usd numeric(14,2) NOT NULL,
  land_value_usd numeric(14,2),
  reason text NOT NULL,
  run_id uuid,
  model_value_usd numeric(14,2),
  created_by text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  withdrawn_by text,
  withdrawn_at timestamptz,
  withdrawal_reason text,
  CONSTRAINT value_override_pkey PRIMARY KEY (county, id)
);
COMMENT ON COLUMN valuation.value_override.id IS 'the id of the job that entered it';
COMMENT ON COLUMN valuation.value_override.run_id IS 'the newest value of the parcel when it was entered';
CREATE UNIQUE INDEX value_override_active ON valuation.value_override (county, parcel_id, tax_year)
  WHERE withdrawn_at IS NULL;
CREATE INDEX value_override_newest ON valuation.value_override (county, created_at DESC, id DESC);

CREATE TABLE valuation.promotion (
  county text NOT NULL,
  id uuid NOT NULL,
  run_id uuid NOT NULL,
  status text NOT NULL DEFAULT 'requested',
  overrides integer NOT NULL,
  requested_by text NOT NULL,
  requested_at timestamptz NOT NULL DEFAULT now(),
  request_reason text,
  decided_by text,
  decided_at timestamptz,
  decision_reason text,
  CONSTRAINT promotion_pkey PRIMARY KEY (county, id),
  CONSTRAINT promotion_status CHECK (status IN ('requested', 'approved', 'rejected')),
  CONSTRAINT promotion_four_eyes CHECK (status <> 'approved' OR lower(decided_by) <> lower(requested_by))
);
COMMENT ON COLUMN valuation.promotion.id IS 'the id of the job that asked for it';
CREATE UNIQUE INDEX promotion_requested ON valuation.promotion (county, run_id) WHERE status = 'requested';
CREATE INDEX promotion_run ON valuation.promotion (county, run_id, requested_at DESC);

CREATE TABLE valuation.promoted_override (
  county text NOT NULL,
  promotion_id uuid NOT NULL,
  override_id uuid NOT NULL,
  CONSTRAINT promoted_override_pkey PRIMARY KEY (county, promotion_id, override_id)
);

CREATE TABLE valuation.posting (
  county text NOT NULL,
  id uuid NOT NULL,
  run_id uuid NOT NULL,
  promotion_id uuid NOT NULL,
  pair text NOT NULL,
  sequence bigint,
  tax_year integer NOT NULL,
  layout jsonb NOT NULL,
  comes_back_as text NOT NULL,
  file_name text NOT NULL,
  sha256 text NOT NULL,
  bytes bigint NOT NULL,
  parcels integer NOT NULL,
  left_out jsonb NOT NULL,
  total_value_usd numeric(18,2) NOT NULL,
  land_value_usd numeric(18,2),
  improvement_value_usd numeric(18,2),
  posted_by text NOT NULL,
  posted_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT posting_pkey PRIMARY KEY (county, id)
);
COMMENT ON COLUMN valuation.posting.id IS 'the id of the job whose artifact the file is';
COMMENT ON COLUMN valuation.posting.sequence IS 'how far the pair had been read when it was posted';
COMMENT ON COLUMN valuation.posting.left_out IS 'reasons by parcel';
CREATE UNIQUE INDEX posting_promotion ON valuation.posting (county, promotion_id);
CREATE INDEX posting_run ON valuation.posting (county, run_id);

CREATE TABLE valuation.posted_value (
  county text NOT NULL,
  posting_id uuid NOT NULL,
  parcel_id text NOT NULL,
  value_usd numeric(14,2) NOT NULL,
  land_value_usd numeric(14,2),
  improvement_value_usd numeric(14,2),
  override_id uuid,
  CONSTRAINT posted_value_pkey PRIMARY KEY (county, posting_id, parcel_id)
);
COMMENT ON COLUMN valuation.posted_value.land_value_usd IS 'null: the layout has no parts';

CREATE TABLE valuation.decision (
  county text NOT NULL,
  job_id uuid NOT NULL,
  action text NOT NULL,
  run_id uuid,
  parcel_id text,
  decided_by text NOT NULL,
  decided_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT decision_pkey PRIMARY KEY (county, job_id)
);
CREATE INDEX decision_run ON valuation.decision (county, run_id, decided_at)
"""
SECURED = ("value_override", "promotion", "promoted_override", "posting", "posted_value", "decision")
FROZEN = ("model_run", "parcel_value", "refused_parcel", "promoted_override", "posting", "posted_value", "decision")
CHANGEABLE = {
    "value_override": "withdrawn_by, withdrawn_at, withdrawal_reason",
    "promotion": "status, decided_by, decided_at, decision_reason",
}

PARCEL_VALUE_V1 = """
SELECT value.county, value.run_id, value.parcel_id, run.tax_year, run.valuation_date, run.model, value.value_usd,
    value.land_value_usd, value.improvement_value_usd, value.low_usd, value.high_usd, value.confidence,
    value.created_at, value.kind, value.neighborhood, value.use_code, value.model_value_usd, value.uncapped_value_usd,
    value.prior_value_usd, value.flags, run.is_what_if
FROM valuation.parcel_value AS value
JOIN valuation.model_run AS run ON run.county = value.county AND run.run_id = value.run_id
"""
LATEST_VALUE_V1 = """
SELECT latest.*, override.id AS override_id, override.value_usd AS override_value_usd,
    override.land_value_usd AS override_land_value_usd, override.created_by AS overridden_by,
    override.created_at AS overridden_at, override.reason AS override_reason
FROM (
  SELECT DISTINCT ON (value.county, value.parcel_id) value.*
  FROM valuation.parcel_value_v1 AS value
  WHERE NOT value.is_what_if OR EXISTS (
    SELECT FROM valuation.promotion AS promotion WHERE promotion.county = value.county
      AND promotion.run_id = value.run_id AND promotion.status = 'approved')
  ORDER BY value.county, value.parcel_id, value.created_at DESC, value.run_id DESC
) AS latest
LEFT JOIN valuation.value_override AS override ON override.county = latest.county
  AND override.parcel_id = latest.parcel_id AND override.tax_year = latest.tax_year AND override.withdrawn_at IS NULL
"""
RUN_V1 = """
SELECT run.county, run.run_id, run.tax_year, run.valuation_date, run.model, run.is_what_if, run.parcels_valued,
    run.parcels_refused, run.parcels_flagged, run.total_value_usd, run.requested_by, run.created_at, run.code_version,
    run.snapshot, run.values_sha256, run.prior_basis, run.parameters, run.model_card,
    (SELECT promotion.status FROM valuation.promotion AS promotion
      WHERE promotion.county = run.county AND promotion.run_id = run.run_id
      ORDER BY promotion.requested_at DESC, promotion.id DESC LIMIT 1) AS promotion_status,
    (SELECT max(posting.posted_at) FROM valuation.posting AS posting
      WHERE posting.county = run.county AND posting.run_id = run.run_id) AS posted_at
FROM valuation.model_run AS run
"""
POSTED_PARCEL_V1 = """
SELECT posted.county, posted.posting_id, posted.parcel_id, posted.value_usd AS posted_usd,
    posted.land_value_usd AS posted_land_usd, posted.improvement_value_usd AS posted_improvement_usd,
    found.value_usd AS found_usd,
    CASE WHEN posted.land_value_usd IS NOT NULL THEN found.land_value_usd END AS found_land_usd,
    CASE WHEN posted.land_value_usd IS NOT NULL THEN found.improvement_value_usd END AS found_improvement_usd,
    found.tax_year AS found_tax_year,
    CASE
      WHEN found.parcel_id IS NULL THEN 'not_in_record'
      WHEN NOT found.is_active THEN 'inactive'
      WHEN found.tax_year <> posting.tax_year THEN 'other_tax_year'
      WHEN found.value_usd IS NULL THEN 'value_missing'
    END AS missing_reason,
    found.value_usd = posted.value_usd AS value_matches,
    posted.land_value_usd IS NULL OR coalesce(found.land_value_usd = posted.land_value_usd, false) AS land_matches,
    posted.improvement_value_usd IS NULL
      OR coalesce(found.improvement_value_usd = posted.improvement_value_usd, false) AS improvement_matches
FROM valuation.posted_value AS posted
JOIN valuation.posting AS posting ON posting.county = posted.county AND posting.id = posted.posting_id
LEFT JOIN LATERAL (
  SELECT parcel.parcel_id, parcel.is_active, parcel.tax_year, parcel.land_value_usd, parcel.improvement_value_usd,
    CASE posting.comes_back_as WHEN 'market_value_usd' THEN parcel.market_value_usd
      ELSE parcel.total_value_usd END AS value_usd
  FROM ingest.parcel_v1 AS parcel
  WHERE parcel.county = posted.county AND parcel.parcel_id = posted.parcel_id
) AS found ON true
"""
VIEWS = {
    "parcel_value_v1": PARCEL_VALUE_V1,
    "latest_value_v1": LATEST_VALUE_V1,
    "run_v1": RUN_V1,
    "refused_parcel_v1": "SELECT county, run_id, parcel_id, reason FROM valuation.refused_parcel",
    "value_override_v1": """
      SELECT county, id, parcel_id, tax_year, value_usd, land_value_usd, reason, run_id, model_value_usd, created_by,
        created_at, withdrawn_by, withdrawn_at, withdrawal_reason FROM valuation.value_override""",
    "promotion_v1": """
      SELECT county, id, run_id, status, overrides, requested_by, requested_at, request_reason, decided_by, decided_at,
        decision_reason FROM valuation.promotion""",
    "posting_v1": """
      SELECT county, id, run_id, promotion_id, pair, sequence, tax_year, comes_back_as, file_name, sha256, bytes,
        parcels, left_out, total_value_usd, land_value_usd, improvement_value_usd, posted_by, posted_at
      FROM valuation.posting""",
    "posted_parcel_v1": POSTED_PARCEL_V1,
    "decision_v1": "SELECT county, job_id, action, run_id, parcel_id, decided_by, decided_at FROM valuation.decision",
}
PARCEL_VALUE_V1_BEFORE = """
SELECT value.county, value.run_id, value.parcel_id, run.tax_year, run.valuation_date, run.model, value.value_usd,
    value.land_value_usd, value.improvement_value_usd, value.low_usd, value.high_usd, value.confidence,
    value.created_at
FROM valuation.parcel_value AS value
JOIN valuation.model_run AS run ON run.county = value.county AND run.run_id = value.run_id
"""
LATEST_VALUE_V1_BEFORE = """
SELECT DISTINCT ON (county, parcel_id) *
FROM valuation.parcel_value_v1
ORDER BY county, parcel_id, created_at DESC, run_id DESC
"""


def upgrade() -> None:
    op.execute("DROP VIEW valuation.latest_value_v1")
    op.execute("DROP VIEW valuation.parcel_value_v1")
    op.execute(GROWN)
    op.execute(TABLES)
    for table in SECURED:
        enable_row_level_security("valuation", table)
    for table in (*FROZEN, *CHANGEABLE):
        op.execute(f"REVOKE UPDATE, DELETE ON valuation.{table} FROM terrafusion_valuation")
    for table, columns in CHANGEABLE.items():
        op.execute(f"GRANT UPDATE ({columns}) ON valuation.{table} TO terrafusion_valuation")
    for view, query in VIEWS.items():
        publish_view("valuation", view, query)


def downgrade() -> None:
    for view in reversed(VIEWS):
        op.execute(f"DROP VIEW valuation.{view}")
    for table in reversed(SECURED):
        op.execute(f"DROP TABLE valuation.{table}")
    op.execute("DROP INDEX valuation.parcel_value_flagged")
    for column in ("flags", "uncapped_value_usd", "model_value_usd", "prior_value_usd", "use_code", "neighborhood"):
        op.execute(f"ALTER TABLE valuation.parcel_value DROP COLUMN {column}")
    for column in ("values_sha256", "snapshot", "code_version", "prior_basis", "total_value_usd", "parcels_flagged",
                   "is_what_if", "requested_by"):  # fmt: skip
        op.execute(f"ALTER TABLE valuation.model_run DROP COLUMN {column}")
    for table in ("model_run", "parcel_value", "refused_parcel"):
        op.execute(f"GRANT UPDATE, DELETE ON valuation.{table} TO terrafusion_valuation")
    publish_view("valuation", "parcel_value_v1", PARCEL_VALUE_V1_BEFORE)
    publish_view("valuation", "latest_value_v1", LATEST_VALUE_V1_BEFORE)
