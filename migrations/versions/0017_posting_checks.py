"""What synchronisations brought back of a posting, counted after each.

Revision ID: 0017
Revises: 0016
"""

from alembic import op

from migrations.grants import enable_row_level_security, publish_view

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

TABLE = """
CREATE TABLE valuation.posting_check (
  county text NOT NULL,
  posting_id uuid NOT NULL,
  operation_id uuid NOT NULL,
  sequence bigint,
  checked_at timestamptz NOT NULL DEFAULT now(),
  matched integer NOT NULL,
  different integer NOT NULL,
  missing integer NOT NULL,
  found_usd numeric(18,2),
  CONSTRAINT posting_check_pkey PRIMARY KEY (county, posting_id, operation_id)
);
COMMENT ON COLUMN valuation.posting_check.operation_id IS 'the synchronisation that was laid beside the posting'
"""
POSTED_PARCEL_V1 = """
SELECT posted.county, posted.posting_id, posted.parcel_id, posted.value_usd AS posted_usd,
    posted.land_value_usd AS posted_land_usd, posted.improvement_value_usd AS posted_improvement_usd,
    found.value_usd AS found_usd,
    CASE WHEN posted.land_value_usd IS NOT NULL THEN found.land_value_usd END AS found_land_usd,
    CASE WHEN posted.land_value_usd IS NOT NULL THEN found.improvement_value_usd END AS found_improvement_usd,
    found.tax_year AS found_tax_year,
    CASE WHEN why.missing IS NOT NULL THEN 'missing' WHEN why.fields = '' THEN 'matched' ELSE 'different' END AS status,
    coalesce(why.missing, nullif(why.fields, '')) AS reason
FROM valuation.posted_value AS posted
JOIN valuation.posting AS posting ON posting.county = posted.county AND posting.id = posted.posting_id
LEFT JOIN LATERAL (
  SELECT parcel.parcel_id, parcel.is_active, parcel.tax_year, parcel.land_value_usd, parcel.improvement_value_usd,
    CASE posting.comes_back_as WHEN 'market_value_usd' THEN parcel.market_value_usd
      ELSE parcel.total_value_usd END AS value_usd
  FROM ingest.parcel_v1 AS parcel
  WHERE parcel.county = posted.county AND parcel.parcel_id = posted.parcel_id
) AS found ON true
CROSS JOIN LATERAL (
  SELECT
    CASE
      WHEN found.parcel_id IS NULL THEN 'not_in_record'
      WHEN NOT found.is_active THEN 'inactive'
      WHEN found.tax_year <> posting.tax_year THEN 'other_tax_year'
      WHEN found.value_usd IS NULL THEN 'value_missing'
    END AS missing,
    concat_ws(', ',
      CASE WHEN found.value_usd <> posted.value_usd THEN 'value_usd' END,
      CASE WHEN posted.land_value_usd <> coalesce(found.land_value_usd, -1) THEN 'land_value_usd' END,
      CASE WHEN posted.improvement_value_usd <> coalesce(found.improvement_value_usd, -1)
        THEN 'improvement_value_usd' END) AS fields
) AS why
"""
POSTING_CHECK_V1 = """
SELECT county, posting_id, operation_id, sequence, checked_at, matched, different, missing, found_usd
FROM valuation.posting_check
"""

POSTED_PARCEL_V1_BEFORE = """
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


def upgrade() -> None:
    op.execute(TABLE)
    enable_row_level_security("valuation", "posting_check")
    op.execute("REVOKE UPDATE, DELETE ON valuation.posting_check FROM terrafusion_valuation")
    op.execute("DROP VIEW valuation.posted_parcel_v1")
    publish_view("valuation", "posted_parcel_v1", POSTED_PARCEL_V1)
    publish_view("valuation", "posting_check_v1", POSTING_CHECK_V1)


def downgrade() -> None:
    op.execute("DROP VIEW valuation.posting_check_v1")
    op.execute("DROP VIEW valuation.posted_parcel_v1")
    op.execute("DROP TABLE valuation.posting_check")
    publish_view("valuation", "posted_parcel_v1", POSTED_PARCEL_V1_BEFORE)
