"""SQL of staging: a batch in a temporary table, compared with what is landed. Values are always parameters.

What a run has just written is not analysed, and PostgreSQL expects a row of it: `OFFSET 0` makes rows be looked up by
their whole key all the same, and what stands in `incoming` is asked in ways that it answers by a hash.

`incoming` has the rows of one batch. Its verdicts: `a` accepted, `q` held back by a rule, `r` held back as a repeat,
`f` left out by the mapping, where nothing else says so.
"""
# ruff: noqa: S608

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import polars as pl
from asyncpg import UniqueViolationError

from services.ingest.landing.block import COLUMNS

SECONDS = 3_600
"""How long one statement over a whole table may take."""

_KEY_BYTES = 128
"""What a key takes in a hash, long ones among them."""

LINKS = "parcel_id, sale_id, owner_id, lot_id"
_COMPARED = f"t.key, t.digest, t.image, t.personal, {LINKS}, t.range_number, t.is_filtered"
_CREATE = """
CREATE TEMP TABLE incoming (
  place bigint, verdict text, key text, digest text, image text, personal text, parcel_id text, sale_id text,
  owner_id text, lot_id text, is_filtered boolean, repeat_order text, op text, log text) ON COMMIT DROP
"""
_LANDED = "t.county = $1 AND t.pair = $2 AND t.source_table = $3"
_STAGED = "s.county = $1 AND s.pair = $2 AND s.source_table = $3 AND s.run_id = $4"
NOT_INCOMING = "t.key NOT IN (SELECT i.key FROM incoming i WHERE i.key IS NOT NULL)"


@dataclass(frozen=True, slots=True)
class Place:
    """Which batch of which run of which table."""

    county: str
    pair: str
    table: str
    run_id: UUID
    batch: int

    @property
    def of_table(self) -> tuple[Any, ...]:
        """Parameters 1 to 4."""
        return self.county, self.pair, self.table, self.run_id

    @property
    def of_batch(self) -> tuple[Any, ...]:
        """Parameters 1 to 5."""
        return *self.of_table, self.batch


async def create_incoming(connection: Any) -> None:
    """A table for this transaction alone."""
    await connection.execute(_CREATE)


async def copy_incoming(connection: Any, csv: bytes) -> None:
    """Rows as `prepare` spelt them."""
    if csv:
        await connection.copy_to_table(
            "incoming", source=io.BytesIO(csv), columns=list(COLUMNS), format="csv", timeout=SECONDS
        )


async def index_incoming(connection: Any, *, rows: int) -> None:
    """Let the planner know what came, and give it the room to ask all the keys by a hash.

    A file is one range however long it is; a hash of keys that PostgreSQL finds too large for its `work_mem` it does
    not make, and compares every key with every other.
    """
    kilobytes = 4_096 + rows * _KEY_BYTES // 1_024
    await connection.execute("SELECT set_config('work_mem', $1, true)", f"{kilobytes}kB")
    await connection.execute("ANALYZE incoming", timeout=SECONDS)


async def resolve_repeats(connection: Any, place: Place, *, is_ordered: bool, fields: str) -> tuple[int, int]:
    """Parts rows that share a key over the whole batch; how many were quarantined and how many left out by it.

    Of rows that are alike one counts; of rows that differ none does, unless the mapping says which comes first.
    """
    await connection.execute(
        "CREATE TEMP TABLE repeated ON COMMIT DROP AS SELECT key, count(DISTINCT digest) > 1 OR bool_or(verdict = 'r')"
        " AS differs FROM incoming WHERE verdict IN ('a', 'r') AND place >= 0 OR verdict = 'r' GROUP BY key"
        " HAVING count(*) > 1",
        timeout=SECONDS,
    )
    held = 0
    if not is_ordered:
        held = await connection.fetchval(
            "WITH moved AS (UPDATE incoming i SET verdict = 'r', image = NULL, personal = NULL FROM repeated r"
            "  WHERE r.differs AND i.key = r.key AND i.verdict = 'a' RETURNING 1) SELECT count(*) FROM moved",
            timeout=SECONDS,
        )
        await connection.execute(
            "INSERT INTO ingest.staged_violation (county, pair, source_table, run_id, batch, key, rule, field, value)"
            " SELECT $1, $2, $3, $4, $5, key, 'key_repeated', $6, key FROM repeated WHERE differs",
            *place.of_batch,
            fields,
        )
    dropped = await connection.fetchval(
        "WITH dropped AS (DELETE FROM incoming i USING (SELECT n.ctid, row_number() OVER (PARTITION BY key"
        '   ORDER BY repeat_order COLLATE "C" NULLS LAST, place) AS n FROM incoming n JOIN repeated r USING (key)'
        "   WHERE verdict = 'a') d WHERE i.ctid = d.ctid AND d.n > 1 RETURNING 1) SELECT count(*) FROM dropped",
        timeout=SECONDS,
    )
    return held, dropped


