"""Row-level security and grants, said once for every migration."""

from alembic import op

SERVICES = ("gateway", "ingest", "valuation", "market", "reporting", "gisexport", "relay")

#: A statement sees the rows of the county that its transaction declared; `*` is for the platform's own work
#: (relay, reconciler). A transaction that declares none sees nothing.
COUNTY_POLICY = (
    "county = current_setting('terrafusion.county', true) OR current_setting('terrafusion.county', true) = '*'"
)


def enable_row_level_security(schema: str, table: str) -> None:
    """Keep a table's rows to the county of the transaction, for its owner too."""
    name = f'"{schema}"."{table}"'
    op.execute(f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {name} FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY county_only ON {name} USING ({COUNTY_POLICY}) WITH CHECK ({COUNTY_POLICY})")


def own_schema(service: str) -> None:
    """Create a service's schema and let the service, and nobody else, write in it."""
    op.execute(f'CREATE SCHEMA IF NOT EXISTS "{service}"')
    op.execute(f'GRANT USAGE ON SCHEMA "{service}" TO terrafusion_{service}, terrafusion_reader')
    for what, rights in (("TABLES", "SELECT, INSERT, UPDATE, DELETE"), ("SEQUENCES", "USAGE")):
        op.execute(f'ALTER DEFAULT PRIVILEGES IN SCHEMA "{service}" GRANT {rights} ON {what} TO terrafusion_{service}')


def publish_view(schema: str, view: str, query: str) -> None:
    """Create a view that every service may read.

    It belongs to the service's role, so row-level security holds through it whoever ran the migration.
    """
    name, role = f'"{schema}"."{view}"', f"terrafusion_{schema}"
    op.execute(f"CREATE VIEW {name} AS {query}")
    op.execute(f'GRANT CREATE ON SCHEMA "{schema}" TO {role}')
    op.execute(f"ALTER VIEW {name} OWNER TO {role}")
    op.execute(f'REVOKE CREATE ON SCHEMA "{schema}" FROM {role}')
    op.execute(f"GRANT SELECT ON {name} TO terrafusion_reader")
