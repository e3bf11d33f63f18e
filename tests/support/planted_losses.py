"""Losses planted by hand in what a pair has landed, recorded or quarantined: a certificate has to notice every one.

Each takes a random generator, so that a printed seed gives the same loss again, and answers what it did; null where
there is nothing to do it to.
"""

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from random import Random
from typing import Any

from contracts.mapping import ColumnType, Pair, SourceTable
from tests.support.sync_jobs import SyncBench

Rows = Sequence[dict[str, Any]]


@dataclass
class Losses:
    """Plants losses through the database's owner; what is planted in `unplant`'s reach can be taken back."""

    bench: SyncBench
    pair: Pair
    random: Random

    async def plant(self, name: str) -> str | None:
        """Plant one loss of a kind."""
        return await KINDS[name](self)

    async def rows(self, query: str, *arguments: Any) -> Rows:
        connection = await self.bench.superuser()
        try:
            return [dict(row) for row in await connection.fetch(query, *arguments)]
        finally:
            await connection.close()

    async def do(self, statement: str, *arguments: Any) -> None:
        connection = await self.bench.superuser()
        try:
            done = await connection.execute(statement, *arguments)
        finally:
            await connection.close()
        assert not done.endswith(" 0"), f"nothing was planted by {statement}"

    async def any_row(self, table: SourceTable | None = None, *, with_text: str = "%") -> dict[str, Any] | None:
        """A landed row that counts; chosen in an order that is the same in every database."""
        found = await self.rows(
            "SELECT source_table, key, digest, image, personal FROM ingest.source_row r WHERE pair = $1"
            " AND NOT is_filtered AND ($2::text IS NULL OR source_table = $2) AND image LIKE $3 AND NOT EXISTS (SELECT"
            "  FROM ingest.quarantine q WHERE (q.pair, q.source_table, q.key) = (r.pair, r.source_table, r.key))"
            ' ORDER BY source_table, key COLLATE "C"',
            self.pair.pair,
            table.name if table else None,
            with_text,
        )
        return self.random.choice(found) if found else None

    async def store(self, row: dict[str, Any], image: dict[str, Any]) -> None:
        """The image in place of the row's own; everything beside it stays, the stored digest too."""
        await self.do(
            "UPDATE ingest.source_row SET image = $4 WHERE pair = $1 AND source_table = $2 AND key = $3",
            self.pair.pair, row["source_table"], row["key"], json.dumps(image, separators=(",", ":")),
        )  # fmt: skip

    def tables_with(self, wanted: Callable[[SourceTable], bool]) -> list[SourceTable]:
        found = [table for table in self.pair.tables if wanted(table)]
        self.random.shuffle(found)
        return found


def values_of(table: SourceTable, kind: ColumnType) -> list[str]:
    return [name for name, found in table.columns.items() if found is kind and name not in table.key]


async def drop_row(losses: Losses) -> str | None:
    row = await losses.any_row()
    if row is None:
        return None
    await losses.do("DELETE FROM ingest.source_row WHERE pair = $1 AND source_table = $2 AND key = $3",
                    losses.pair.pair, row["source_table"], row["key"])  # fmt: skip
    return f"dropped {row['source_table']} {row['key']}"


async def flip_sign(losses: Losses) -> str | None:
    for table in losses.tables_with(lambda t: bool(values_of(t, ColumnType.DECIMAL))):
        for _ in range(20):
            row = await losses.any_row(table)
            if row is None:
                break
            image = json.loads(row["image"])
            names = [n for n in values_of(table, ColumnType.DECIMAL) if image.get(n) and Decimal(image[n]) != 0]
            if names:
                name = losses.random.choice(names)
                image[name] = image[name][1:] if image[name].startswith("-") else f"-{image[name]}"
                await losses.store(row, image)
                return f"flipped {table.name} {row['key']} {name}"
    return None