async def land_first(connection: Any, place: Place, *, number: int, sequence: int) -> tuple[int, bool]:
    """Land the rows of a range of a table of which nothing is; how many, and whether any was there already.

    Nobody sees them before the pair has come to the run's sequence. A row that is there already was met in another
    range, as its key is one that the source tells apart and we do not: it is left for `hold_met_twice`. That is rare,
    and looking for it at every row costs a quarter of landing it.
    """
    values = (place.county, place.pair, place.table, number, sequence)
    await connection.execute("SAVEPOINT landing")
    try:
        return _rows(await connection.execute(_LAND, *values, timeout=SECONDS)), False
    except UniqueViolationError:
        await connection.execute("ROLLBACK TO SAVEPOINT landing")
        return _rows(await connection.execute(f"{_LAND} {_CONFLICT} DO NOTHING", *values, timeout=SECONDS)), True


def _rows(status: str) -> int:
    return int(status.rsplit(" ", 1)[1])


async def land_again(connection: Any, place: Place, *, sequence: int) -> int:
    """Land rows of a first load that are read once more, by their keys; how many are new."""
    created: int = await connection.fetchval(
        f"WITH landed AS ({_LAND} {_CONFLICT} DO UPDATE SET {_taken_over('range_number')}"
        "  RETURNING (xmax = 0) AS is_new) SELECT count(*) FILTER (WHERE is_new) FROM landed",
        place.county, place.pair, place.table, None, sequence, timeout=SECONDS,
    )  # fmt: skip
    return created


_LAND = (
    "INSERT INTO ingest.source_row (county, pair, source_table, key, digest, image, personal,"
    f" {LINKS}, is_filtered, range_number, created_sequence, sequence)"
    f" SELECT $1, $2, $3, key, digest, image, personal, {LINKS}, is_filtered, $4::integer, $5, $5 FROM incoming"
    " WHERE verdict = 'a' AND op IS DISTINCT FROM 'd'"
)
_CONFLICT = "ON CONFLICT (county, pair, source_table, key)"


def _taken_over(*kept: str) -> str:
    """What a newer reading of a row sets; of `kept` the older value stays where the newer has none."""
    names = ("digest", "image", "personal", *LINKS.split(", "), "is_filtered", "sequence")
    sets = [f"{name} = excluded.{name}" for name in names]
    return ", ".join([*sets, *(f"{name} = coalesce(excluded.{name}, source_row.{name})" for name in kept)])


async def hold_met_twice(connection: Any, place: Place, *, number: int, sequence: int, fields: str) -> int:
    """Hold back keys that two ranges of a first load have; how many."""
    met = await connection.fetch(
        "DELETE FROM ingest.source_row d WHERE d.ctid = ANY(ARRAY(SELECT l.row FROM incoming i CROSS JOIN LATERAL"
        f" (SELECT t.ctid AS row, t.range_number, t.created_sequence FROM ingest.source_row t WHERE {_LANDED}"
        "   AND t.key = i.key OFFSET 0) l WHERE i.verdict = 'a' AND l.range_number IS DISTINCT FROM $4"
        "  AND l.created_sequence = $5)) RETURNING d.key",
        place.county,
        place.pair,
        place.table,
        number,
        sequence,
        timeout=SECONDS,
    )
    keys = [row["key"] for row in met]
    await connection.execute(
        "INSERT INTO ingest.staged_violation (county, pair, source_table, run_id, batch, key, rule, field, value)"
        " SELECT $1, $2, $3, $4, $5, key, 'key_repeated', $6, key FROM unnest($7::text[]) AS met (key)",
        *place.of_batch,
        fields,
        keys,
    )
    return len(keys)


