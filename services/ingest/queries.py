"""All SQL of ingest. Statements are put together of our own column names only; values are always parameters."""
# ruff: noqa: S608

import io
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import polars as pl

from services.ingest import tables
from services.ingest.domain.rows import DIGEST, KEY

Row = Mapping[str, Any]

_STAGES = ("parcel", "owner", "sale", "neighborhood")
_PARCEL_KEY = ("county", "parcel_id", "tax_year", "supplement")
_OWNER_KEY = ("county", "parcel_id", "tax_year", "owner_id")
_SALE_KEY = ("county", "sale_id", "parcel_id")
_NEIGHBORHOOD_KEY = ("county", "neighborhood", "tax_year")
#: what a change of does not make a fact: it follows from sales, which tell of themselves, or says nothing of the parcel
_UNTOLD = {"county", "pair", "updated_at", "is_current", "last_sale_date", "last_sale_price_usd"}
#: what a fact names as `geometry` and does not carry
_PLACE = {"geometry_wkb", "srid", "west", "south", "east", "north", "longitude", "latitude"}


async def read_pair(connection: Any, county: str, pair: str) -> Row | None:
    """How far a pair is: its sequence, and the digest of the rules that its last operation went by."""
    return await connection.fetchrow(  # type: ignore[no-any-return]
        "SELECT p.sequence, o.details ->> 'rules' AS rules FROM ingest.sync_pair p LEFT JOIN ingest.sync_operation o"
        " ON o.county = p.county AND o.id = p.last_operation_id WHERE p.county = $1 AND p.pair = $2",
        county,
        pair,
    )


async def read_digests(connection: Any, county: str, pair: str, *, source_table: str) -> pl.DataFrame:
    """Keys and digests of the landed rows of a table."""
    buffer = io.BytesIO()
    await connection.copy_from_query(
        "SELECT key, digest FROM ingest.source_row WHERE county = $1 AND pair = $2 AND source_table = $3",
        county,
        pair,
        source_table,
        output=buffer,
        format="csv",
    )
    if not buffer.tell():
        return pl.DataFrame(schema={KEY: pl.String, DIGEST: pl.String})
    return pl.read_csv(buffer.getvalue(), has_header=False, new_columns=[KEY, DIGEST], infer_schema=False)


async def read_images(
    connection: Any, county: str, pair: str, *, source_table: str, keys: Sequence[str] | None
) -> pl.DataFrame:
    """Landed images as texts, of some rows or (null) of all."""
    if keys is not None and not keys:
        return pl.DataFrame(schema={KEY: pl.String, "image": pl.String})
    rows = await connection.fetch(
        "SELECT key, image::text FROM ingest.source_row WHERE county = $1 AND pair = $2 AND source_table = $3"
        " AND ($4::text[] IS NULL OR key = ANY($4))",
        county,
        pair,
        source_table,
        keys,
    )
    return pl.DataFrame(
        {KEY: [row["key"] for row in rows], "image": [row["image"] for row in rows]},
        schema={KEY: pl.String, "image": pl.String},
    )


async def lock_pair(connection: Any, county: str, pair: str, *, reader: str, source_tables: list[str]) -> int:
    """Keep other operations of the pair out until the transaction ends; returns its sequence."""
    await connection.execute(
        "INSERT INTO ingest.sync_pair (county, pair, reader, tables) VALUES ($1, $2, $3, $4)"
        " ON CONFLICT (county, pair) DO UPDATE SET reader = excluded.reader, tables = excluded.tables",
        county,
        pair,
        reader,
        source_tables,
    )
    sequence: int = await connection.fetchval(
        "SELECT sequence FROM ingest.sync_pair WHERE county = $1 AND pair = $2 FOR UPDATE", county, pair
    )
    return sequence


async def create_stages(connection: Any) -> None:
    """Tables for this transaction only, in the shape of the canonical ones."""
    await connection.execute(
        "CREATE TEMP TABLE stage_row (source_table text, key text, digest text, image text) ON COMMIT DROP"
    )
    for name in _STAGES:
        await connection.execute(
            f"CREATE TEMP TABLE stage_{name} (LIKE ingest.{name} INCLUDING DEFAULTS) ON COMMIT DROP"
        )


