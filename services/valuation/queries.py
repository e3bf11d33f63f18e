"""All SQL of the valuation service: it reads ingest's published views and writes its own runs."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import date
from typing import Any, BinaryIO
from uuid import UUID

import asyncpg
import polars as pl

from chassis.database import Connection
from contracts.api.valuation import ValuationScope
from contracts.county import SaleScrutiny
from services.valuation.domain.attributes import COLUMN, NO_ATTRIBUTES, Attributes

_CHARACTERISTICS = {
    "use_code": pl.String,
    "neighborhood": pl.String,
    "building_class": pl.String,
    "condition": pl.String,
    "living_area_sqft": pl.Float64,
    "land_area_sqft": pl.Float64,
    "year_built": pl.Float64,
    "effective_year_built": pl.Float64,
    "bedrooms": pl.Float64,
    "bathrooms": pl.Float64,
    "stories": pl.Float64,
    "longitude": pl.Float64,
    "latitude": pl.Float64,
    "land_value_usd": pl.Float64,
    "improvement_value_usd": pl.Float64,
    "total_value_usd": pl.Float64,
}
_AS_SOLD = ("living_area_sqft", "land_area_sqft", "year_built")  # the sale knows them better than the parcel
_PARCEL_COLUMNS = ", ".join(
    f"parcel.{name}::float8" if kind == pl.Float64 else f"parcel.{name}" for name, kind in _CHARACTERISTICS.items()
)
_SOLD_COLUMNS = ", ".join(
    f"coalesce(sale.{name}, parcel.{name})::float8 AS {name}"
    if name in _AS_SOLD
    else (f"parcel.{name}::float8" if kind == pl.Float64 else f"parcel.{name}")
    for name, kind in _CHARACTERISTICS.items()
)
CHUNK_ROWS = 20_000
_SALE_SCHEMA = {
    "sale_id": pl.String,
    "parcel_id": pl.String,
    "sale_date": pl.Date,
    "sale_price_usd": pl.Float64,
    "is_qualified": pl.Boolean,
    "parcel_count": pl.Int64,
    "decision": pl.String,
    "statistics_reason": pl.String,
    **_CHARACTERISTICS,
}
_PARCEL_SCHEMA = {"parcel_id": pl.String, **_CHARACTERISTICS}
VALUE_COLUMNS = (
    "parcel_id",
    "kind",
    "value_usd",
    "land_value_usd",
    "improvement_value_usd",
    "low_usd",
    "high_usd",
    "confidence",
    "contributions",
    "comparables",
    "neighborhood",
    "use_code",
    "prior_value_usd",
    "model_value_usd",
    "uncapped_value_usd",
    "flags",
)


async def read_tax_year(connection: Connection, county: str) -> int | None:
    """The tax year of the county's working layer."""
    year: int | None = await connection.fetchval("SELECT max(tax_year) FROM ingest.parcel_v1 WHERE county = $1", county)
    return year


async def count_attributes(connection: Connection, county: str, *, from_date: date, to_date: date) -> dict[str, int]:
    """How many sales of a time are of parcels that have each attribute; only texts, numbers and truth count."""
    rows = await connection.fetch(
        """
        SELECT entry.key, count(*) AS known
        FROM ingest.sale_v1 AS sale
        JOIN ingest.parcel_v1 AS parcel ON parcel.county = sale.county AND parcel.parcel_id = sale.parcel_id
        CROSS JOIN LATERAL jsonb_each(
            CASE jsonb_typeof(parcel.attributes) WHEN 'object' THEN parcel.attributes ELSE '{}' END) AS entry
        WHERE sale.county = $1 AND sale.sale_date BETWEEN $2 AND $3
            AND jsonb_typeof(entry.value) IN ('string', 'number', 'boolean') AND entry.value <> '""'
        GROUP BY entry.key
        """,
        county,
        from_date,
        to_date,
    )
    return {row["key"]: row["known"] for row in rows}


async def read_sales(
    connection: Connection, county: str, *, scrutiny: SaleScrutiny, from_date: date, attributes: Sequence[str] = ()
) -> pl.DataFrame:
    """Sales since a date with the characteristics of what was sold; sales of unknown parcels are left out.

    Beside the source's code stand a person's decision and what statistics may decide, both of the same price.
    The attributes named are those of the parcel as it is now, as texts.
    """
    chunks = _chunks(
        connection,
        f"""
        SELECT sale.sale_id, sale.parcel_id, sale.sale_date, sale.sale_price_usd::float8, sale.is_qualified,
            sale.parcel_count::int8, decided.decision, statistics.reason AS statistics_reason, {_SOLD_COLUMNS}
            {_attribute_columns(attributes, first=5)}
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
                AND finding.reason = ANY($3) AND finding.strength >= $4
            ORDER BY finding.strength DESC, finding.reason LIMIT 1
        ) AS statistics ON true
        WHERE sale.county = $1 AND sale.sale_date >= $2
        ORDER BY sale.sale_date, sale.sale_id
        """,  # noqa: S608 the columns are constants above
        county,
        from_date,
        list(scrutiny.decisive_reasons),
        scrutiny.minimum_strength,
        *attributes,
    )
    schema = {**_SALE_SCHEMA, **{COLUMN + name: pl.String for name in attributes}}
    return pl.concat([_frame((), schema), *[_frame(rows, schema) async for rows in chunks]])