async def forget_first(connection: Any, place: Place, *, sequence: int, keys: Sequence[str]) -> int:
    """Drop rows of a first load that are gone since they were read; how many were."""
    status: str = await connection.execute(
        f"DELETE FROM ingest.source_row t WHERE {_LANDED} AND t.created_sequence = $4 AND t.key = ANY($5::text[])",
        place.county,
        place.pair,
        place.table,
        sequence,
        list(keys),
    )
    return int(status.rsplit(" ", 1)[1])


async def stage_differences(
    connection: Any, place: Place, *, number: int | None, has_earlier: bool, is_renewed: bool
) -> dict[str, int]:
    """Stage what differs from what is landed; how many of each op.

    `has_earlier`: batches before may have staged the same keys, which this one then says anew. `is_renewed`: the
    mapping is another, so links and images may be where the digest is not.
    """
    earlier = f"EXISTS (SELECT FROM ingest.staged_row s WHERE {_STAGED} AND s.batch < $5 AND s.key = i.key OFFSET 0)"
    named = ("image", "personal", *LINKS.split(", "))
    sides = (", ".join(f"{side}.{name}" for name in named) for side in "ti")
    renewed = "({}) IS DISTINCT FROM ({})".format(*sides)
    differs = "t.key IS NULL OR t.digest IS DISTINCT FROM i.digest OR t.is_filtered <> i.is_filtered"
    moved = "t.range_number IS DISTINCT FROM $6::integer" if number is not None else "$6::integer IS NOT NULL"
    chosen = [differs, moved, *([earlier] if has_earlier else []), *([renewed] if is_renewed else [])]
    shown = f"({differs})" + (f" OR {renewed}" if is_renewed else "")
    rows = await connection.fetch(
        "WITH staged AS (INSERT INTO ingest.staged_row (county, pair, source_table, run_id, batch, place, op, key,"
        f"  digest, image, personal, {LINKS}, range_number, is_filtered)"
        " SELECT $1, $2, $3, $4, $5, i.place, CASE WHEN i.verdict <> 'a' THEN 'm' WHEN t.key IS NULL THEN 'c'"
        "   WHEN t.digest IS DISTINCT FROM i.digest OR t.is_filtered <> i.is_filtered THEN 'u' ELSE 'm' END,"
        f"  i.key, i.digest, CASE WHEN {shown} THEN i.image END, CASE WHEN {shown} THEN i.personal END,"
        "  i.parcel_id, i.sale_id, i.owner_id, i.lot_id, coalesce($6::integer, t.range_number),"
        "  CASE WHEN i.verdict = 'a' THEN i.is_filtered ELSE t.is_filtered END"
        f" FROM incoming i LEFT JOIN LATERAL (SELECT {_COMPARED} FROM ingest.source_row t"
        f"  WHERE {_LANDED} AND t.key = i.key OFFSET 0) t ON true"
        f" WHERE i.verdict = 'a' AND ({' OR '.join(chosen)}) OR i.verdict <> 'a' AND t.key IS NOT NULL AND {moved}"
        " RETURNING op)"
        " SELECT op, count(*) AS rows FROM staged GROUP BY op",
        *place.of_batch,
        number,
        timeout=SECONDS,
    )
    return {row["op"]: row["rows"] for row in rows}


