"""The SQL of the canonical record: what differs from it, and what is saved. Of our own column names only."""
# ruff: noqa: S608

import io
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from services.ingest import tables
from services.ingest.landing.queries import SECONDS

Row = Mapping[str, Any]

_PARCEL_KEY = ("county", "parcel_id", "tax_year", "supplement")
_OWNER_KEY = ("county", "parcel_id", "tax_year", "owner_id")
_SALE_KEY = ("county", "sale_id", "parcel_id")
_NEIGHBORHOOD_KEY = ("county", "neighborhood", "tax_year")
#: what a change of does not make a fact: it follows from sales, which tell of themselves, or says nothing of the parcel
_UNTOLD = {"county", "pair", "updated_at", "is_current", "is_official", "last_sale_date", "last_sale_price_usd"}
#: what a fact names as `geometry` and does not carry
_PLACE = {"geometry_wkb", "srid", "west", "south", "east", "north", "longitude", "latitude"}


async def stage(connection: Any, county: str, name: str, rows: pl.DataFrame) -> None:
    """Copy entities of the batch into their stage."""
    if rows.is_empty():
        return
    staged = rows.with_columns(pl.lit(county).alias("county"))
    buffer = io.BytesIO()
    staged.write_csv(buffer, include_header=False)
    buffer.seek(0)
    await connection.copy_to_table(f"stage_{name}", source=buffer, columns=staged.columns, format="csv")
    await connection.execute(f"ANALYZE stage_{name}")


async def differing_sales(connection: Any, county: str, pair: str, *, ids: Sequence[str]) -> list[Row]:
    """Parcels of sales that are new, gone or otherwise than before."""
    told = _columns("sale", _UNTOLD | set(_SALE_KEY))
    return await connection.fetch(  # type: ignore[no-any-return]
        "SELECT coalesce(s.sale_id, e.sale_id) AS sale_id, coalesce(s.parcel_id, e.parcel_id) AS parcel_id,"
        "  to_jsonb(e) - $4::text[] AS before, to_jsonb(s) - $4::text[] AS after,"
        "  EXISTS (SELECT FROM ingest.sale k WHERE k.county = $1 AND k.sale_id = coalesce(s.sale_id, e.sale_id))"
        "   AS was_known,"
        "  EXISTS (SELECT FROM stage_sale k WHERE k.sale_id = coalesce(s.sale_id, e.sale_id)) AS is_known"
        " FROM stage_sale s FULL JOIN (SELECT * FROM ingest.sale WHERE county = $1 AND pair = $2"
        "  AND sale_id = ANY($3)) e ON e.sale_id = s.sale_id AND e.parcel_id = s.parcel_id"
        f" WHERE e.sale_id IS NULL OR s.sale_id IS NULL OR {_differs('e', 's', told)}",
        county,
        pair,
        ids,
        sorted(_UNTOLD),
    )


async def save_sales(connection: Any, county: str, pair: str, *, ids: Sequence[str]) -> None:
    """Take over the staged sales; those of the batch that are not staged are gone."""
    await connection.execute(
        "DELETE FROM ingest.sale e WHERE county = $1 AND pair = $2 AND sale_id = ANY($3)"
        " AND NOT EXISTS (SELECT FROM stage_sale s WHERE s.sale_id = e.sale_id AND s.parcel_id = e.parcel_id OFFSET 0)",
        county,
        pair,
        ids,
    )
    await connection.execute(_upsert("sale", _SALE_KEY))


async def differing_owners(connection: Any, county: str, pair: str, *, ids: Sequence[str]) -> list[Row]:
    """Owners of parcels that are new, gone or otherwise than in the parcel's current layer; names are not told."""
    fields = ("name", "mailing_address", "ownership_percent")
    changed = ", ".join(f"CASE WHEN e.{f} IS DISTINCT FROM s.{f} THEN '{f}' END" for f in fields)
    return await connection.fetch(  # type: ignore[no-any-return]
        "WITH layer AS MATERIALIZED (SELECT parcel_id, tax_year FROM ingest.parcel"
        "  WHERE county = $1 AND is_current AND parcel_id = ANY($3))"
        " SELECT coalesce(s.parcel_id, e.parcel_id) AS parcel_id, coalesce(s.tax_year, e.tax_year) AS tax_year,"
        "  coalesce(s.owner_id, e.owner_id) AS owner_id, CASE WHEN s.owner_id IS NULL OR e.owner_id IS NULL"
        f"   THEN ARRAY['owner_id'] ELSE array_remove(ARRAY[{changed}], NULL) END AS changed_fields"
        " FROM stage_owner s FULL JOIN (SELECT o.* FROM layer p CROSS JOIN LATERAL (SELECT * FROM ingest.owner w"
        "   WHERE w.county = $1 AND w.pair = $2 AND w.parcel_id = p.parcel_id AND w.tax_year = p.tax_year"
        "   OFFSET 0) o) e"
        "  ON e.parcel_id = s.parcel_id AND e.owner_id = s.owner_id"
        f" WHERE e.owner_id IS NULL OR s.owner_id IS NULL OR {_differs('e', 's', fields)}",
        county,
        pair,
        ids,
    )


