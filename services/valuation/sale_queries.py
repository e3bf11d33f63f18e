"""SQL about sales that a person should look at, and what persons said of them."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

import asyncpg
import polars as pl

from appraisal.sale_scrutiny import SCRUTINY_SCHEMA, OddSale
from chassis.database import Connection

_SCHEMA = {
    **{name: kind for name, kind in SCRUTINY_SCHEMA.items() if name != "kind"},
    "use_code": pl.String,
    "improvement_value_usd": pl.Float64,
}
_FROM_SALE = ("sale_id", "parcel_id", "sale_date", "is_qualified", "deed_type", "validity_code")
_AS_SOLD = ("living_area_sqft", "land_area_sqft", "year_built")


async def read_scrutinized(connection: Connection, county: str, *, from_date: date) -> pl.DataFrame:
    """Sales since a date as they are scrutinised, without their kind; sales of unknown parcels are left out."""
    rows = await connection.fetch(
        f"SELECT {', '.join(map(_column, _SCHEMA))} FROM ingest.sale_v1 AS sale"  # noqa: S608 constants
        " JOIN ingest.parcel_v1 AS parcel ON parcel.county = sale.county AND parcel.parcel_id = sale.parcel_id"
        " WHERE sale.county = $1 AND sale.sale_date >= $2",
        county,
        from_date,
    )
    return pl.DataFrame([tuple(row) for row in rows], schema=_SCHEMA, orient="row")


def _column(name: str) -> str:
    if name in _AS_SOLD:
        return f"coalesce(sale.{name}, parcel.{name})::float8 AS {name}"
    if name == "sale_price_usd":
        return "sale.sale_price_usd::float8"
    if name == "parcel_count":  # a sale without a count has a row for each parcel
        return "greatest(sale.parcel_count, count(*) OVER (PARTITION BY sale.sale_id))::int8 AS parcel_count"
    return f"sale.{name}" if name in _FROM_SALE else f"parcel.{name}{'::float8' if name.endswith('_usd') else ''}"


async def replace_reviews(
    connection: Connection, county: str, job_id: UUID, *, odd: Sequence[OddSale], sales: pl.DataFrame
) -> None:
    """Let these be all of the county's sales with findings."""
    about = {row["sale_id"]: row for row in sales.iter_rows(named=True)}
    await connection.execute("DELETE FROM valuation.sale_review WHERE county = $1", county)
    await connection.executemany(
        "INSERT INTO valuation.sale_review (county, sale_id, parcel_id, neighborhood, sale_date, sale_price_usd,"
        " expected_price_usd, robust_z, influence_percent, strength, findings, job_id)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        [_review(county, job_id, sale, about[sale.sale_id]) for sale in odd],
    )


def _review(county: str, job_id: UUID, sale: OddSale, about: dict[str, Any]) -> tuple[Any, ...]:
    return (
        county,
        sale.sale_id,
        sale.parcel_id,
        about["neighborhood"],
        about["sale_date"],
        _money(about["sale_price_usd"]),
        _money(sale.expected_price_usd),
        sale.robust_z,
        sale.influence_percent,
        sale.strength,
        [finding.to_json() for finding in sale.findings],
        job_id,
    )


def _money(value: float | None) -> Decimal | None:
    return None if value is None else Decimal(f"{value:.2f}")


async def read_sale(connection: Connection, county: str, sale_id: str) -> asyncpg.Record | None:
    """A sale of the record with what was found about it; null where there is none."""
    return await connection.fetchrow(
        "SELECT sale.parcel_id, sale.sale_date, sale.sale_price_usd, sale.validity_code, sale.is_qualified,"
        " coalesce(review.findings, '[]'::jsonb) AS findings"
        " FROM ingest.sale_v1 AS sale LEFT JOIN valuation.sale_review AS review"
        "  ON review.county = sale.county AND review.sale_id = sale.sale_id"
        " WHERE sale.county = $1 AND sale.sale_id = $2 ORDER BY sale.parcel_id LIMIT 1",
        county,
        sale_id,
    )


async def insert_decision(
    connection: Connection,
    county: str,
    decision_id: UUID,
    *,
    sale_id: str,
    sale: asyncpg.Record,
    decision: str,
    reason: str,
    by: str,
) -> None:
    """Enter what a person said of a sale, beside the price, the code and the findings that it had; for good."""
    await connection.execute(
        "INSERT INTO valuation.sale_decision (county, id, sale_id, parcel_id, decision, reason, sale_date,"
        " sale_price_usd, validity_code, is_qualified, findings, decided_by)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        county,
        decision_id,
        sale_id,
        sale["parcel_id"],
        decision,
        reason,
        sale["sale_date"],
        sale["sale_price_usd"],
        sale["validity_code"],
        sale["is_qualified"],
        sale["findings"],
        by,
    )
