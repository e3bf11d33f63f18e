"""Alembic's environment: every schema that a `tables.py` declares, and no other."""

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from alembic import context
from sqlalchemy import MetaData, create_engine, pool

ROOT = Path(__file__).resolve().parent.parent
MODULES = [
    "chassis.tables",
    *(f"services.{p.parent.name}.tables" for p in sorted(ROOT.glob("services/*/tables.py"))),
]
METADATA: list[MetaData] = [importlib.import_module(module).metadata for module in MODULES]
SCHEMAS = {metadata.schema for metadata in METADATA}
#: there only where PostGIS is, so that no `tables.py` declares them
SPATIAL = {("column", "ingest.parcel", "geometry"), ("index", "ingest.parcel", "parcel_geometry")}


def include_name(name: str | None, kind: str, parents: Mapping[Any, str | None]) -> bool:
    """Leave alone what is not ours: without this Alembic claims every schema of the database."""
    if kind == "schema":
        return name in SCHEMAS
    return (kind, parents.get("schema_qualified_table_name"), name) not in SPATIAL


def migrate() -> None:
    """Run the migrations in one transaction each."""
    url = context.config.get_main_option("sqlalchemy.url") or ""
    engine = create_engine(url, poolclass=pool.NullPool)
    with engine.connect() as connection:
        context.configure(
            connection=connection,
            target_metadata=METADATA,
            include_schemas=True,
            include_name=include_name,
            transaction_per_migration=True,
        )
        with context.begin_transaction():
            context.run_migrations()


migrate()
