"""SQL about runs: what stands in the record beside them, and the runs themselves."""

from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import UUID

import asyncpg
import polars as pl

from chassis.database import Connection
from contracts.api.valuation import ValuationScope
from services.valuation.domain.comparing import SCHEMA

Row = asyncpg.Record


async def read_standing(connection: Connection, county: str, scope: ValuationScope) -> list[Row]:
    """Where the scope's active parcels are, their use, and what they are valued at."""
    return await connection.fetch(
        """
        SELECT parcel_id, neighborhood, use_code, tax_year, total_value_usd::float8, prior_total_value_usd::float8
        FROM ingest.parcel_v1
        WHERE county = $1 AND is_active AND ($2::text[] IS NULL OR parcel_id = ANY($2))
            AND ($3::text[] IS NULL OR neighborhood = ANY($3))
            AND ($4::text[] IS NULL OR EXISTS (
                SELECT FROM unnest($4::text[]) AS beginning WHERE starts_with(use_code, beginning)))
        """,
        county,
        scope.parcel_ids,
        scope.neighborhoods,
        scope.use_codes,
    )


async def read_snapshot(connection: Connection, county: str) -> list[dict[str, Any]]:
    """How far each of the county's pairs has been read into the record."""
    rows = await connection.fetch(
        """
        SELECT pair.pair, operation.sequence, pair.last_operation_id AS operation_id,
            pair.last_synchronized_at AS synchronized_at
        FROM ingest.sync_pair_v1 AS pair
        LEFT JOIN ingest.sync_operation_v1 AS operation
            ON operation.county = pair.county AND operation.id = pair.last_operation_id
        WHERE pair.county = $1 ORDER BY pair.pair
        """,
        county,
    )
    return [
        {
            "pair": row["pair"],
            "sequence": row["sequence"],
            "operation_id": row["operation_id"] and str(row["operation_id"]),
            "synchronized_at": row["synchronized_at"] and row["synchronized_at"].isoformat(),
        }
        for row in rows
    ]


async def read_run(connection: Connection, county: str, run_id: UUID) -> Row | None:
    """A run with its stamps."""
    return await connection.fetchrow("SELECT * FROM valuation.run_v1 WHERE county = $1 AND run_id = $2", county, run_id)


async def read_values(
    connection: Connection, county: str, run_id: UUID, scope: ValuationScope, *, batch_parcels: int
) -> AsyncIterator[list[Row]]:
    """A run's values that are in the scope, as the run froze them, batch by batch; inside a transaction."""
    cursor = await connection.cursor(
        """
        SELECT parcel_id, kind, value_usd::float8, land_value_usd::float8, improvement_value_usd::float8,
            low_usd::float8, high_usd::float8, confidence, contributions, comparables, neighborhood, use_code,
            prior_value_usd::float8
        FROM valuation.parcel_value
        WHERE county = $1 AND run_id = $2 AND ($3::text[] IS NULL OR parcel_id = ANY($3))
            AND ($4::text[] IS NULL OR neighborhood = ANY($4))
            AND ($5::text[] IS NULL OR EXISTS (
                SELECT FROM unnest($5::text[]) AS beginning WHERE starts_with(use_code, beginning)))
        ORDER BY parcel_id
        """,
        county,
        run_id,
        scope.parcel_ids,
        scope.neighborhoods,
        scope.use_codes,
    )
    while rows := await cursor.fetch(batch_parcels):
        yield rows


async def read_refused(connection: Connection, county: str, run_id: UUID, scope: ValuationScope) -> dict[str, str]:
    """A run's refusals; of a scope of neighbourhoods or use codes none is known to be in it."""
    if scope.neighborhoods or scope.use_codes:
        return {}
    rows = await connection.fetch(
        "SELECT parcel_id, reason FROM valuation.refused_parcel WHERE county = $1 AND run_id = $2"
        " AND ($3::text[] IS NULL OR parcel_id = ANY($3)) ORDER BY parcel_id",
        county,
        run_id,
        scope.parcel_ids,
    )
    return {row["parcel_id"]: row["reason"] for row in rows}


async def read_both(connection: Connection, county: str, run_id: UUID, other: UUID) -> pl.DataFrame:
    """The values of two runs, parcel by parcel."""
    rows = await connection.fetch(
        """
        WITH one AS (SELECT * FROM valuation.parcel_value WHERE county = $1 AND run_id = $2),
            two AS (SELECT * FROM valuation.parcel_value WHERE county = $1 AND run_id = $3)
        SELECT parcel_id, coalesce(two.neighborhood, one.neighborhood), coalesce(two.use_code, one.use_code),
            one.value_usd::float8, two.value_usd::float8
        FROM one FULL JOIN two USING (parcel_id)
        """,
        county,
        run_id,
        other,
    )
    return pl.DataFrame([tuple(row) for row in rows], schema=SCHEMA, orient="row")


async def read_contributions(
    connection: Connection, county: str, run_id: UUID, parcel_ids: Sequence[str]
) -> dict[str, dict[str, float]]:
    """What makes up some of a run's values."""
    rows = await connection.fetch(
        "SELECT parcel_id, contributions FROM valuation.parcel_value"
        " WHERE county = $1 AND run_id = $2 AND parcel_id = ANY($3::text[])",
        county,
        run_id,
        list(parcel_ids),
    )
    return {row["parcel_id"]: row["contributions"] for row in rows}
