"""All SQL of the market service: it reads ingest's published views and writes its own studies."""

from datetime import date
from typing import Any
from uuid import UUID

import polars as pl

from chassis.database import Connection
from contracts.api.market import MarketStudy
from contracts.county import SaleScrutiny
from services.market.domain.study import PARCEL_SCHEMA

_SCHEMA = {
    "sale_id": pl.String,
    "parcel_id": pl.String,
    "sale_date": pl.Date,
    "sale_price_usd": pl.Float64,
    "is_qualified": pl.Boolean,
    "parcel_count": pl.Int64,
    "decision": pl.String,
    "statistics_reason": pl.String,
    "use_code": pl.String,
    "neighborhood": pl.String,
    "building_class": pl.String,
    "condition": pl.String,
    "living_area_sqft": pl.Float64,
    "land_area_sqft": pl.Float64,
    "year_built": pl.Float64,
    "bedrooms": pl.Float64,
    "bathrooms": pl.Float64,
    "stories": pl.Float64,
    "assessed_value_usd": pl.Float64,
    "longitude": pl.Float64,
    "latitude": pl.Float64,
}


async def read_newest_sale(connection: Connection, county: str, *, until: date) -> date | None:
    """The date of the newest qualified sale that is not after `until`."""
    newest: date | None = await connection.fetchval(
        "SELECT max(sale_date) FROM ingest.sale_v1 WHERE county = $1 AND is_qualified AND sale_date <= $2",
        county,
        until,
    )
    return newest


async def read_sales(
    connection: Connection, county: str, *, scrutiny: SaleScrutiny, from_date: date, to_date: date
) -> pl.DataFrame:
    """Sales of the period with the characteristics of what was sold; sales of unknown parcels are left out."""
    rows = await connection.fetch(
        """
        SELECT sale.sale_id, sale.parcel_id, sale.sale_date, sale.sale_price_usd::float8, sale.is_qualified,
            sale.parcel_count::int8, decided.decision, statistics.reason AS statistics_reason,
            parcel.use_code, parcel.neighborhood, parcel.building_class, parcel.condition,
            coalesce(sale.living_area_sqft, parcel.living_area_sqft)::float8,
            coalesce(sale.land_area_sqft, parcel.land_area_sqft)::float8,
            coalesce(sale.year_built, parcel.year_built)::float8, parcel.bedrooms::float8,
            parcel.bathrooms::float8, parcel.stories::float8, parcel.total_value_usd::float8,
            parcel.longitude::float8, parcel.latitude::float8
        FROM ingest.sale_v1 AS sale
        JOIN ingest.parcel_v1 AS parcel ON parcel.county = sale.county AND parcel.parcel_id = sale.parcel_id
        LEFT JOIN valuation.sale_decision_v1 AS decided
            ON decided.county = sale.county AND decided.sale_id = sale.sale_id
            AND decided.sale_price_usd IS NOT DISTINCT FROM sale.sale_price_usd
            AND decided.sale_date IS NOT DISTINCT FROM sale.sale_date
        LEFT JOIN LATERAL (
            SELECT finding.reason FROM valuation.sale_finding_v1 AS finding
            WHERE finding.county = sale.county AND finding.sale_id = sale.sale_id
                AND finding.sale_price_usd IS NOT DISTINCT FROM sale.sale_price_usd
                AND finding.reason = ANY($4) AND finding.strength >= $5
            ORDER BY finding.strength DESC, finding.reason LIMIT 1
        ) AS statistics ON true
        WHERE sale.county = $1 AND sale.sale_date BETWEEN $2 AND $3
        ORDER BY sale.sale_date, sale.sale_id
        """,
        county,
        from_date,
        to_date,
        list(scrutiny.decisive_reasons),
        scrutiny.minimum_strength,
    )
    return pl.DataFrame([tuple(row) for row in rows], schema=_SCHEMA, orient="row")


async def count_parcels(connection: Connection, county: str) -> pl.DataFrame:
    """Active parcels by use code and neighbourhood, how many of them have a place, and the middle of those."""
    rows = await connection.fetch(
        """
        SELECT use_code, neighborhood, count(*), count(*) FILTER (WHERE longitude IS NOT NULL AND latitude IS NOT NULL),
            avg(longitude) FILTER (WHERE latitude IS NOT NULL)::float8,
            avg(latitude) FILTER (WHERE longitude IS NOT NULL)::float8
        FROM ingest.parcel_v1
        WHERE county = $1 AND is_active IS NOT FALSE
        GROUP BY use_code, neighborhood
        ORDER BY use_code, neighborhood
        """,
        county,
    )
    return pl.DataFrame([tuple(row) for row in rows], schema=PARCEL_SCHEMA, orient="row")


async def save_study(
    connection: Connection, county: str, study_id: UUID, *, study: MarketStudy, parameters: dict[str, Any]
) -> None:
    """Enter a study and its index by segment and month."""
    await connection.execute(
        """
        INSERT INTO market.study (county, study_id, from_date, to_date, parameters, document)
        VALUES ($1, $2, $3, $4, $5, $6)
        """,
        county,
        study_id,
        study.from_date,
        study.to_date,
        parameters,
        study.model_dump(mode="json"),
    )
    await connection.executemany(
        """
        INSERT INTO market.index (county, study_id, segment, month, sales, index, index_low, index_high, reason,
            median_price_usd, median_price_per_sqft_usd)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
        """,
        [
            (
                county,
                study_id,
                segment.segment,
                point.month,
                point.sales,
                point.index,
                *(point.interval or (None, None)),
                point.reason,
                point.median_price_usd,
                point.median_price_per_sqft_usd,
            )
            for segment in study.segments
            for point in segment.months
        ],
    )