async def copy_to_stage(connection: Any, county: str, name: str, rows: pl.DataFrame) -> None:
    """Copy rows into a stage; `county` belongs to every canonical row."""
    if rows.is_empty():
        return
    staged = rows if name == "row" else rows.with_columns(pl.lit(county).alias("county"))
    buffer = io.BytesIO()
    staged.write_csv(buffer, include_header=False)
    buffer.seek(0)
    await connection.copy_to_table(f"stage_{name}", source=buffer, columns=staged.columns, format="csv")


async def analyze_stages(connection: Any) -> None:
    """Let the planner know how much was staged."""
    for name in _STAGES:
        await connection.execute(f"ANALYZE stage_{name}")


async def land_rows(connection: Any, county: str, pair: str) -> None:
    """Take over the staged source rows."""
    await connection.execute(
        "INSERT INTO ingest.source_row (county, pair, source_table, key, digest, image)"
        " SELECT $1, $2, source_table, key, digest, image FROM stage_row"
        " ON CONFLICT (county, pair, source_table, key) DO UPDATE SET digest = excluded.digest, image = excluded.image"
        " WHERE source_row.digest IS DISTINCT FROM excluded.digest"
        "  OR source_row.image IS DISTINCT FROM excluded.image",
        county,
        pair,
    )


async def forget_rows(connection: Any, county: str, pair: str, *, source_table: str, keys: Sequence[str]) -> None:
    """Drop landed rows that are gone from the source."""
    await connection.execute(
        "DELETE FROM ingest.source_row WHERE county = $1 AND pair = $2 AND source_table = $3 AND key = ANY($4)",
        county,
        pair,
        source_table,
        keys,
    )


async def quarantine_rows(
    connection: Any, county: str, pair: str, *, operation_id: UUID, source_table: str, violations: pl.DataFrame
) -> None:
    """Hold back what broke a rule; what no longer does leaves quarantine."""
    await connection.execute(
        "INSERT INTO ingest.quarantine (county, pair, source_table, key, rule, field, value, operation_id)"
        " SELECT $1, $2, $3, key, rule, field, value, $4 FROM unnest($5::text[], $6::text[], $7::text[], $8::text[])"
        "  AS seen (key, rule, field, value)"
        " ON CONFLICT (county, pair, source_table, key, rule) DO UPDATE SET field = excluded.field,"
        "  value = excluded.value, operation_id = excluded.operation_id, last_seen_at = now()",
        county,
        pair,
        source_table,
        operation_id,
        *(violations[name].to_list() for name in (KEY, "rule", "field", "value")),
    )
    await connection.execute(
        "DELETE FROM ingest.quarantine WHERE county = $1 AND pair = $2 AND source_table = $3 AND operation_id <> $4",
        county,
        pair,
        source_table,
        operation_id,
    )


async def differing_sales(connection: Any, county: str, pair: str, *, ids: Sequence[str] | None) -> list[Row]:
    """Parcels of sales that are new, gone or otherwise than before."""
    told = _columns("sale", _UNTOLD | set(_SALE_KEY))
    return await connection.fetch(  # type: ignore[no-any-return]
        "SELECT coalesce(s.sale_id, e.sale_id) AS sale_id, coalesce(s.parcel_id, e.parcel_id) AS parcel_id,"
        "  to_jsonb(e) - $4::text[] AS before, to_jsonb(s) - $4::text[] AS after,"
        "  EXISTS (SELECT FROM ingest.sale k WHERE k.county = $1 AND k.sale_id = coalesce(s.sale_id, e.sale_id))"
        "   AS was_known,"
        "  EXISTS (SELECT FROM stage_sale k WHERE k.sale_id = coalesce(s.sale_id, e.sale_id)) AS is_known"
        " FROM stage_sale s FULL JOIN (SELECT * FROM ingest.sale WHERE county = $1 AND pair = $2"
        "  AND ($3::text[] IS NULL OR sale_id = ANY($3))) e ON e.sale_id = s.sale_id AND e.parcel_id = s.parcel_id"
        f" WHERE e.sale_id IS NULL OR s.sale_id IS NULL OR {_differs('e', 's', told)}",
        county,
        pair,
        ids,
        sorted(_UNTOLD),
    )


