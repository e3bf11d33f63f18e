"""The official layer beside the working one; ranges in before-images; landed rows found by table and link.

Revision ID: 0012
Revises: 0011
"""

from alembic import op

from migrations.grants import publish_view

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

#: until a source names official layers, the working one is it
CHANGES = """
ALTER TABLE ingest.parcel ADD COLUMN is_official boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN ingest.parcel.is_official IS 'the official layer of the parcel in that year';
UPDATE ingest.parcel SET is_official = is_current;
CREATE UNIQUE INDEX parcel_official ON ingest.parcel (county, parcel_id, tax_year) WHERE is_official;
ALTER TABLE ingest.row_before ADD COLUMN range_number integer;
"""

LINKS = ("parcel", "sale", "owner", "lot")
VIEW = """
  SELECT county, parcel_id, parcel_number, tax_year, supplement, is_current, is_active, property_type, use_code,
    neighborhood, zoning, situs_address, situs_city, situs_zip, legal_description, land_value_usd,
    improvement_value_usd, total_value_usd, market_value_usd, taxable_value_usd, prior_total_value_usd,
    cost_approach_value_usd, income_approach_value_usd, market_approach_value_usd, last_sale_date, last_sale_price_usd,
    year_built, effective_year_built, living_area_sqft, land_area_sqft, bedrooms, bathrooms, stories, building_class,
    condition, attributes, longitude, latitude, geometry_wkb, srid, west, south, east, north, updated_at
  FROM ingest.parcel WHERE is_official
"""


def upgrade() -> None:
    op.execute("SET LOCAL terrafusion.county = '*'")
    op.execute(CHANGES)
    for link in LINKS:
        _index(link, f"county, pair, source_table, {link}_id")
    publish_view("ingest", "parcel_official_v1", VIEW)


def downgrade() -> None:
    op.execute("DROP VIEW ingest.parcel_official_v1")
    for link in LINKS:
        _index(link, f"county, pair, {link}_id")
    op.execute("ALTER TABLE ingest.row_before DROP COLUMN range_number")
    op.execute("ALTER TABLE ingest.parcel DROP COLUMN is_official")


def _index(link: str, columns: str) -> None:
    op.execute(f"DROP INDEX ingest.source_row_{link}")
    op.execute(f"CREATE INDEX source_row_{link} ON ingest.source_row ({columns}) WHERE {link}_id IS NOT NULL")