async def swap_values(losses: Losses) -> str | None:
    """Two rows of one table trade a value: counts and sums stay as they were."""
    for table in losses.tables_with(lambda t: bool(set(t.columns) - set(t.key) - set(t.personal))):
        for _ in range(20):
            one, two = await losses.any_row(table), await losses.any_row(table)
            if one is None or two is None:
                break
            first, second = json.loads(one["image"]), json.loads(two["image"])
            columns = set(table.columns) - set(table.key) - set(table.personal)
            if names := sorted(name for name in columns if first[name] != second[name]):
                name = losses.random.choice(names)
                first[name], second[name] = second[name], first[name]
                await losses.store(one, first)
                await losses.store(two, second)
                return f"swapped {name} of {table.name} {one['key']} and {two['key']}"
    return None


async def swap_rows(losses: Losses) -> str | None:
    """Two rows trade everything but their keys' column: the sums of all contents stay as they were."""
    table = losses.random.choice(losses.pair.tables)
    one, two = await losses.any_row(table), await losses.any_row(table)
    if one is None or two is None or one["key"] == two["key"]:
        return None
    for row, other in ((one, two), (two, one)):
        await losses.do(
            "UPDATE ingest.source_row SET image = $4, personal = $5, digest = $6 WHERE pair = $1 AND source_table = $2"
            " AND key = $3", losses.pair.pair, table.name, row["key"], other["image"], other["personal"],
            other["digest"],
        )  # fmt: skip
    return f"swapped {table.name} {one['key']} and {two['key']}"


async def duplicate_pair(losses: Losses) -> str | None:
    """Two copies of a row under other keys: an exclusive or of hashes would not see a pair."""
    row = await losses.any_row()
    if row is None:
        return None
    for number in (1, 2):
        await losses.do(
            "INSERT INTO ingest.source_row (county, pair, source_table, key, digest, image, personal, parcel_id,"
            " sale_id, owner_id, lot_id, range_number, created_sequence, sequence) SELECT county, pair, source_table,"
            " key || $4, digest, image, personal, parcel_id, sale_id, owner_id, lot_id, range_number, created_sequence,"
            " sequence FROM ingest.source_row WHERE pair = $1 AND source_table = $2 AND key = $3",
            losses.pair.pair, row["source_table"], row["key"], f" copy {number}",
        )  # fmt: skip
    return f"duplicated {row['source_table']} {row['key']} twice"


async def null_for_empty(losses: Losses) -> str | None:
    """Null for the empty text, or the empty text for null."""
    for table in losses.tables_with(lambda t: bool(set(values_of(t, ColumnType.TEXT)) - set(t.personal))):
        for _ in range(40):
            row = await losses.any_row(table)
            if row is None:
                break
            image = json.loads(row["image"])
            texts = sorted(set(values_of(table, ColumnType.TEXT)) - set(table.personal))
            if names := [name for name in texts if image[name] in {None, ""}]:
                name = losses.random.choice(names)
                image[name] = "" if image[name] is None else None
                await losses.store(row, image)
                return f"{name} of {table.name} {row['key']} is {image[name]!r}"
    return None


async def change_parcel(losses: Losses) -> str | None:
    found = await losses.rows(
        "SELECT parcel_id FROM ingest.parcel WHERE pair = $1 AND is_current AND is_active ORDER BY parcel_id",
        losses.pair.pair,
    )
    if not found:
        return None
    parcel = losses.random.choice(found)["parcel_id"]
    column = losses.random.choice(["total_value_usd", "land_value_usd", "market_value_usd"])
    await losses.do(f"UPDATE ingest.parcel SET {column} = coalesce({column}, 0) + 0.01 WHERE pair = $1"
                    " AND parcel_id = $2 AND is_current", losses.pair.pair, parcel)  # fmt: skip
    return f"changed {column} of parcel {parcel}"


async def change_owner(losses: Losses) -> str | None:
    found = await losses.rows("SELECT parcel_id, owner_id FROM ingest.owner WHERE pair = $1 ORDER BY 1, 2",
                              losses.pair.pair)  # fmt: skip
    if not found:
        return None
    owner = losses.random.choice(found)
    await losses.do("UPDATE ingest.owner SET name = coalesce(name, '') || 'x' WHERE pair = $1 AND parcel_id = $2"
                    " AND owner_id = $3", losses.pair.pair, owner["parcel_id"], owner["owner_id"])  # fmt: skip
    return f"changed the name of owner {owner['owner_id']}"