async def stage_log(connection: Any, place: Place) -> None:
    """Stage every change of a log, in its order."""
    await connection.execute(
        "INSERT INTO ingest.staged_row (county, pair, source_table, run_id, batch, place, op, key, digest, image,"
        f"  personal, {LINKS}, is_filtered, log)"
        f" SELECT $1, $2, $3, $4, $5, place, op, key, digest, image, personal, {LINKS}, is_filtered, log::jsonb"
        " FROM incoming WHERE verdict = 'a' ORDER BY place",
        *place.of_batch,
        timeout=SECONDS,
    )


async def stage_gone(
    connection: Any, place: Place, *, numbers: list[int], year_column: str | None, years: list[str]
) -> None:
    """Stage landed rows of some ranges that were not read in them: gone, or out of the years that are read.

    A row that another range has by now was moved, and is not gone.
    """
    await connection.execute(
        _stage_landed(year_column) + f" AND t.range_number = ANY($8::integer[]) AND {NOT_INCOMING}"
        f" AND NOT EXISTS (SELECT FROM ingest.staged_row s WHERE {_STAGED} AND s.batch < $5 AND s.key = t.key"
        "  AND s.op IN ('c', 'u', 'm') AND s.range_number <> ALL($8::integer[]) OFFSET 0)",
        *place.of_batch,
        year_column,
        years,
        numbers,
        timeout=SECONDS,
    )


async def stage_unplaced(
    connection: Any, place: Place, *, numbers: list[int], year_column: str | None, years: list[str]
) -> None:
    """At the end of a pass over all ranges: what is landed in none of them is gone."""
    await connection.execute(
        _stage_landed(year_column) + " AND (t.range_number IS NULL OR t.range_number <> ALL($8::integer[]))"
        f" AND NOT EXISTS (SELECT FROM ingest.staged_row s WHERE {_STAGED} AND s.key = t.key"
        "  AND (s.op IN ('d', 'x') OR s.range_number = ANY($8::integer[])) OFFSET 0)"
        f" AND NOT EXISTS (SELECT FROM ingest.staged_violation s WHERE {_STAGED} AND s.key = t.key"
        "  AND s.rule IS NOT NULL OFFSET 0)",
        *place.of_batch,
        year_column,
        years,
        numbers,
        timeout=SECONDS,
    )


async def stage_keys_gone(connection: Any, place: Place, *, keys: Sequence[str]) -> None:
    """Stage the deletion of keys that are landed or were staged before."""
    await connection.execute(
        _stage_landed(None) + " AND t.key = ANY($8::text[])",
        *place.of_batch,
        None,
        [],
        list(keys),
    )
    await connection.execute(
        "DELETE FROM ingest.staged_row s"
        f" WHERE {_STAGED} AND s.batch < $5 AND s.key = ANY($6::text[]) AND s.op = 'c' AND s.log IS NULL",
        *place.of_batch,
        list(keys),
    )


async def stage_left_out(connection: Any, place: Place) -> None:
    """Stage as gone what is left out now; without a range, by which `left_out_keys` knows these rows."""
    await connection.execute(
        "INSERT INTO ingest.staged_row (county, pair, source_table, run_id, batch, place, op, key,"
        f"  {LINKS}, is_filtered)"
        " SELECT DISTINCT ON (i.key) $1, $2, $3, $4::uuid, $5::integer, 0, 'd', i.key, t.parcel_id, t.sale_id,"
        "  t.owner_id, t.lot_id, coalesce(t.is_filtered, false) FROM incoming i"
        f" LEFT JOIN LATERAL (SELECT * FROM ingest.source_row t WHERE {_LANDED} AND t.key = i.key OFFSET 0) t ON true"
        " WHERE i.verdict = 'f' AND NOT EXISTS (SELECT FROM incoming o WHERE o.key = i.key AND o.verdict <> 'f')"
        f" AND (t.key IS NOT NULL OR EXISTS (SELECT FROM ingest.staged_row s WHERE {_STAGED} AND s.key = i.key"
        "  AND s.op IN ('c', 'u') OFFSET 0))",
        *place.of_batch,
        timeout=SECONDS,
    )


