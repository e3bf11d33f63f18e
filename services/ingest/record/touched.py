"""The SQL that finds which parcels and sales a run touched, and gives them out in batches."""
# ruff: noqa: S608

from collections.abc import Mapping, Sequence
from typing import Any

from contracts.mapping import Link, Official, Pair
from contracts.pairs import OriginMark
from services.ingest.landing.queries import SECONDS
from services.ingest.record.landed import json_text, literal

STAGES = {"parcel": "parcel_id", "owner": "parcel_id", "sale": "sale_id", "neighborhood": "neighborhood"}
_LINKS = "parcel_id, sale_id, owner_id, lot_id"


async def prepare(connection: Any) -> None:
    """Tables for this transaction, and plans by index.

    What a transaction wrote is not analysed, so estimates mislead: `OFFSET 0` in a subquery makes the rows of the large
    tables be looked up by their whole key all the same.
    """
    await connection.execute(
        "CREATE TEMP TABLE IF NOT EXISTS changed_link (link text, id text, PRIMARY KEY (link, id)) ON COMMIT DROP;"
        "CREATE TEMP TABLE IF NOT EXISTS touched_parcel"
        " (place bigint GENERATED ALWAYS AS IDENTITY, id text PRIMARY KEY) ON COMMIT DROP;"
        "CREATE TEMP TABLE IF NOT EXISTS touched_sale"
        " (place bigint GENERATED ALWAYS AS IDENTITY, id text PRIMARY KEY) ON COMMIT DROP;"
        "CREATE TEMP TABLE IF NOT EXISTS batch_id (link text, id text, PRIMARY KEY (link, id)) ON COMMIT DROP"
    )
    for name, key in STAGES.items():
        await connection.execute(
            f"CREATE TEMP TABLE IF NOT EXISTS stage_{name} (LIKE ingest.{name} INCLUDING DEFAULTS) ON COMMIT DROP;"
            f"CREATE INDEX IF NOT EXISTS stage_{name}_key ON stage_{name} ({key})"
        )
    await connection.execute(
        "SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off;"
        "SET LOCAL jit = off"
    )


async def finish(connection: Any) -> None:
    """Plan as usual again."""
    await connection.execute(
        "SET LOCAL enable_seqscan = on; SET LOCAL enable_hashjoin = on; SET LOCAL enable_mergejoin = on;"
        "SET LOCAL jit = on"
    )


async def changed_tables(connection: Any, county: str, pair: str, *, sequence: int, run_id: Any) -> list[str]:
    """The tables whose rows a run changed."""
    rows = await connection.fetch(
        "SELECT DISTINCT source_table FROM ingest.row_before WHERE county = $1 AND pair = $2 AND sequence = $3"
        " UNION SELECT DISTINCT source_table FROM ingest.staged_row WHERE county = $1 AND pair = $2 AND run_id = $4",
        county,
        pair,
        sequence,
        run_id,
        timeout=SECONDS,
    )
    return [row["source_table"] for row in rows]


async def find_changed_links(
    connection: Any,
    county: str,
    pair: str,
    *,
    sequence: int,
    run_id: Any,
    without: Mapping[str, OriginMark] | None = None,
) -> None:
    """What changed rows identify or identified; by table, `without` those that bear its mark as they are now."""
    await connection.execute(
        "INSERT INTO changed_link SELECT DISTINCT l.link, l.id FROM ("
        f" SELECT {_LINKS} FROM ingest.row_before b WHERE county = $1 AND pair = $2 AND sequence = $3"
        f"  {_but_for_later('b', without)}"
        f" UNION ALL SELECT {', '.join(f'r.{name}' for name in _LINKS.split(', '))} FROM ingest.row_before b"
        "  CROSS JOIN LATERAL (SELECT * FROM ingest.source_row s WHERE s.county = $1 AND s.pair = $2"
        "   AND s.source_table = b.source_table AND s.key = b.key OFFSET 0) r"
        f"  WHERE b.county = $1 AND b.pair = $2 AND b.sequence = $3 {_but_for('r', without)}"
        f" UNION ALL SELECT {_LINKS} FROM ingest.staged_row s WHERE county = $1 AND pair = $2 AND run_id = $4"
        f"  {_but_for('s', without)}"
        ") c CROSS JOIN LATERAL (VALUES ('parcel_id', c.parcel_id), ('sale_id', c.sale_id), ('owner_id', c.owner_id),"
        "  ('lot_id', c.lot_id)) l (link, id) WHERE l.id IS NOT NULL ON CONFLICT DO NOTHING",
        county,
        pair,
        sequence,
        run_id,
        timeout=SECONDS,
    )
    await connection.execute("ANALYZE changed_link", timeout=SECONDS)