async def save_sales(connection: Any, county: str, pair: str, *, ids: Sequence[str] | None) -> None:
    """Take over the staged sales; those in scope that are not staged are gone."""
    await connection.execute(
        "DELETE FROM ingest.sale e WHERE county = $1 AND pair = $2 AND ($3::text[] IS NULL OR sale_id = ANY($3))"
        " AND NOT EXISTS (SELECT FROM stage_sale s WHERE s.sale_id = e.sale_id AND s.parcel_id = e.parcel_id)",
        county,
        pair,
        ids,
    )
    await connection.execute(_upsert("sale", _SALE_KEY))


async def keep_masked_owners(connection: Any, county: str, *, mask: str) -> None:
    """Where this run knows names and addresses only masked (they were not read again), those stored stay."""
    for column in ("name", "mailing_address"):
        await connection.execute(
            f"UPDATE stage_owner s SET {column} = o.{column} FROM ingest.owner o WHERE s.{column} LIKE $2 || '%'"
            " AND o.county = $1 AND o.parcel_id = s.parcel_id AND o.tax_year = s.tax_year AND o.owner_id = s.owner_id",
            county,
            mask,
        )


async def differing_owners(connection: Any, county: str, pair: str, *, ids: Sequence[str] | None) -> list[Row]:
    """Owners of parcels that are new, gone or otherwise than in the parcel's current layer; names are not told."""
    fields = ("name", "mailing_address", "ownership_percent")
    changed = ", ".join(f"CASE WHEN e.{f} IS DISTINCT FROM s.{f} THEN '{f}' END" for f in fields)
    return await connection.fetch(  # type: ignore[no-any-return]
        "SELECT coalesce(s.parcel_id, e.parcel_id) AS parcel_id, coalesce(s.tax_year, e.tax_year) AS tax_year,"
        "  coalesce(s.owner_id, e.owner_id) AS owner_id, CASE WHEN s.owner_id IS NULL OR e.owner_id IS NULL"
        f"   THEN ARRAY['owner_id'] ELSE array_remove(ARRAY[{changed}], NULL) END AS changed_fields"
        " FROM stage_owner s FULL JOIN (SELECT o.* FROM ingest.owner o JOIN ingest.parcel p ON p.county = o.county"
        "   AND p.parcel_id = o.parcel_id AND p.tax_year = o.tax_year AND p.is_current"
        "   WHERE o.county = $1 AND o.pair = $2 AND ($3::text[] IS NULL OR o.parcel_id = ANY($3))) e"
        "  ON e.parcel_id = s.parcel_id AND e.owner_id = s.owner_id"
        f" WHERE e.owner_id IS NULL OR s.owner_id IS NULL OR {_differs('e', 's', fields)}",
        county,
        pair,
        ids,
    )


async def save_owners(connection: Any, county: str, pair: str, *, working_year: int, ids: Sequence[str] | None) -> None:
    """Take over the staged owners; those in scope of the working year that are not staged are gone."""
    await connection.execute(
        "DELETE FROM ingest.owner e WHERE county = $1 AND pair = $2 AND tax_year = $3"
        " AND ($4::text[] IS NULL OR parcel_id = ANY($4)) AND NOT EXISTS (SELECT FROM stage_owner s"
        "  WHERE s.parcel_id = e.parcel_id AND s.tax_year = e.tax_year AND s.owner_id = e.owner_id)",
        county,
        pair,
        working_year,
        ids,
    )
    await connection.execute(_upsert("owner", _OWNER_KEY))


