"""The SQL of certificates. Values are always parameters; columns of images stand as quoted literals."""
# ruff: noqa: S608

import io
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import polars as pl

from services.ingest.domain.restored import STORED

Row = Mapping[str, Any]
SECONDS = 3_600
PAGE_ROWS = 4_000
_OF_TABLE = "t.county = $1 AND t.pair = $2 AND t.source_table = $3"
_HELD = (
    "EXISTS (SELECT FROM ingest.quarantine q WHERE q.county = t.county AND q.pair = t.pair"
    " AND q.source_table = t.source_table AND q.key = t.key AND q.rule <> 'parcel_unmatched')"
)
#: a row of a parcel that is not in the record is landed as any other; it is listed, and not held back
_HELD_BACK = "t.rule <> 'parcel_unmatched'"


async def landed_pages(
    connection: Any, county: str, pair: str, table: str, *, sequence: int
) -> AsyncIterator[pl.DataFrame]:
    """All landed rows of a table as they are stored, those of an unfinished first load left out, in pages."""
    names = ", ".join(_HELD + " AS is_held" if name == "is_held" else f"t.{name}" for name in STORED)
    after: str | None = None
    while True:
        buffer = io.BytesIO()
        await connection.copy_from_query(
            f"SELECT {names} FROM ingest.source_row t WHERE {_OF_TABLE} AND t.created_sequence <= $4"
            " AND ($5::text IS NULL OR t.key > $5) ORDER BY t.key LIMIT $6",
            county, pair, table, sequence, after, PAGE_ROWS,
            output=buffer, format="csv", timeout=SECONDS,
        )  # fmt: skip
        page = _stored(buffer)
        if page.height:
            after = page["key"][-1]
            yield page
        if page.height < PAGE_ROWS:
            return


def _stored(buffer: io.BytesIO) -> pl.DataFrame:
    schema = dict.fromkeys(STORED, pl.String)
    if not buffer.tell():
        texts = pl.DataFrame(schema=schema)
    else:  # an empty text is quoted and null is not, which polars tells apart
        texts = pl.read_csv(buffer.getvalue(), has_header=False, new_columns=list(STORED), infer_schema=False)
    flags = [(pl.col(name) == "t").alias(name) for name in ("is_filtered", "is_held")]
    return texts.with_columns(*flags, pl.col("range_number").cast(pl.Int64))


async def quarantined_pages(
    connection: Any, county: str, pair: str, table: str
) -> AsyncIterator[list[tuple[str, str]]]:
    """Keys in quarantine with their rules, in pages."""
    after = ("", "")
    while True:
        rows = await connection.fetch(
            f"SELECT key, rule FROM ingest.quarantine t WHERE {_OF_TABLE} AND {_HELD_BACK} AND (key, rule) > ($4, $5)"
            " ORDER BY key, rule LIMIT $6",
            county, pair, table, *after, PAGE_ROWS,
        )  # fmt: skip
        if rows:
            after = (rows[-1]["key"], rows[-1]["rule"])
            yield [(row["key"], row["rule"]) for row in rows]
        if len(rows) < PAGE_ROWS:
            return


async def count_landed(connection: Any, county: str, pair: str, tables: Sequence[str], *, sequence: int) -> list[Row]:
    """So many rows of each table are landed, left out and in quarantine, counted now.

    Keys with an empty part and repeated ones stand for any number of rows.
    """
    rows = await connection.fetch(
        "SELECT name AS source_table, l.landed, l.filtered, l.held, q.keys, q.vague FROM unnest($3::text[]) AS asked"
        " (name) CROSS JOIN LATERAL (SELECT count(*) FILTER (WHERE NOT t.is_filtered) AS landed,"
        "  count(*) FILTER (WHERE t.is_filtered) AS filtered,"
        f"  count(*) FILTER (WHERE NOT t.is_filtered AND {_HELD}) AS held FROM ingest.source_row t"
        "  WHERE t.county = $1 AND t.pair = $2 AND t.source_table = name AND t.created_sequence <= $4) l"
        " CROSS JOIN LATERAL (SELECT count(DISTINCT key) AS keys, count(DISTINCT key) FILTER (WHERE"
        "   rule IN ('key_missing', 'key_repeated') OR key ~ '^(/|$)|//|/$') AS vague"
        f"  FROM ingest.quarantine t WHERE t.county = $1 AND t.pair = $2 AND t.source_table = name AND {_HELD_BACK}) q",
        county, pair, list(tables), sequence, timeout=SECONDS,
    )  # fmt: skip
    return list(rows)