async def left_out_keys(connection: Any, place: Place) -> list[str]:
    """Keys of rows that the run found left out: another row of the same key may be the one that counts."""
    rows = await connection.fetch(
        f"SELECT DISTINCT s.key FROM ingest.staged_row s WHERE {_STAGED} AND s.op = 'd' AND s.log IS NULL"
        " AND s.range_number IS NULL AND s.batch < $5",
        *place.of_batch,
        timeout=SECONDS,
    )
    return [row["key"] for row in rows]


async def stage_asked_gone(connection: Any, place: Place, *, link: str, values: Sequence[str]) -> None:
    """Stage landed rows of links that were asked for again and did not come, or are left out now."""
    await connection.execute(
        _stage_landed(None) + f" AND t.{link} = ANY($8::text[]) AND {NOT_INCOMING}",
        *place.of_batch,
        None,
        [],
        list(values),
    )


def _stage_landed(year_column: str | None) -> str:
    """The beginning of a statement that stages landed rows as gone; parameters 6 and 7 are the years that are read."""
    is_old = (
        "NOT (t.image::jsonb ->> $6::text) = ANY($7::text[])"
        if year_column
        else "$6::text IS NOT NULL AND $7::text[] IS NULL"
    )
    return (
        "INSERT INTO ingest.staged_row (county, pair, source_table, run_id, batch, place, op, key,"
        f"  {LINKS}, range_number, is_filtered)"
        f" SELECT $1, $2, $3, $4, $5, 0, CASE WHEN {is_old} THEN 'x' ELSE 'd' END, t.key, t.parcel_id, t.sale_id,"
        f"  t.owner_id, t.lot_id, t.range_number, t.is_filtered FROM ingest.source_row t WHERE {_LANDED}"
    )


async def stage_violations(connection: Any, place: Place, violations: pl.DataFrame) -> None:
    """What broke a rule in this batch."""
    if violations.is_empty():
        return
    await connection.execute(
        "INSERT INTO ingest.staged_violation (county, pair, source_table, run_id, batch, key, rule, field, value,"
        "  source_key)"
        " SELECT $1, $2, $3, $4, $5, key, rule, field, value, source_key::jsonb"
        " FROM unnest($6::text[], $7::text[], $8::text[], $9::text[], $10::text[])"
        "  AS seen (key, rule, field, value, source_key)",
        *place.of_batch,
        *(violations[name].to_list() for name in ("@key", "rule", "field", "value")),
        [json.dumps(key) if key is not None else None for key in violations["@source_key"].to_list()],
    )


async def stage_releases(connection: Any, place: Place) -> None:
    """Keys that were held back, before or earlier in the run, and came in good order now."""
    await connection.execute(
        "INSERT INTO ingest.staged_violation (county, pair, source_table, run_id, batch, key)"
        " SELECT DISTINCT $1, $2, $3, $4::uuid, $5::integer, held.key FROM (SELECT key FROM ingest.quarantine t"
        f"  WHERE {_LANDED} UNION SELECT key FROM ingest.staged_violation s WHERE {_STAGED}) held"
        " WHERE (held.key IN (SELECT i.key FROM incoming i WHERE i.verdict = 'a')) IS TRUE"
        " AND held.key NOT IN (SELECT i.key FROM incoming i WHERE i.verdict <> 'a' AND i.key IS NOT NULL)",
        *place.of_batch,
    )


async def release_keys(connection: Any, place: Place, *, keys: Sequence[str]) -> None:
    """Keys that were asked for and are not there any more, or are left out now."""
    await connection.execute(
        "INSERT INTO ingest.staged_violation (county, pair, source_table, run_id, batch, key)"
        " SELECT $1, $2, $3, $4::uuid, $5::integer, asked.key FROM unnest($6::text[]) AS asked (key)"
        " WHERE NOT EXISTS (SELECT FROM incoming i WHERE i.key = asked.key)",
        *place.of_batch,
        list(keys),
    )


async def save_progress(connection: Any, place: Place, *, values: dict[str, Any]) -> None:
    """What the batch did, so that a run goes on behind it."""
    names = list(values)
    await connection.execute(
        f"INSERT INTO ingest.staged_progress (county, pair, source_table, run_id, batch, {', '.join(names)})"
        f" VALUES ($1, $2, $3, $4, $5, {', '.join(f'${number}' for number in range(6, 6 + len(names)))})",
        *place.of_batch,
        *values.values(),
    )


