"""What rows are judged by that stands in other tables: landed, as this run has staged it."""
# ruff: noqa: S608

import io
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import polars as pl

from contracts.mapping import Link, Pair, SourceTable
from services.ingest.domain.checks import Known, Reference, references
from services.ingest.landing.queries import SECONDS

_STAGED = "s.county = $1 AND s.pair = $2 AND s.source_table = $3 AND s.run_id = $4"
_LANDED = "t.county = $1 AND t.pair = $2 AND t.source_table = $3"
_GONE = f"EXISTS (SELECT FROM ingest.staged_row s WHERE {_STAGED} AND s.key = t.key AND s.op IN ('d', 'x') OFFSET 0)"
_OTHERWISE = (
    f"EXISTS (SELECT FROM ingest.staged_row s WHERE {_STAGED} AND s.key = t.key AND s.op IN ('c', 'u', 'd', 'x')"
    " OFFSET 0)"
)


async def load_known(connection: Any, county: str, pair: Pair, table: SourceTable, *, run_id: UUID) -> Known:
    """The values that the table's checks look up, and the parcels that are out of scope."""
    values = {
        reference: await _values(connection, county, pair, reference, run_id=run_id) for reference in references(table)
    }
    if pair.scope is None or table.name == pair.scope or Link.PARCEL_ID not in table.links:
        return Known(values=values)
    return Known(await _left_out(connection, (county, pair.pair, pair.scope, run_id)), values)


async def _left_out(connection: Any, of_scope: tuple[Any, ...]) -> pl.Series:
    frame = await _copied(
        connection,
        f"SELECT t.parcel_id FROM ingest.source_row t WHERE {_LANDED} AND t.is_filtered AND t.parcel_id IS NOT NULL"
        f" AND NOT {_OTHERWISE} UNION SELECT s.parcel_id FROM ingest.staged_row s WHERE {_STAGED} AND s.is_filtered"
        "  AND s.op IN ('c', 'u') AND s.parcel_id IS NOT NULL",
        of_scope,
        ["parcel_id"],
    )
    return frame["parcel_id"]


async def _values(connection: Any, county: str, pair: Pair, reference: Reference, *, run_id: UUID) -> pl.DataFrame:
    """The referenced columns of every row that is there, the ones held back among them where their keys say it."""
    columns = [column.partition(".") for column in reference if column is not None]
    other = pair.table_by_name[columns[0][0]]
    names = [name for _, _, name in columns]
    of_table = (county, pair.pair, other.name, run_id)
    if set(names) <= set(other.key):
        return _from_keys(other, names, await _copied(connection, _keys_there(), of_table, ["key"]))
    chosen = ", ".join("image::jsonb ->> '" + name.replace("'", "''") + "'" for name in names)
    frame = await _copied(
        connection,
        f"SELECT DISTINCT {chosen} FROM (SELECT t.image FROM ingest.source_row t WHERE {_LANDED} AND NOT {_OTHERWISE}"
        f" UNION ALL SELECT s.image FROM ingest.staged_row s WHERE {_STAGED} AND s.op IN ('c', 'u')) there",
        of_table,
        [f"part{number}" for number in range(len(names))],
    )
    return frame.with_columns(pl.all().str.strip_chars()).unique()


def _keys_there() -> str:
    return (
        f"SELECT t.key FROM ingest.source_row t WHERE {_LANDED} AND NOT {_GONE}"
        f" UNION SELECT s.key FROM ingest.staged_row s WHERE {_STAGED} AND s.op IN ('c', 'u')"
        f" UNION SELECT t.key FROM ingest.quarantine t WHERE {_LANDED}"
        f" UNION SELECT s.key FROM ingest.staged_violation s WHERE {_STAGED} AND s.rule IS NOT NULL"
    )


def _from_keys(table: SourceTable, names: list[str], keys: pl.DataFrame) -> pl.DataFrame:
    """Columns out of keys as `normalise` spells them: parts with a slash between, slashes inside escaped."""
    parts = keys["key"].str.split("/")
    columns = [
        parts.list.get(table.key.index(name), null_on_oob=True)
        .str.replace_all("%2F", "/", literal=True)
        .str.replace_all("%25", "%", literal=True)
        .str.strip_chars()
        .alias(f"part{number}")
        for number, name in enumerate(names)
    ]
    return pl.DataFrame(columns).unique()


