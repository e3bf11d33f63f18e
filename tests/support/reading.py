"""Stands in for the views that a room reads, so that its tests need no other room to fill them.

The columns are those that the publishing room states; `tests/integration/reporting/test_published_views.py`
holds the reading room's SQL against the real views.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import asyncpg

PARCEL_V1 = """
    county text, parcel_id text, parcel_number text, tax_year int, supplement int, is_active bool,
    property_type text, use_code text, neighborhood text, situs_address text, situs_city text,
    land_value_usd numeric(14,2), improvement_value_usd numeric(14,2), total_value_usd numeric(14,2),
    market_value_usd numeric(14,2), taxable_value_usd numeric(14,2), prior_total_value_usd numeric(14,2),
    year_built int, updated_at timestamptz DEFAULT '2026-01-02 03:04:00+00'
"""
SALE_V1 = """
    county text, sale_id text, parcel_id text, sale_date date, sale_price_usd numeric(14,2),
    adjusted_price_usd numeric(14,2), validity_code text, is_qualified bool, parcel_count int, year_built int,
    updated_at timestamptz DEFAULT '2026-01-01 00:00:00+00'
"""
VALUE_V1 = "county text, run_id uuid, parcel_id text, value_usd numeric(14,2)"
STAND_INS = {
    "ingest.parcel_v1": PARCEL_V1,
    "ingest.sale_v1": SALE_V1,
    "valuation.parcel_value_v1": VALUE_V1,
    "valuation.latest_value_v1": VALUE_V1,
}


async def stand_in(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Put tables of the same name in the views' place, readable as the views are."""
    for name, columns in STAND_INS.items():
        await connection.execute(f"DROP VIEW IF EXISTS {name} CASCADE")
        await connection.execute(f"CREATE TABLE {name} ({columns})")
        await connection.execute(f"GRANT SELECT ON {name} TO terrafusion_reader")


async def fill(connection: "asyncpg.Connection[asyncpg.Record]", name: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows that all have the same columns."""
    columns = list(rows[0])
    places = ", ".join(f"${number}" for number in range(1, len(columns) + 1))
    statement = f"INSERT INTO {name} ({', '.join(columns)}) VALUES ({places})"  # names of ours only
    await connection.executemany(statement, [[row[column] for column in columns] for row in rows])