def _but_for(row: str, marks: Mapping[str, OriginMark] | None) -> str:
    """That a row does not bear its table's mark."""
    if not marks:
        return ""
    bears = [
        f"{row}.source_table = {literal(table)}"
        f" AND btrim({json_text(row, mark.column)}) IN ({', '.join(map(literal, mark.ours))})"
        for table, mark in marks.items()
    ]
    return f"AND NOT coalesce({' OR '.join(f'({bear})' for bear in bears)}, false)"


def _but_for_later(row: str, marks: Mapping[str, OriginMark] | None) -> str:
    """That what became of a row does not bear its table's mark."""
    if not marks:
        return ""
    return (
        f"AND NOT EXISTS (SELECT FROM ingest.source_row n WHERE n.county = {row}.county AND n.pair = {row}.pair"
        f" AND n.source_table = {row}.source_table AND n.key = {row}.key AND NOT (true {_but_for('n', marks)}))"
    )


async def forget(connection: Any) -> None:
    """Nothing is touched."""
    await connection.execute("TRUNCATE touched_parcel, touched_sale")


async def last_places(connection: Any) -> tuple[int, int]:
    """The places of the parcel and of the sale that were touched last."""
    row = await connection.fetchrow(
        "SELECT coalesce((SELECT max(place) FROM touched_parcel), 0),"
        " coalesce((SELECT max(place) FROM touched_sale), 0)"
    )
    return row[0], row[1]


async def touched_after(connection: Any, name: str, *, place: int, ids: Sequence[str]) -> list[str]:
    """Which of the ids were touched after a place."""
    rows = await connection.fetch(
        f"SELECT id FROM touched_{name} WHERE place > $1 AND id = ANY($2::text[])", place, list(ids)
    )
    return [row["id"] for row in rows]


async def touch(connection: Any, county: str, pair: Pair) -> None:
    """The parcels and sales that the changed links lead to; a few too many do no harm."""
    await connection.execute(
        "INSERT INTO touched_sale (id) SELECT id FROM changed_link WHERE link = 'sale_id' ORDER BY id"
        " ON CONFLICT DO NOTHING;"
        "INSERT INTO touched_parcel (id) SELECT id FROM changed_link WHERE link = 'parcel_id' ORDER BY id"
        " ON CONFLICT DO NOTHING",
        timeout=SECONDS,
    )
    entities = pair.entities
    ways = [(entities.owner, Link.OWNER_ID), (entities.parcel, Link.LOT_ID), (entities.sale, Link.SALE_ID)]
    for entity, link in ways:
        if entity is not None and {link, Link.PARCEL_ID} <= pair.table_by_name[entity.root].links.keys():
            await connection.execute(
                _widen("touched_parcel", "parcel_id", by=link), county, pair.pair, entity.root, timeout=SECONDS
            )


async def touch_sales_of_parcels(connection: Any, county: str, pair: str, *, root: str) -> None:
    """The sales of changed parcels, where a sale is made of a parcel's rows too."""
    await connection.execute(_widen("touched_sale", "sale_id", by=Link.PARCEL_ID), county, pair, root, timeout=SECONDS)


def _widen(touched: str, found: str, *, by: Link) -> str:
    return (
        f"INSERT INTO {touched} (id) SELECT DISTINCT r.{found} FROM changed_link c CROSS JOIN LATERAL (SELECT s.{found}"
        f"  FROM ingest.source_row s WHERE s.county = $1 AND s.pair = $2 AND s.source_table = $3"
        f"  AND s.{by.value} = c.id AND s.{found} IS NOT NULL OFFSET 0) r"
        f" WHERE c.link = '{by.value}' ON CONFLICT DO NOTHING"
    )