async def _copied(connection: Any, query: str, of_table: tuple[Any, ...], names: list[str]) -> pl.DataFrame:
    buffer = io.BytesIO()
    await connection.copy_from_query(query, *of_table, output=buffer, format="csv", timeout=SECONDS)
    if not buffer.tell():
        return pl.DataFrame(schema=dict.fromkeys(names, pl.String))
    return pl.read_csv(buffer.getvalue(), has_header=False, new_columns=names, infer_schema=False)


async def scope_changes(connection: Any, county: str, pair: Pair, *, run_id: UUID) -> list[str]:
    """Parcels that came into the scope in this run or left it."""
    rows = await connection.fetch(
        "SELECT DISTINCT coalesce(s.parcel_id, t.parcel_id) AS id FROM ingest.staged_row s"
        " LEFT JOIN LATERAL (SELECT l.parcel_id, l.is_filtered FROM ingest.source_row l WHERE l.county = $1"
        "  AND l.pair = $2 AND l.source_table = $3 AND l.key = s.key OFFSET 0) t ON true"
        f" WHERE {_STAGED} AND s.op IN ('c', 'u', 'd', 'x')"
        " AND (coalesce(t.is_filtered, false), coalesce(t.parcel_id, ''))"
        "  IS DISTINCT FROM (s.is_filtered AND s.op IN ('c', 'u'), coalesce(s.parcel_id, t.parcel_id, ''))"
        " AND (s.is_filtered OR t.is_filtered)",
        county,
        pair.pair,
        pair.scope,
        run_id,
    )
    return [row["id"] for row in rows if row["id"] is not None]


async def read_as_whole_next(connection: Any, county: str, pair: Pair, tables: Sequence[str]) -> None:
    """Have tables that are not read now read as a whole once they are: other rows of them count from now on."""
    await connection.execute(
        "UPDATE ingest.sync_table SET rules = '' WHERE county = $1 AND pair = $2 AND source_table = ANY($3)",
        county,
        pair.pair,
        list(tables),
    )


async def stage_vanished(
    connection: Any, county: str, pair: Pair, table: SourceTable, *, run_id: UUID, batch: int
) -> int:
    """Hold back landed rows whose reference is gone since this run; how many.

    Only tables of which something was deleted or changed are looked at; the rows themselves are as they were.
    """
    held = 0
    for check in table.checks:
        if check.references is None:
            continue
        other, _, _ = check.references.partition(".")
        gone = await connection.fetchval(
            f"SELECT EXISTS (SELECT FROM ingest.staged_row s WHERE {_STAGED} AND s.op IN ('d', 'u', 'x'))",
            county, pair.pair, other, run_id,
        )  # fmt: skip
        if not gone:
            continue
        known = await _values(connection, county, pair, (check.references, check.references_year), run_id=run_id)
        named = [check.column, *([check.year_column] if check.year_column else [])]
        texts = ["btrim(t.image::jsonb ->> '" + name.replace("'", "''") + "')" for name in named]
        there = [known[f"part{number}"].to_list() for number in range(len(named))]
        arrays = ", ".join(f"${number}::text[]" for number in range(8, 8 + len(named)))
        status: str = await connection.execute(
            "INSERT INTO ingest.staged_violation (county, pair, source_table, run_id, batch, key, rule, field, value)"
            f" SELECT $1, $2, $3, $4::uuid, $5, t.key, $6, $7, {texts[0]} FROM ingest.source_row t WHERE {_LANDED}"
            f" AND NOT t.is_filtered AND {texts[0]} IS NOT NULL AND NOT EXISTS (SELECT FROM unnest({arrays}) AS known"
            f"  ({', '.join(f'part{n}' for n in range(len(named)))}) WHERE"
            f"  ({', '.join(f'known.part{n}' for n in range(len(named)))}) = ({', '.join(texts)}))"
            f" AND NOT EXISTS (SELECT FROM ingest.staged_row s WHERE {_STAGED} AND s.key = t.key OFFSET 0)"
            f" AND NOT EXISTS (SELECT FROM ingest.staged_violation s WHERE {_STAGED} AND s.key = t.key OFFSET 0)",
            county, pair.pair, table.name, run_id, batch, check.rule.value, check.column, *there,
            timeout=SECONDS,
        )  # fmt: skip
        held += int(status.rsplit(" ", 1)[1])
    return held
