"""All SQL of the reporting service: it reads published views and writes its own register of reports."""

from typing import Any
from uuid import UUID

import polars as pl

from chassis.database import Connection
from contracts.api.reporting import AbstractOfValuesArguments, RatioStudyArguments
from contracts.county import SaleScrutiny
from services.reporting.domain.abstract_report import PARCEL_COLUMNS
from services.reporting.domain.chasing import CHANGE_COLUMNS
from services.reporting.domain.sales import SALE_COLUMNS


async def read_sales(
    connection: Connection, county: str, arguments: RatioStudyArguments, *, scrutiny: SaleScrutiny
) -> pl.DataFrame:
    """The sales of the window and scope beside their parcel's assessed value and what was decided of them; USD."""
    rows = await connection.fetch(
        """
        SELECT s.sale_id, s.parcel_id, coalesce(p.parcel_number, p.parcel_id) AS parcel_number, p.situs_address,
               p.use_code, p.neighborhood, coalesce(s.year_built, p.year_built) AS year_built, s.sale_date,
               s.sale_price_usd::float8, s.adjusted_price_usd::float8, s.is_qualified, s.validity_code,
               s.parcel_count, decided.decision, statistics.reason AS statistics_reason,
               p.total_value_usd::float8 AS estimate_usd
        FROM ingest.sale_v1 AS s
        LEFT JOIN ingest.parcel_v1 AS p ON p.county = s.county AND p.parcel_id = s.parcel_id
        LEFT JOIN valuation.sale_decision_v1 AS decided
            ON decided.county = s.county AND decided.sale_id = s.sale_id
            AND decided.sale_price_usd IS NOT DISTINCT FROM s.sale_price_usd
            AND decided.sale_date IS NOT DISTINCT FROM s.sale_date
        LEFT JOIN LATERAL (
            SELECT finding.reason FROM valuation.sale_finding_v1 AS finding
            WHERE finding.county = s.county AND finding.sale_id = s.sale_id
                AND finding.sale_price_usd IS NOT DISTINCT FROM s.sale_price_usd
                AND finding.reason = ANY($6) AND finding.strength >= $7
            ORDER BY finding.strength DESC, finding.reason LIMIT 1
        ) AS statistics ON true
        WHERE s.county = $1
          AND s.sale_date IS NOT NULL
          AND ($2::date IS NULL OR s.sale_date >= $2)
          AND ($3::date IS NULL OR s.sale_date <= $3)
          AND (cardinality($4::text[]) = 0 OR p.use_code = ANY($4))
          AND (cardinality($5::text[]) = 0 OR p.neighborhood = ANY($5))
        """,
        county,
        arguments.from_date,
        arguments.to_date,
        list(arguments.use_codes),
        list(arguments.neighborhoods),
        list(scrutiny.decisive_reasons),
        scrutiny.minimum_strength,
    )
    return pl.DataFrame([tuple(row) for row in rows], schema=SALE_COLUMNS, orient="row")


async def read_value_changes(connection: Connection, county: str, arguments: RatioStudyArguments) -> pl.DataFrame:
    """The assessed value of every parcel in scope over that of the year before."""
    rows = await connection.fetch(
        """
        SELECT parcel_id, neighborhood, (total_value_usd / prior_total_value_usd)::float8 AS change
        FROM ingest.parcel_v1
        WHERE county = $1 AND is_active IS NOT FALSE AND total_value_usd > 0 AND total_value_usd < 'NaN'
          AND prior_total_value_usd > 0 AND prior_total_value_usd < 'NaN'
          AND (cardinality($2::text[]) = 0 OR use_code = ANY($2))
          AND (cardinality($3::text[]) = 0 OR neighborhood = ANY($3))
        """,
        county,
        list(arguments.use_codes),
        list(arguments.neighborhoods),
    )
    return pl.DataFrame([tuple(row) for row in rows], schema=CHANGE_COLUMNS, orient="row")


async def read_latest_values(connection: Connection, county: str) -> dict[str, float]:
    """The newest valuation of each parcel, USD."""
    rows = await connection.fetch(
        "SELECT parcel_id, value_usd::float8 FROM valuation.latest_value_v1 WHERE county = $1", county
    )
    return {row["parcel_id"]: row["value_usd"] for row in rows}


async def read_run_values(connection: Connection, county: str, run_id: UUID) -> dict[str, float]:
    """The values of one valuation run, USD; empty where the county has no such run."""
    rows = await connection.fetch(
        "SELECT parcel_id, value_usd::float8 FROM valuation.parcel_value_v1 WHERE county = $1 AND run_id = $2",
        county,
        run_id,
    )
    return {row["parcel_id"]: row["value_usd"] for row in rows}


async def read_parcels(connection: Connection, county: str, arguments: AbstractOfValuesArguments) -> pl.DataFrame:
    """The parcels of the working roll in scope with their values, exact USD."""
    rows = await connection.fetch(
        """
        SELECT parcel_id, use_code, property_type, neighborhood, situs_city, tax_year, supplement,
               land_value_usd, improvement_value_usd, total_value_usd, market_value_usd, taxable_value_usd,
               prior_total_value_usd
        FROM ingest.parcel_v1
        WHERE county = $1
          AND ($2 OR is_active IS NOT FALSE)
          AND (cardinality($3::text[]) = 0 OR use_code = ANY($3))
          AND (cardinality($4::text[]) = 0 OR neighborhood = ANY($4))
        """,
        county,
        arguments.include_inactive,
        list(arguments.use_codes),
        list(arguments.neighborhoods),
    )
    return pl.DataFrame([tuple(row) for row in rows], schema=PARCEL_COLUMNS, orient="row")


async def read_watermark(connection: Connection, county: str) -> dict[str, Any]:
    """How much data the record holds and when it last changed."""
    row = await connection.fetchrow(
        """
        SELECT p.parcels, p.tax_year, s.sales, s.last_sale_date,
               greatest(p.changed_at, s.changed_at) AS changed_at
        FROM (SELECT count(*) AS parcels, max(tax_year) AS tax_year, max(updated_at) AS changed_at
              FROM ingest.parcel_v1 WHERE county = $1) AS p,
             (SELECT count(*) AS sales, max(sale_date) AS last_sale_date, max(updated_at) AS changed_at
              FROM ingest.sale_v1 WHERE county = $1) AS s
        """,
        county,
    )
    assert row is not None  # two aggregates always give one row
    return dict(row)


async def save_report_run(
    connection: Connection,
    county: str,
    job_id: UUID,
    *,
    report: str,
    report_format: str,
    arguments: dict[str, Any],
    definition_hash: str,
    watermark: dict[str, Any],
    summary: dict[str, Any],
) -> None:
    """Enter the report into the register; a job enters once."""
    await connection.execute(
        """
        INSERT INTO reporting.report_run
            (county, job_id, report, format, arguments, definition_hash, watermark, summary)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
        ON CONFLICT (county, job_id) DO NOTHING
        """,
        county,
        job_id,
        report,
        report_format,
        arguments,
        definition_hash,
        watermark,
        summary,
    )
