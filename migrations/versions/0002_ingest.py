"""The schema of the ingest service: what was read, the canonical record, quarantine, published views.

Revision ID: 0002
Revises: 0001
"""

from alembic import op

from migrations.grants import enable_row_level_security, own_schema, publish_view

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TABLES = (
    """
    CREATE TABLE ingest.sync_pair (
      county text, pair text, reader text NOT NULL, tables jsonb NOT NULL,
      sequence bigint NOT NULL DEFAULT 0, last_operation_id uuid, last_synchronized_at timestamptz,
      PRIMARY KEY (county, pair)
    );
    COMMENT ON COLUMN ingest.sync_pair.sequence IS 'counts the applied operations'
    """,
    """
    CREATE TABLE ingest.sync_operation (
      county text, id uuid, pair text NOT NULL, mode text NOT NULL, reader text NOT NULL, sequence bigint NOT NULL,
      rows_read bigint NOT NULL, rows_applied bigint NOT NULL, rows_unchanged bigint NOT NULL,
      rows_quarantined bigint NOT NULL, rows_filtered bigint NOT NULL, changes bigint NOT NULL,
      events bigint NOT NULL, details jsonb NOT NULL, finished_at timestamptz NOT NULL DEFAULT now(),
      PRIMARY KEY (county, id)
    );
    COMMENT ON COLUMN ingest.sync_operation.id IS 'the id of its job'
    """,
    """
    CREATE TABLE ingest.source_row (
      county text, pair text, source_table text, key text, digest text NOT NULL, image jsonb NOT NULL,
      PRIMARY KEY (county, pair, source_table, key)
    );
    COMMENT ON COLUMN ingest.source_row.digest IS 'of the normalised row, with what is masked in the image';
    COMMENT ON COLUMN ingest.source_row.image IS 'the row as read; names and addresses of people are masked'
    """,
    """
    CREATE TABLE ingest.quarantine (
      county text, pair text, source_table text, key text, rule text, field text NOT NULL, value text,
      operation_id uuid NOT NULL, first_seen_at timestamptz NOT NULL DEFAULT now(),
      last_seen_at timestamptz NOT NULL DEFAULT now(),
      PRIMARY KEY (county, pair, source_table, key, rule)
    );
    COMMENT ON COLUMN ingest.quarantine.value IS 'the offending value, masked where it is personal';
    COMMENT ON COLUMN ingest.quarantine.operation_id IS 'the operation that saw it last'
    """,
    """
    CREATE TABLE ingest.parcel (
      county text, parcel_id text, tax_year integer, supplement integer, pair text NOT NULL,
      is_current boolean NOT NULL, is_active boolean NOT NULL,
      parcel_number text, property_type text, use_code text, neighborhood text, zoning text,
      situs_address text, situs_city text, situs_zip text, legal_description text,
      land_value_usd numeric(14,2), improvement_value_usd numeric(14,2), total_value_usd numeric(14,2),
      market_value_usd numeric(14,2), taxable_value_usd numeric(14,2), prior_total_value_usd numeric(14,2),
      cost_approach_value_usd numeric(14,2), income_approach_value_usd numeric(14,2),
      market_approach_value_usd numeric(14,2),
      last_sale_date date, last_sale_price_usd numeric(14,2), year_built integer, effective_year_built integer,
      living_area_sqft double precision, land_area_sqft double precision, bedrooms double precision,
      bathrooms double precision, stories double precision, building_class text, condition text,
      attributes jsonb NOT NULL DEFAULT '{}', longitude double precision, latitude double precision,
      geometry_wkb bytea, srid integer, west double precision, south double precision, east double precision,
      north double precision, updated_at timestamptz NOT NULL DEFAULT now(),
      PRIMARY KEY (county, parcel_id, tax_year, supplement)
    );
    CREATE UNIQUE INDEX parcel_current ON ingest.parcel (county, parcel_id) WHERE is_current;
    COMMENT ON COLUMN ingest.parcel.is_current IS 'the working layer of the parcel'
    """,
    """
    CREATE TABLE ingest.owner (
      county text, parcel_id text, tax_year integer, owner_id text, pair text NOT NULL, name text,
      mailing_address text, ownership_percent double precision, updated_at timestamptz NOT NULL DEFAULT now(),
      PRIMARY KEY (county, parcel_id, tax_year, owner_id)
    )
    """,
    """
    CREATE TABLE ingest.sale (
      county text, sale_id text, parcel_id text, pair text NOT NULL, sale_date date, sale_price_usd numeric(14,2),
      adjusted_price_usd numeric(14,2), deed_type text, validity_code text, is_qualified boolean NOT NULL,
      parcel_count integer NOT NULL, recorded_date date, living_area_sqft double precision,
      land_area_sqft double precision, year_built integer, updated_at timestamptz NOT NULL DEFAULT now(),
      PRIMARY KEY (county, sale_id, parcel_id)
    );
    CREATE INDEX sale_parcel ON ingest.sale (county, parcel_id)
    """,
    """
    CREATE TABLE ingest.neighborhood (
      county text, neighborhood text, tax_year integer, pair text NOT NULL, name text,
      updated_at timestamptz NOT NULL DEFAULT now(),
      PRIMARY KEY (county, neighborhood, tax_year)
    )
    """,
)