async def read_parcels(
    connection: Connection, county: str, scope: ValuationScope, attributes: Attributes = NO_ATTRIBUTES
) -> pl.DataFrame:
    """The active parcels of the scope, in order of their id, with these attributes as they are typed."""
    keys = attributes.keys
    chunks = _chunks(
        connection,
        f"""
        SELECT parcel.parcel_id, {_PARCEL_COLUMNS} {_attribute_columns(keys, first=5)}
        FROM ingest.parcel_v1 AS parcel
        WHERE parcel.county = $1 AND parcel.is_active
            AND ($2::text[] IS NULL OR parcel.parcel_id = ANY($2))
            AND ($3::text[] IS NULL OR parcel.neighborhood = ANY($3))
            AND ($4::text[] IS NULL OR EXISTS (
                SELECT FROM unnest($4::text[]) AS beginning WHERE starts_with(parcel.use_code, beginning)))
        ORDER BY parcel.parcel_id
        """,  # noqa: S608 the columns are constants above
        county,
        scope.parcel_ids,
        scope.neighborhoods,
        scope.use_codes,
        *keys,
    )
    schema = {**_PARCEL_SCHEMA, **{COLUMN + key: pl.String for key in keys}}
    typed = [attributes.typed(_frame(rows, schema)) async for rows in chunks]
    return pl.concat([attributes.typed(_frame((), schema)), *typed])


async def read_latest_value(connection: Connection, county: str, parcel_id: str) -> dict[str, Any] | None:
    """A parcel's value by its newest run, with what makes it up."""
    row = await connection.fetchrow(
        """
        SELECT latest.run_id, latest.value_usd::float8, stored.contributions
        FROM valuation.latest_value_v1 AS latest
        JOIN valuation.parcel_value AS stored USING (county, run_id, parcel_id)
        WHERE county = $1 AND parcel_id = $2
        """,
        county,
        parcel_id,
    )
    return dict(row) if row else None


async def read_freshness(connection: Connection, county: str) -> tuple[Any, ...]:
    """Something that changes whenever the county's sales or parcels do, or what was found or decided about sales."""
    row = await connection.fetchrow(
        """
        SELECT (SELECT count(*) FROM ingest.sale_v1 WHERE county = $1),
            (SELECT max(updated_at) FROM ingest.sale_v1 WHERE county = $1),
            (SELECT count(*) FROM ingest.parcel_v1 WHERE county = $1),
            (SELECT max(updated_at) FROM ingest.parcel_v1 WHERE county = $1),
            (SELECT max(decided_at) FROM valuation.sale_decision WHERE county = $1),
            (SELECT max(found_at) FROM valuation.sale_review WHERE county = $1)
        """,
        county,
    )
    return tuple(row or ())


RUN_COLUMNS = (
    "run_id",
    "tax_year",
    "valuation_date",
    "model",
    "parameters",
    "model_card",
    "parcels_valued",
    "parcels_refused",
    "requested_by",
    "is_what_if",
    "parcels_flagged",
    "total_value_usd",
    "prior_basis",
    "code_version",
    "snapshot",
    "values_sha256",
    "input_sha256",
)


async def save_run(connection: Connection, county: str, run: Mapping[str, Any]) -> None:
    """Enter a run: what was asked, the model card, the counts and the stamps."""
    places = ", ".join(f"${number}" for number in range(2, len(RUN_COLUMNS) + 2))
    await connection.execute(
        f"INSERT INTO valuation.model_run (county, {', '.join(RUN_COLUMNS)}) VALUES ($1, {places})",  # noqa: S608
        county,
        *(run[name] for name in RUN_COLUMNS),
    )


async def save_values(connection: Connection, county: str, run_id: UUID, lines: BinaryIO) -> None:
    """Enter a run's values from lines of `VALUE_COLUMNS` as `value_lines` encodes them.

    By way of a temporary table, since PostgreSQL does not COPY into tables with row-level security.
    """
    columns = ", ".join(VALUE_COLUMNS)
    await connection.execute(
        f"CREATE TEMPORARY TABLE valued ON COMMIT DROP AS SELECT {columns} FROM valuation.parcel_value WITH NO DATA"  # noqa: S608 constants
    )
    await connection.copy_to_table("valued", source=lines, columns=list(VALUE_COLUMNS))
    await connection.execute(
        f"INSERT INTO valuation.parcel_value (county, run_id, {columns}) SELECT $1, $2, {columns} FROM valued",  # noqa: S608
        county,
        run_id,
    )


async def save_refusals(connection: Connection, county: str, run_id: UUID, refused: Mapping[str, str]) -> None:
    """Enter the parcels that no model could value."""
    await connection.execute(
        """
        INSERT INTO valuation.refused_parcel (county, run_id, parcel_id, reason)
        SELECT $1, $2, parcel_id, reason FROM unnest($3::text[], $4::text[]) AS refused (parcel_id, reason)
        """,
        county,
        run_id,
        list(refused.keys()),
        list(refused.values()),
    )


def _attribute_columns(keys: Sequence[str], *, first: int) -> str:
    """Each key of the attributes as text, by places from the first on; what is no plain value is not known."""
    cell = (
        ", CASE WHEN jsonb_typeof(parcel.attributes -> ${0}::text) IN ('string', 'number', 'boolean')"
        " THEN parcel.attributes ->> ${0}::text END"
    )
    return "".join(cell.format(place) for place in range(first, first + len(keys)))


async def _chunks(connection: Connection, query: str, *args: Any) -> AsyncIterator[list[asyncpg.Record]]:
    """Rows by and by, so that never all of them stand beside the frames that they become."""
    cursor = await connection.cursor(query, *args)
    while rows := await cursor.fetch(CHUNK_ROWS):
        yield rows


def _frame(rows: Sequence[asyncpg.Record], schema: Mapping[str, Any]) -> pl.DataFrame:
    return pl.DataFrame([tuple(row) for row in rows], schema=schema, orient="row")