async def save_owners(connection: Any, county: str, pair: str, *, working_year: int, ids: Sequence[str]) -> None:
    """Take over the staged owners; those of the batch in the working year that are not staged are gone."""
    await connection.execute(
        "DELETE FROM ingest.owner e WHERE county = $1 AND pair = $2 AND tax_year = $3 AND parcel_id = ANY($4)"
        " AND NOT EXISTS (SELECT FROM stage_owner s"
        "  WHERE s.parcel_id = e.parcel_id AND s.tax_year = e.tax_year AND s.owner_id = e.owner_id OFFSET 0)",
        county,
        pair,
        working_year,
        ids,
    )
    await connection.execute(_upsert("owner", _OWNER_KEY))


async def set_last_sales(connection: Any, county: str, *, ids: Sequence[str]) -> None:
    """Give the staged parcels their last sale at a price."""
    await connection.execute(
        "UPDATE stage_parcel s SET last_sale_date = l.sale_date, last_sale_price_usd = l.sale_price_usd"
        " FROM (SELECT DISTINCT ON (e.parcel_id) e.parcel_id, e.sale_date, e.sale_price_usd FROM ingest.sale e"
        "  WHERE e.county = $1 AND e.parcel_id = ANY($2) AND e.sale_price_usd > 0"
        "  ORDER BY e.parcel_id, e.sale_date DESC NULLS LAST, e.sale_id DESC) l WHERE l.parcel_id = s.parcel_id",
        county,
        ids,
    )


async def differing_parcels(connection: Any, county: str) -> list[Row]:
    """Staged working layers that are new or otherwise than the current ones."""
    told = _columns("parcel", _UNTOLD | {"parcel_id"})
    return await connection.fetch(  # type: ignore[no-any-return]
        f"SELECT s.parcel_id, s.tax_year, s.supplement, s.is_official, {_told_columns()}"
        " FROM stage_parcel s LEFT JOIN LATERAL (SELECT * FROM ingest.parcel p WHERE p.county = $1 AND p.is_current"
        "  AND p.parcel_id = s.parcel_id OFFSET 0) e ON true"
        f" WHERE s.is_current AND (e.parcel_id IS NULL OR {_differs('e', 's', told)}) ORDER BY s.parcel_id",
        county,
    )


async def differing_official(
    connection: Any, county: str, pair: str, *, years: Sequence[int], ids: Sequence[str]
) -> list[Row]:
    """Official layers of the years that are new, gone or otherwise than before."""
    told = _columns("parcel", _UNTOLD | {"parcel_id"})
    return await connection.fetch(  # type: ignore[no-any-return]
        "SELECT coalesce(s.parcel_id, e.parcel_id) AS parcel_id, coalesce(s.tax_year, e.tax_year) AS tax_year,"
        "  coalesce(s.supplement, e.supplement) AS supplement, coalesce(s.is_current, false) AS is_working,"
        f"  true AS is_official, {_told_columns()}"
        " FROM (SELECT * FROM stage_parcel WHERE is_official) s FULL JOIN (SELECT * FROM ingest.parcel"
        "   WHERE county = $1 AND pair = $2 AND is_official AND tax_year = ANY($3) AND parcel_id = ANY($4)) e"
        "  ON e.parcel_id = s.parcel_id AND e.tax_year = s.tax_year"
        f" WHERE e.parcel_id IS NULL OR s.parcel_id IS NULL OR {_differs('e', 's', told)} ORDER BY 1, 2",
        county,
        pair,
        years,
        ids,
    )