async def drop_sale(losses: Losses) -> str | None:
    found = await losses.rows("SELECT DISTINCT sale_id FROM ingest.sale WHERE pair = $1 ORDER BY 1", losses.pair.pair)
    if not found:
        return None
    sale = losses.random.choice(found)["sale_id"]
    await losses.do("DELETE FROM ingest.sale WHERE pair = $1 AND sale_id = $2", losses.pair.pair, sale)
    return f"dropped sale {sale}"


async def release_quarantine(losses: Losses) -> str | None:
    found = await losses.rows(
        'SELECT source_table, key, rule FROM ingest.quarantine WHERE pair = $1 ORDER BY 1, key COLLATE "C", 3',
        losses.pair.pair,
    )
    if not found:
        return None
    entry = losses.random.choice(found)
    await losses.do("DELETE FROM ingest.quarantine WHERE pair = $1 AND source_table = $2 AND key = $3 AND rule = $4",
                    losses.pair.pair, *entry.values())  # fmt: skip
    return f"released {entry}"


async def change_personal(losses: Losses) -> str | None:
    for table in losses.tables_with(lambda t: bool(t.personal)):
        row = await losses.any_row(table)
        if row is not None and row["personal"] is not None:
            values = json.loads(row["personal"])
            name = losses.random.choice(sorted(values))
            values[name] = f"{values[name] or ''}x"
            await losses.do(
                "UPDATE ingest.source_row SET personal = $4 WHERE pair = $1 AND source_table = $2 AND key = $3",
                losses.pair.pair, table.name, row["key"], json.dumps(values, separators=(",", ":")),
            )  # fmt: skip
            return f"changed personal {name} of {table.name} {row['key']}"
    return None


async def relink(losses: Losses) -> str | None:
    row = await losses.any_row(next((t for t in losses.tables_with(lambda t: "parcel_id" in t.links)), None))
    if row is None:
        return None
    await losses.do("UPDATE ingest.source_row SET parcel_id = 'nowhere' WHERE pair = $1 AND source_table = $2"
                    " AND key = $3", losses.pair.pair, row["source_table"], row["key"])  # fmt: skip
    return f"relinked {row['source_table']} {row['key']}"


async def damage_image(losses: Losses) -> str | None:
    row = await losses.any_row()
    if row is None:
        return None
    await losses.do("UPDATE ingest.source_row SET image = left(image, -1) WHERE pair = $1 AND source_table = $2"
                    " AND key = $3", losses.pair.pair, row["source_table"], row["key"])  # fmt: skip
    return f"damaged {row['source_table']} {row['key']}"


KINDS: dict[str, Callable[[Losses], Awaitable[str | None]]] = {
    "dropped_row": drop_row,
    "flipped_sign": flip_sign,
    "swapped_values": swap_values,
    "swapped_rows": swap_rows,
    "duplicated_pair": duplicate_pair,
    "null_for_empty": null_for_empty,
    "changed_parcel": change_parcel,
    "changed_owner": change_owner,
    "dropped_sale": drop_sale,
    "released_quarantine": release_quarantine,
    "changed_personal": change_personal,
    "wrong_link": relink,
    "damaged_image": damage_image,
}
TABLES = ("source_row", "quarantine", "parcel", "owner", "sale")


async def keep(bench: SyncBench) -> None:
    """Remember everything, to come back to it after each loss."""
    connection = await bench.superuser()
    try:
        await connection.execute("CREATE SCHEMA IF NOT EXISTS kept")
        for table in TABLES:
            await connection.execute(f"DROP TABLE IF EXISTS kept.{table}")
            await connection.execute(f"CREATE TABLE kept.{table} AS SELECT * FROM ingest.{table}")
    finally:
        await connection.close()


async def give_back(bench: SyncBench) -> None:
    """As everything was when it was kept."""
    connection = await bench.superuser()
    try:
        async with connection.transaction():
            for table in TABLES:
                columns = await connection.fetch(
                    "SELECT column_name FROM information_schema.columns WHERE table_schema = 'kept'"
                    " AND table_name = $1", table,
                )  # fmt: skip
                names = ", ".join(row["column_name"] for row in columns)
                await connection.execute(f"DELETE FROM ingest.{table}")
                await connection.execute(f"INSERT INTO ingest.{table} ({names}) SELECT {names} FROM kept.{table}")
    finally:
        await connection.close()
