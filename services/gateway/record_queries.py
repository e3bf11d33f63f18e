"""Reads the canonical record through the views that ingest and valuation publish."""

from typing import Any

import asyncpg

from contracts.api.parcels import ParcelsQuery, SalesQuery

Row = asyncpg.Record

_PARCEL = (
    "parcel_id, parcel_number, tax_year, supplement, is_active, property_type, use_code, neighborhood, zoning,"
    " situs_address, situs_city, situs_zip, legal_description, land_value_usd, improvement_value_usd,"
    " total_value_usd, market_value_usd, taxable_value_usd, prior_total_value_usd, cost_approach_value_usd,"
    " income_approach_value_usd, market_approach_value_usd, last_sale_date, last_sale_price_usd, year_built,"
    " effective_year_built, living_area_sqft, land_area_sqft, bedrooms, bathrooms, stories, building_class,"
    " condition, attributes, longitude, latitude, west, south, east, north, updated_at"
)


async def list_parcels(connection: Any, county: str, query: ParcelsQuery, *, after: str | None) -> list[Row]:
    """Parcels in the order of their ids."""
    west, south, east, north = query.box or (None, None, None, None)
    return await connection.fetch(  # type: ignore[no-any-return]
        f"SELECT {_PARCEL} FROM ingest.parcel_v1 WHERE county = $1"  # noqa: S608 our own column list
        " AND ($2::text IS NULL OR parcel_id > $2) AND ($3::text IS NULL OR neighborhood = $3)"
        " AND ($4::text IS NULL OR use_code = $4)"
        " AND ($5::text IS NULL OR parcel_id ILIKE $5 OR parcel_number ILIKE $5 OR situs_address ILIKE $5)"
        " AND ($6::float8 IS NULL OR (west <= $8 AND east >= $6 AND south <= $9 AND north >= $7))"
        " ORDER BY parcel_id LIMIT $10",
        county,
        after,
        query.neighborhood,
        query.use_code,
        _contains(query.q),
        west,
        south,
        east,
        north,
        query.limit + 1,
    )


async def read_parcel(connection: Any, county: str, parcel_id: str) -> Row | None:
    """One parcel."""
    return await connection.fetchrow(  # type: ignore[no-any-return]
        f"SELECT {_PARCEL} FROM ingest.parcel_v1 WHERE county = $1 AND parcel_id = $2",  # noqa: S608 as above
        county,
        parcel_id,
    )


async def read_owners(connection: Any, county: str, parcel_id: str) -> list[Row]:
    """Who owns a parcel in its newest year: personal data."""
    return await connection.fetch(  # type: ignore[no-any-return]
        "SELECT owner_id, name, mailing_address, ownership_percent FROM ingest.owner_v1"
        " WHERE county = $1 AND parcel_id = $2 AND tax_year = ("
        "  SELECT max(tax_year) FROM ingest.owner_v1 WHERE county = $1 AND parcel_id = $2) ORDER BY owner_id",
        county,
        parcel_id,
    )


async def read_latest_value(connection: Any, county: str, parcel_id: str) -> Row | None:
    """The value that the newest valuation gave a parcel."""
    return await connection.fetchrow(  # type: ignore[no-any-return]
        "SELECT run_id, tax_year, valuation_date, model, value_usd, land_value_usd, improvement_value_usd, low_usd,"
        " high_usd, confidence, created_at, CASE WHEN override_id IS NOT NULL THEN jsonb_build_object("
        "  'id', override_id, 'value_usd', override_value_usd, 'land_value_usd', override_land_value_usd,"
        "  'created_at', overridden_at) END AS override FROM valuation.latest_value_v1"
        " WHERE county = $1 AND parcel_id = $2 ORDER BY created_at DESC LIMIT 1",
        county,
        parcel_id,
    )


async def list_sales(connection: Any, county: str, query: SalesQuery, *, after: tuple[str, str] | None) -> list[Row]:
    """Sales in the order of their ids."""
    sale_id, parcel_id = after or (None, None)
    return await connection.fetch(  # type: ignore[no-any-return]
        "SELECT sale_id, parcel_id, sale_date, sale_price_usd, adjusted_price_usd, deed_type, validity_code,"
        " is_qualified, parcel_count, recorded_date, living_area_sqft, land_area_sqft, year_built, updated_at"
        " FROM ingest.sale_v1 WHERE county = $1 AND ($2::text IS NULL OR (sale_id, parcel_id) > ($2, $3::text))"
        " AND ($4::text IS NULL OR parcel_id = $4) AND ($5::date IS NULL OR sale_date >= $5)"
        " AND ($6::date IS NULL OR sale_date <= $6) AND ($7::bool IS NULL OR is_qualified = $7)"
        " ORDER BY sale_id, parcel_id LIMIT $8",
        county,
        sale_id,
        parcel_id,
        query.parcel_id,
        query.from_date,
        query.to_date,
        query.is_qualified,
        query.limit + 1,
    )


async def list_neighborhoods(connection: Any, county: str, *, after: str | None, limit: int) -> list[Row]:
    """Neighbourhoods in their newest year, by code."""
    return await connection.fetch(  # type: ignore[no-any-return]
        "SELECT DISTINCT ON (neighborhood) neighborhood, tax_year, name FROM ingest.neighborhood_v1"
        " WHERE county = $1 AND ($2::text IS NULL OR neighborhood > $2)"
        " ORDER BY neighborhood, tax_year DESC LIMIT $3",
        county,
        after,
        limit + 1,
    )


async def list_sync_operations(connection: Any, county: str, *, pair: str | None, limit: int) -> list[Row]:
    """The newest synchronisation runs."""
    return await connection.fetch(  # type: ignore[no-any-return]
        "SELECT * FROM ingest.sync_operation_v1 WHERE ($1 = '*' OR county = $1)"
        " AND ($2::text IS NULL OR pair = $2) ORDER BY started_at DESC, id DESC LIMIT $3",
        county,
        pair,
        limit,
    )


async def view_exists(connection: Any, view: str) -> bool:
    """Whether a view is there: a database of an earlier release may lack it."""
    return bool(await connection.fetchval("SELECT to_regclass($1) IS NOT NULL", view))


def _contains(text: str | None) -> str | None:
    """A LIKE pattern that finds the text itself, wildcards included."""
    if text is None:
        return None
    escaped = text.replace("\\", "\\\\").replace("%", r"\%").replace("_", r"\_")
    return f"%{escaped}%"