def _told_columns() -> str:
    shown = _columns("parcel", _UNTOLD | _PLACE)
    return (
        f"CASE WHEN e.parcel_id IS NOT NULL THEN {_document('e', shown)} END AS before,"
        f" CASE WHEN s.parcel_id IS NOT NULL THEN {_document('s', shown)} END AS after,"
        f" ({_differs('e', 's', sorted(_PLACE))}) AS geometry_changed"
    )


async def save_parcels(
    connection: Any, county: str, pair: str, *, years: Sequence[int], ids: Sequence[str]
) -> list[Row]:
    """Take over the staged layers; returns the parcels of the batch that are gone."""
    gone = await connection.fetch(
        "UPDATE ingest.parcel e SET is_active = false, updated_at = now() WHERE county = $1 AND pair = $2"
        " AND is_current AND is_active AND parcel_id = ANY($3)"
        " AND NOT EXISTS (SELECT FROM stage_parcel s WHERE s.parcel_id = e.parcel_id AND s.is_current OFFSET 0)"
        " RETURNING parcel_id, tax_year, supplement, is_official",
        county,
        pair,
        ids,
    )
    await connection.execute(
        "UPDATE ingest.parcel e SET is_current = false FROM stage_parcel s WHERE e.county = $1 AND e.is_current"
        " AND e.parcel_id = ANY($2) AND s.is_current AND e.parcel_id = s.parcel_id"
        " AND (e.tax_year, e.supplement) <> (s.tax_year, s.supplement)",
        county,
        ids,
    )
    await connection.execute(
        "UPDATE ingest.parcel e SET is_official = false WHERE county = $1 AND pair = $2 AND is_official"
        " AND tax_year = ANY($3) AND parcel_id = ANY($4) AND NOT EXISTS (SELECT FROM stage_parcel s"
        "  WHERE s.parcel_id = e.parcel_id AND s.tax_year = e.tax_year AND s.supplement = e.supplement"
        "  AND s.is_official OFFSET 0)",
        county,
        pair,
        years,
        ids,
    )
    await connection.execute(_upsert("parcel", _PARCEL_KEY))
    return gone  # type: ignore[no-any-return]


async def save_neighborhoods(connection: Any, county: str, pair: str, *, working_year: int) -> None:
    """Take over the staged neighborhoods; those of the year that are not staged are gone."""
    await connection.execute(
        "DELETE FROM ingest.neighborhood e WHERE county = $1 AND pair = $2 AND tax_year = $3"
        " AND NOT EXISTS (SELECT FROM stage_neighborhood s WHERE s.neighborhood = e.neighborhood"
        "  AND s.tax_year = e.tax_year)",
        county,
        pair,
        working_year,
    )
    await connection.execute(_upsert("neighborhood", _NEIGHBORHOOD_KEY))


async def count_record(connection: Any, county: str, pair: str) -> tuple[int, int]:
    """How many active parcels and how many sales the record has of a pair."""
    row = await connection.fetchrow(
        "SELECT (SELECT count(*) FROM ingest.parcel WHERE county = $1 AND pair = $2 AND is_current AND is_active),"
        " (SELECT count(DISTINCT sale_id) FROM ingest.sale WHERE county = $1 AND pair = $2)",
        county,
        pair,
        timeout=SECONDS,
    )
    return row[0], row[1]


def _columns(table: str, without: set[str]) -> list[str]:
    return [column.name for column in tables.metadata.tables[f"ingest.{table}"].columns if column.name not in without]


def _differs(left: str, right: str, columns: Sequence[str]) -> str:
    sides = (", ".join(f"{side}.{column}" for column in columns) for side in (left, right))
    return "({}) IS DISTINCT FROM ({})".format(*sides)


def _document(row: str, columns: Sequence[str]) -> str:
    """Some columns of a row as one JSON document."""
    return f"(SELECT to_jsonb(d) FROM (SELECT {', '.join(f'{row}.{column}' for column in columns)}) d)"


def _upsert(table: str, key: tuple[str, ...]) -> str:
    """Insert what is staged; a row that is there already is written only where it differs."""
    columns = _columns(table, {"updated_at"})
    values = [column for column in columns if column not in key]
    sets = ", ".join(f"{column} = excluded.{column}" for column in values)
    return (
        f"INSERT INTO ingest.{table} ({', '.join(columns)}) SELECT {', '.join(columns)} FROM stage_{table}"
        f" ON CONFLICT ({', '.join(key)}) DO UPDATE SET {sets}, updated_at = now()"
        f" WHERE {_differs(table, 'excluded', values)}"
    )
