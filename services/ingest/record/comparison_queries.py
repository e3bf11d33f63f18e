"""The SQL that lays the parcels of two systems beside each other, in temporary tables."""
# ruff: noqa: S608

import io
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import polars as pl

from contracts.mapping import Pair
from services.ingest.domain.contributions import PLACE
from services.ingest.record.contribution_queries import known_by

Row = Mapping[str, Any]
_COLUMNS = ("side", "id", "matches", "fields")


async def prepare(connection: Any) -> None:
    """Tables for this transaction."""
    await connection.execute(
        "CREATE TEMP TABLE listed (side text, id text, matches text, fields jsonb) ON COMMIT DROP;"
        "CREATE TEMP TABLE placed (side text, parcel_id text, fields jsonb, PRIMARY KEY (side, parcel_id))"
        " ON COMMIT DROP"
    )


async def list_rows(connection: Any, side: str, rows: Sequence[tuple[str, str, Mapping[str, Any]]]) -> None:
    """Parcels of one side: their id there, what they match in the record, their fields."""
    if not rows:
        return
    data = [(side, own, matches, json.dumps(fields)) for own, matches, fields in rows]
    buffer = io.BytesIO()
    pl.DataFrame(data, schema=dict.fromkeys(_COLUMNS, pl.String), orient="row").write_csv(buffer, include_header=False)
    buffer.seek(0)
    await connection.copy_to_table("listed", source=buffer, columns=_COLUMNS, format="csv")


async def place(connection: Any, county: str, side: str, pair: Pair, primary: Pair) -> None:
    """Name a side's parcels as the record does; one that is not there keeps its own id."""
    await connection.execute("ANALYZE listed")
    if pair.pair == primary.pair:
        await connection.execute("INSERT INTO placed SELECT side, id, fields FROM listed WHERE side = $1", side)
        return
    await connection.execute(
        "INSERT INTO placed SELECT l.side, coalesce(e.parcel_id, l.id), l.fields FROM listed l LEFT JOIN"
        f" (SELECT parcel_id, {known_by(pair)} AS known FROM ingest.parcel e WHERE county = $1 AND pair = $2"
        "  AND is_current AND is_active) e ON e.known = l.matches WHERE l.side = $4 ORDER BY l.id"
        " ON CONFLICT DO NOTHING",
        county, primary.pair, pair.match.ignore, side,
    )  # fmt: skip


async def recorded_pages(connection: Any, county: str, pair: str, *, rows: int) -> AsyncIterator[list[dict[str, Any]]]:
    """The working layers of active parcels as the record has them, numbers and polygons as they are assembled."""
    cursor = await connection.cursor(
        "SELECT parcel_id, to_jsonb(e) - 'geometry_wkb' AS row, upper(encode(geometry_wkb, 'hex')) AS geometry_wkb"
        " FROM ingest.parcel e WHERE county = $1 AND pair = $2 AND is_current AND is_active ORDER BY parcel_id",
        county, pair,
    )  # fmt: skip
    while page := await cursor.fetch(rows):
        yield [_assembled(row) for row in page]


async def compared_pages(connection: Any, *, rows: int) -> AsyncIterator[list[Row]]:
    """Parcels of both sides beside each other."""
    await connection.execute("ANALYZE placed")
    cursor = await connection.cursor(
        "SELECT parcel_id, l.fields AS left_fields, r.fields AS right_fields"
        " FROM (SELECT * FROM placed WHERE side = 'left') l"
        " FULL JOIN (SELECT * FROM placed WHERE side = 'right') r USING (parcel_id) ORDER BY parcel_id"
    )
    while page := await cursor.fetch(rows):
        yield page


def _assembled(row: Row) -> dict[str, Any]:
    found = dict(row["row"])
    place = {name: found.get(name) for name in PLACE}
    return {**found, **place, "attributes": json.dumps(found["attributes"]), "geometry_wkb": row["geometry_wkb"]}