async def touch_supplements(connection: Any, county: str, pair: Pair, official: Official, *, sequence: int) -> None:
    """The parcels that have a layer in a supplement whose group, or whose group's status, changed.

    A status row's key is the group alone, so its landed key spells it.
    """
    by_name = pair.table_by_name
    group_table, _, group = official.group.partition(".")
    status_table = official.status.partition(".")[0]
    layers, groups = by_name[official.layers], by_name[group_table]
    of_layer = [json_text("l", layers.link_columns(link)[0]) for link in (Link.TAX_YEAR, Link.SUPPLEMENT)]
    of_group = [json_text("g", groups.link_columns(link)[0]) for link in (Link.TAX_YEAR, Link.SUPPLEMENT)]
    await connection.execute("SET LOCAL enable_hashjoin = on")  # its key is in the images, where no index is
    changed = "SELECT FROM ingest.row_before b WHERE b.county = $1 AND b.pair = $2 AND b.sequence = $3"
    await connection.execute(
        "INSERT INTO touched_parcel (id) SELECT DISTINCT l.parcel_id FROM ("
        f"  SELECT {of_group[0]} AS year, {of_group[1]} AS supplement FROM ingest.source_row g"
        "   WHERE g.county = $1 AND g.pair = $2 AND g.source_table = $4"
        f"   AND (EXISTS ({changed} AND b.source_table = $4 AND b.key = g.key) OR {json_text('g', group)} IN ("
        f"    SELECT s.key FROM ingest.row_before s WHERE s.county = $1 AND s.pair = $2 AND s.sequence = $3"
        "     AND s.source_table = $5))"
        f"  UNION SELECT {of_group[0]}, {of_group[1]} FROM ingest.row_before g WHERE g.county = $1 AND g.pair = $2"
        "   AND g.sequence = $3 AND g.source_table = $4 AND g.image IS NOT NULL"
        " ) s JOIN ingest.source_row l ON l.county = $1 AND l.pair = $2 AND l.source_table = $6"
        f" AND {of_layer[0]} = s.year AND {of_layer[1]} = s.supplement"
        " WHERE l.parcel_id IS NOT NULL ON CONFLICT DO NOTHING",
        county,
        pair.pair,
        sequence,
        group_table,
        status_table,
        official.layers,
        timeout=SECONDS,
    )
    await connection.execute("SET LOCAL enable_hashjoin = off")


async def touch_everything(connection: Any, county: str, pair: Pair) -> None:
    """Every parcel and sale that is landed or recorded, in the order of their ids."""
    named = [("parcel", "parcel_id", pair.entities.parcel.root)]
    named += [("sale", "sale_id", pair.entities.sale.root)] if pair.entities.sale else []
    for name, column, root in named:
        await connection.execute(
            f"INSERT INTO touched_{name} (id) SELECT id FROM ("
            f" SELECT {column} AS id FROM ingest.source_row WHERE county = $1 AND pair = $2 AND source_table = $3"
            f"  AND {column} IS NOT NULL UNION SELECT {column} FROM ingest.{name} WHERE county = $1 AND pair = $2"
            ') t ORDER BY id COLLATE "C"',
            county,
            pair.pair,
            root,
            timeout=SECONDS,
        )


async def count_touched(connection: Any) -> tuple[int, int]:
    """How many parcels and sales are to be renewed."""
    await connection.execute("ANALYZE touched_parcel; ANALYZE touched_sale", timeout=SECONDS)
    row = await connection.fetchrow(
        "SELECT (SELECT count(*) FROM touched_parcel), (SELECT count(*) FROM touched_sale)", timeout=SECONDS
    )
    return row[0], row[1]


async def next_batch(connection: Any, name: str, link: Link, *, after: int, limit: int) -> tuple[int, list[str]]:
    """Make the next touched ids the batch; returns the place to go on after, and the ids."""
    rows = await connection.fetch(
        f"SELECT place, id FROM touched_{name} WHERE place > $1 ORDER BY place LIMIT $2", after, limit
    )
    await connection.execute(f"TRUNCATE batch_id, {', '.join(f'stage_{stage}' for stage in STAGES)}")
    ids = [row["id"] for row in rows]
    await add_to_batch(connection, link, ids)
    return (rows[-1]["place"] if rows else after), ids


async def add_to_batch(connection: Any, link: Link, ids: Sequence[str]) -> None:
    """More ids that rows of the batch are found by."""
    await connection.execute(
        "INSERT INTO batch_id SELECT $1, unnest($2::text[]) ON CONFLICT DO NOTHING", link.value, list(ids)
    )


async def analyze_batch(connection: Any) -> None:
    """Let the planner know how many ids there are."""
    await connection.execute("ANALYZE batch_id")