async def read_progress(connection: Any, place: Place) -> list[Any]:
    """The table's batches of the run so far."""
    rows = await connection.fetch(
        "SELECT batch, position, token, ranges, rows_read, is_done FROM ingest.staged_progress s"
        f" WHERE {_STAGED} ORDER BY batch",
        *place.of_table,
    )
    return list(rows)


@dataclass(frozen=True, slots=True)
class Past:
    """What is known of tables before they are read, or read on."""

    ranges: dict[str, list[Any]]
    batches: dict[str, list[Any]]
    """What the run has staged of them already."""
    landed: frozenset[str]
    """Tables of which an earlier run has landed rows."""
    held: frozenset[str]
    """Tables with rows in quarantine."""


async def read_past(connection: Any, county: str, pair: str, *, run_id: UUID, sequence: int, tables: list[str]) -> Past:
    """What is known of some tables, in four queries however many they are."""
    arguments = (county, pair, tables)
    ranges = await connection.fetch(
        "SELECT source_table, number, lower, upper, digest FROM ingest.sync_range"
        " WHERE county = $1 AND pair = $2 AND source_table = ANY($3)",
        *arguments,
    )
    batches = await connection.fetch(
        "SELECT source_table, batch, position, ranges, rows_read FROM ingest.staged_progress"
        " WHERE county = $1 AND pair = $2 AND source_table = ANY($3) AND run_id = $4 ORDER BY batch",
        *arguments,
        run_id,
    )
    landed = await connection.fetch(
        "SELECT name FROM unnest($3::text[]) AS asked (name) WHERE EXISTS (SELECT FROM ingest.source_row t"
        "  WHERE t.county = $1 AND t.pair = $2 AND t.source_table = name AND t.created_sequence < $4)",
        *arguments,
        sequence,
    )
    held = await connection.fetch(
        "SELECT name FROM unnest($3::text[]) AS asked (name) WHERE EXISTS (SELECT FROM ingest.quarantine t"
        "  WHERE t.county = $1 AND t.pair = $2 AND t.source_table = name)",
        *arguments,
    )
    return Past(
        _by_table(ranges), _by_table(batches), frozenset(r["name"] for r in landed), frozenset(r["name"] for r in held)
    )


def _by_table(rows: list[Any]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for row in rows:
        found.setdefault(row["source_table"], []).append(row)
    return found


async def has_log(connection: Any, place: Place) -> bool:
    """Whether changes of a log were staged."""
    found: bool = await connection.fetchval(
        f"SELECT EXISTS (SELECT FROM ingest.staged_row s WHERE {_STAGED} AND s.log IS NOT NULL)", *place.of_table
    )
    return found


async def quarantined_keys(
    connection: Any, place: Place, *, rules: list[str] | None
) -> list[tuple[str, list[str | None] | None]]:
    """Keys in quarantine that this run has said nothing of yet, and that can be asked for; of some rules, or of all."""
    rows = await connection.fetch(
        f"SELECT DISTINCT ON (t.key) t.key, t.source_key FROM ingest.quarantine t WHERE {_LANDED}"
        " AND t.rule <> 'key_missing' AND ($5::text[] IS NULL OR t.rule = ANY($5))"
        f" AND NOT EXISTS (SELECT FROM ingest.staged_violation s WHERE {_STAGED} AND s.key = t.key)",
        *place.of_table,
        rules,
    )
    return [(row["key"], row["source_key"]) for row in rows]


async def stage_asked_keys_gone(connection: Any, place: Place, *, keys: Sequence[str]) -> None:
    """Stage landed rows that were asked for by their keys and did not come, or are left out now."""
    await connection.execute(
        _stage_landed(None) + f" AND t.key = ANY($8::text[]) AND {NOT_INCOMING}",
        *place.of_batch,
        None,
        [],
        list(keys),
    )