#: where PostGIS is installed, QGIS, ArcGIS and tile servers read this column; it follows `geometry_wkb` by itself
SPATIAL = """
DO $$
DECLARE
  home text := (SELECT extnamespace::regnamespace FROM pg_extension WHERE extname = 'postgis');
BEGIN
  IF home IS NOT NULL THEN
    EXECUTE format('ALTER TABLE ingest.parcel ADD COLUMN geometry %1$s.geometry
      GENERATED ALWAYS AS (%1$s.ST_SetSRID(%1$s.ST_GeomFromWKB(geometry_wkb), srid)) STORED', home);
    CREATE INDEX parcel_geometry ON ingest.parcel USING gist (geometry);
  END IF;
END $$
"""

VIEWS = {
    "parcel_v1": """
      SELECT county, parcel_id, parcel_number, tax_year, supplement, is_active, property_type, use_code, neighborhood,
        zoning, situs_address, situs_city, situs_zip, legal_description, land_value_usd, improvement_value_usd,
        total_value_usd, market_value_usd, taxable_value_usd, prior_total_value_usd, cost_approach_value_usd,
        income_approach_value_usd, market_approach_value_usd, last_sale_date, last_sale_price_usd, year_built,
        effective_year_built, living_area_sqft, land_area_sqft, bedrooms, bathrooms, stories, building_class, condition,
        attributes, longitude, latitude, geometry_wkb, srid, west, south, east, north, updated_at
      FROM ingest.parcel WHERE is_current""",
    "owner_v1": """
      SELECT county, parcel_id, tax_year, owner_id, name, mailing_address, ownership_percent FROM ingest.owner""",
    "sale_v1": """
      SELECT county, sale_id, parcel_id, sale_date, sale_price_usd, adjusted_price_usd, deed_type, validity_code,
        is_qualified, parcel_count, recorded_date, living_area_sqft, land_area_sqft, year_built, updated_at
      FROM ingest.sale""",
    "neighborhood_v1": "SELECT county, neighborhood, tax_year, name FROM ingest.neighborhood",
    "quarantine_v1": """
      SELECT county, pair, source_table, key, rule, field, value, operation_id, first_seen_at, last_seen_at
      FROM ingest.quarantine""",
    "sync_pair_v1": """
      SELECT county, pair, reader, tables, last_operation_id, last_synchronized_at FROM ingest.sync_pair""",
    # an operation is a job; one that waits, runs or failed has no row of its own, because it applied nothing
    "sync_operation_v1": """
      SELECT j.county, j.id, coalesce(o.pair, j.parameters ->> 'pair') AS pair,
        coalesce(o.mode, j.parameters ->> 'mode', 'incremental') AS mode, coalesce(o.reader, '') AS reader, j.status,
        coalesce(o.rows_read, 0) AS rows_read, coalesce(o.rows_applied, 0) AS rows_applied,
        coalesce(o.rows_unchanged, 0) AS rows_unchanged, coalesce(o.rows_quarantined, 0) AS rows_quarantined,
        coalesce(o.rows_filtered, 0) AS rows_filtered, coalesce(o.changes, 0) AS changes,
        coalesce(o.events, 0) AS events, coalesce(j.started_at, j.created_at) AS started_at, j.finished_at,
        coalesce(o.details, j.error, '{}') AS details
      FROM chassis.job j LEFT JOIN ingest.sync_operation o USING (county, id) WHERE j.kind = 'sync'""",
}


def upgrade() -> None:
    own_schema("ingest")
    for statement in TABLES:
        op.execute(statement)
    for table in ("sync_pair", "sync_operation", "source_row", "quarantine", "parcel", "owner", "sale", "neighborhood"):
        enable_row_level_security("ingest", table)
    op.execute(SPATIAL)
    for view, query in VIEWS.items():
        publish_view("ingest", view, query)


def downgrade() -> None:
    op.execute('DROP SCHEMA "ingest" CASCADE')