async def sum_landed(
    connection: Any, county: str, pair: str, table: str, *, columns: Sequence[str],
    layer: tuple[str | None, str | None], sequence: int,
) -> list[Row]:  # fmt: skip
    """Sums of decimal columns of the landed rows that are not in quarantine, by tax year and supplement."""
    year, supplement = (f"coalesce(v.image ->> {_literal(name)}, '')" if name else "''" for name in layer)
    sums = ", ".join(f"sum((v.image ->> {_literal(name)})::numeric) AS s{n}" for n, name in enumerate(columns))
    rows = await connection.fetch(
        f"SELECT {year} AS year, {supplement} AS supplement, {sums} FROM ingest.source_row t"
        " CROSS JOIN LATERAL (SELECT t.image::jsonb AS image OFFSET 0) v"
        f" WHERE {_OF_TABLE} AND t.created_sequence <= $4 AND NOT t.is_filtered AND NOT {_HELD} GROUP BY 1, 2",
        county, pair, table, sequence, timeout=SECONDS,
    )  # fmt: skip
    return list(rows)


async def read_standing(connection: Any, county: str, pair: str) -> Row | None:
    """How far a pair is."""
    row: Row | None = await connection.fetchrow(
        "SELECT p.sequence, p.working_year, p.last_synchronized_at, p.status, o.details ->> 'rules' AS rules"
        " FROM ingest.sync_pair p LEFT JOIN ingest.sync_operation o ON o.county = p.county"
        "  AND o.id = p.last_operation_id WHERE p.county = $1 AND p.pair = $2",
        county, pair,
    )  # fmt: skip
    return row


async def read_table_states(connection: Any, county: str, pair: str) -> dict[str, Row]:
    """What is known of the pair's tables, by name."""
    rows = await connection.fetch(
        "SELECT t.*, (SELECT count(*) FROM ingest.sync_range r WHERE r.county = t.county AND r.pair = t.pair"
        "  AND r.source_table = t.source_table) AS ranges FROM ingest.sync_table t WHERE county = $1 AND pair = $2",
        county, pair,
    )  # fmt: skip
    return {row["source_table"]: row for row in rows}


async def read_ranges(connection: Any, county: str, pair: str) -> dict[str, list[Row]]:
    """The ranges of the pair's tables."""
    rows = await connection.fetch(
        "SELECT source_table, number, lower, upper, digest FROM ingest.sync_range WHERE county = $1 AND pair = $2",
        county, pair,
    )  # fmt: skip
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row["source_table"], []).append(row)
    return found


async def read_values(connection: Any, county: str, pair: str, table: str, *, column: str) -> list[str]:
    """The different values that landed rows have in a column."""
    rows = await connection.fetch(
        f"SELECT DISTINCT t.image::jsonb ->> $4 AS value FROM ingest.source_row t WHERE {_OF_TABLE}"
        " AND NOT t.is_filtered AND t.image::jsonb ->> $4 IS NOT NULL",
        county, pair, table, column,
    )  # fmt: skip
    return [row["value"] for row in rows]


async def read_last(connection: Any, county: str, pair: str) -> Row | None:
    """The pair's newest certificate."""
    row: Row | None = await connection.fetchrow(
        "SELECT id, holds, sequence FROM ingest.certificate WHERE county = $1 AND pair = $2"
        " ORDER BY issued_at DESC, sequence DESC LIMIT 1",
        county, pair,
    )  # fmt: skip
    return row


async def save(
    connection: Any, county: str, certificate_id: UUID, *, pair: str, operation_id: UUID, sequence: int, holds: bool,
    document: dict[str, Any], signature: str, issued_at: datetime,
) -> None:  # fmt: skip
    """Keep a certificate, and name it with the operation that it is of."""
    await connection.execute(
        "INSERT INTO ingest.certificate (county, id, pair, operation_id, sequence, holds, document, signature,"
        " issued_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        county, certificate_id, pair, operation_id, sequence, holds, document, signature, issued_at,
    )  # fmt: skip
    await connection.execute(
        "UPDATE ingest.sync_operation SET certificate_id = $3 WHERE county = $1 AND id = $2",
        county, operation_id, certificate_id,
    )  # fmt: skip


def _literal(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