async def set_last_sales(connection: Any, county: str) -> None:
    """Give the staged parcels their last sale at a price."""
    await connection.execute(
        "UPDATE stage_parcel s SET last_sale_date = l.sale_date, last_sale_price_usd = l.sale_price_usd"
        " FROM (SELECT DISTINCT ON (e.parcel_id) e.parcel_id, e.sale_date, e.sale_price_usd FROM ingest.sale e"
        "  JOIN stage_parcel p ON p.parcel_id = e.parcel_id WHERE e.county = $1 AND e.sale_price_usd > 0"
        "  ORDER BY e.parcel_id, e.sale_date DESC NULLS LAST, e.sale_id DESC) l WHERE l.parcel_id = s.parcel_id",
        county,
    )


async def differing_parcels(connection: Any, county: str) -> list[Row]:
    """Staged parcels that are new or otherwise than their current layer."""
    told = _columns("parcel", _UNTOLD | {"parcel_id"})
    shown = _columns("parcel", _UNTOLD | _PLACE)
    return await connection.fetch(  # type: ignore[no-any-return]
        "SELECT s.parcel_id, s.tax_year, s.supplement,"
        f"  CASE WHEN e.parcel_id IS NOT NULL THEN {_document('e', shown)} END AS before,"
        f"  {_document('s', shown)} AS after, ({_differs('e', 's', sorted(_PLACE))}) AS geometry_changed"
        " FROM stage_parcel s LEFT JOIN ingest.parcel e ON e.county = $1 AND e.parcel_id = s.parcel_id"
        f"  AND e.is_current WHERE e.parcel_id IS NULL OR {_differs('e', 's', told)} ORDER BY s.parcel_id",
        county,
    )


async def save_parcels(connection: Any, county: str, pair: str, *, ids: Sequence[str] | None) -> list[Row]:
    """Take over the staged parcels as the current layers; returns those in scope that are gone."""
    gone = await connection.fetch(
        "UPDATE ingest.parcel e SET is_active = false, updated_at = now() WHERE county = $1 AND pair = $2"
        " AND is_current AND is_active AND ($3::text[] IS NULL OR parcel_id = ANY($3))"
        " AND NOT EXISTS (SELECT FROM stage_parcel s WHERE s.parcel_id = e.parcel_id)"
        " RETURNING parcel_id, tax_year, supplement",
        county,
        pair,
        ids,
    )
    await connection.execute(
        "UPDATE ingest.parcel e SET is_current = false FROM stage_parcel s WHERE e.county = $1 AND e.is_current"
        " AND e.parcel_id = s.parcel_id AND (e.tax_year, e.supplement) <> (s.tax_year, s.supplement)",
        county,
    )
    await connection.execute(_upsert("parcel", _PARCEL_KEY))
    return gone  # type: ignore[no-any-return]


async def save_neighborhoods(connection: Any) -> None:
    """Take over the staged neighborhoods."""
    await connection.execute(_upsert("neighborhood", _NEIGHBORHOOD_KEY))


async def count_record(connection: Any, county: str, pair: str) -> tuple[int, int]:
    """How many active parcels and how many sales the record has of a pair."""
    row = await connection.fetchrow(
        "SELECT (SELECT count(*) FROM ingest.parcel WHERE county = $1 AND pair = $2 AND is_current AND is_active),"
        " (SELECT count(DISTINCT sale_id) FROM ingest.sale WHERE county = $1 AND pair = $2)",
        county,
        pair,
    )
    return row[0], row[1]


async def save_operation(
    connection: Any, county: str, operation_id: UUID, *, pair: str, sequence: int, rules: str, result: dict[str, Any]
) -> None:
    """Enter an applied operation into the ledger and move the pair to it."""
    counts = ("rows_read", "rows_applied", "rows_unchanged", "rows_quarantined", "rows_filtered", "changes", "events")
    await connection.execute(
        f"INSERT INTO ingest.sync_operation (county, id, pair, mode, reader, sequence, {', '.join(counts)}, details)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
        county,
        operation_id,
        pair,
        result["mode"],
        result["reader"],
        sequence,
        *(result[name] for name in counts),
        {"tables": result["tables"], "rules": rules},
    )
    await connection.execute(
        "UPDATE ingest.sync_pair SET sequence = $3, last_operation_id = $4, last_synchronized_at = now()"
        " WHERE county = $1 AND pair = $2",
        county,
        pair,
        sequence,
        operation_id,
    )


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
