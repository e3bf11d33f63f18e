"""Lands rows that a test makes by hand, as the landing engine does, without any source."""

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import polars as pl

from chassis.database import Database, UnitOfWork
from contracts.county import County
from contracts.mapping import Link, Pair
from services.ingest.domain.entities import link_values
from services.ingest.domain.envelopes import Run
from services.ingest.domain.rows import DIGEST, KEY, images, normalise, personal_images
from services.ingest.record.canonical import Renewed, renew
from services.ingest.record.telling import Told, tell_rows

SEEN = datetime(2026, 3, 2, 12, tzinfo=UTC)
Rows = Mapping[str, Sequence[Mapping[str, Any]]]
_COLUMNS = ("source_table", "key", "digest", "image", "personal", "parcel_id", "sale_id", "owner_id", "lot_id")
_LINKS = {"parcel_id": Link.PARCEL_ID, "sale_id": Link.SALE_ID, "owner_id": Link.OWNER_ID, "lot_id": Link.LOT_ID}


@dataclass
class HandLanded:
    """A pair of a county that a test follows by hand; every `land` is a run."""

    database: Database
    county: County
    pair: Pair
    working_year: int = 2026
    certified_year: int | None = None
    sequence: int = 0

    async def land(self, rows: Rows, *, batch_parcels: int = 2_000, is_whole: bool = False) -> tuple[Run, Renewed, int]:
        """Make the landed rows those given, renew the record, tell of it, and enter the run into the ledger."""
        run = self.next_run()
        async with self.database.begin(self.county.county) as unit:
            firsts = await self.merge(unit, run, rows)
            renewed = await renew(
                unit,
                run,
                is_whole=is_whole or run.sequence == 1,
                county_file=self.county,
                tells=run.sequence > 1,
                batch_parcels=batch_parcels,
            )
            told = [Told(table, "hash_diff", is_first=table.name in firsts) for table in self.pair.tables]
            envelopes = await tell_rows(unit, run, told)
            await self.enter(unit, run)
        return run, renewed, envelopes

    def next_run(self) -> Run:
        self.sequence += 1
        return Run(
            self.county.county,
            self.pair,
            "pacs_oltp",
            self.sequence,
            SEEN + timedelta(hours=self.sequence),
            operation_id=uuid4(),
            run_id=uuid4(),
            working_year=self.working_year,
            certified_year=self.certified_year,
        )

    def in_year(self, working_year: int) -> "HandLanded":
        """The same pair once the county works on another year."""
        return replace(self, working_year=working_year)

    async def merge(self, unit: UnitOfWork, run: Run, rows: Rows) -> set[str]:
        """Bring `source_row` to the rows; returns the tables that were loaded for the first time."""
        connection, key = unit.connection, (run.county, run.pair.pair, run.sequence)
        await connection.execute(
            "CREATE TEMP TABLE hand (source_table text, key text, digest text, image text, personal text,"
            " parcel_id text, sale_id text, owner_id text, lot_id text) ON COMMIT DROP"
        )
        for table in self.pair.tables:
            frame = _frame(self.pair, table.name, rows.get(table.name, ()))
            if frame.height:
                buffer = io.BytesIO(frame.write_csv(include_header=False).encode())
                await connection.copy_to_table("hand", source=buffer, columns=_COLUMNS, format="csv")
        known = await connection.fetch(
            "SELECT DISTINCT source_table FROM ingest.source_row WHERE county = $1 AND pair = $2"
            " UNION SELECT DISTINCT source_table FROM ingest.sync_table WHERE county = $1 AND pair = $2",
            *key[:2],
        )
        firsts = {table.name for table in self.pair.tables} - {row[0] for row in known}
        await connection.execute(_BEFORE, *key, sorted(firsts))
        await connection.execute(_FORGET, *key[:2])
        await connection.execute(_LAND, *key)
        for name in firsts:
            await connection.execute(
                "INSERT INTO ingest.sync_table (county, pair, source_table, reader, status) VALUES ($1, $2, $3,"
                " 'hash_diff', 'followed')",
                *key[:2],
                name,
            )
        return firsts

    async def enter(self, unit: UnitOfWork, run: Run) -> None:
        await unit.connection.execute(
            "INSERT INTO ingest.sync_pair (county, pair, reader, tables, sequence, last_operation_id)"
            " VALUES ($1, $2, 'hash_diff', '[]', $3, $4) ON CONFLICT (county, pair) DO UPDATE SET"
            " sequence = excluded.sequence, last_operation_id = excluded.last_operation_id",
            run.county,
            run.pair.pair,
            run.sequence,
            run.operation_id,
        )
        await unit.connection.execute(
            "INSERT INTO ingest.sync_operation (county, id, pair, mode, reader, sequence, rows_read, rows_applied,"
            " rows_unchanged, rows_quarantined, rows_filtered, changes, events, details)"
            " VALUES ($1, $2, $3, 'incremental', 'hash_diff', $4, 0, 0, 0, 0, 0, 0, 0, '{}')",
            run.county,
            run.operation_id,
            run.pair.pair,
            run.sequence,
        )

    async def fetch(self, query: str, *arguments: Any) -> list[dict[str, Any]]:
        async with self.database.read(self.county.county) as connection:
            return [dict(row) for row in await connection.fetch(query, *arguments)]

    async def state(self) -> dict[str, list[dict[str, Any]]]:
        """All that is landed and recorded of the pair, without when it was written."""
        found = {}
        for table in ("source_row", "parcel", "owner", "sale", "neighborhood"):
            query = f"SELECT to_jsonb(t) - 'updated_at' AS row FROM ingest.{table} t WHERE pair = $1"
            rows = await self.fetch(query, self.pair.pair)
            found[table] = sorted((row["row"] for row in rows), key=json.dumps)
        return found

    async def said(self, *prefixes: str) -> list[dict[str, Any]]:
        """What waits in the outbox under these subjects: subject, headers, body; it is forgotten afterwards."""
        rows = await self.fetch("SELECT id, subject, headers, body FROM chassis.outbox ORDER BY position")
        found = [row for row in rows if row["subject"].startswith(prefixes)]
        async with self.database.begin(self.county.county) as unit:
            await unit.connection.execute(
                "DELETE FROM chassis.outbox WHERE id = ANY($1::uuid[])", [row["id"] for row in rows]
            )
        return [row | {"body": json.loads(row["body"]) if row["body"] else None} for row in found]


def ids_of(said: Sequence[Mapping[str, Any]]) -> list[UUID]:
    """The ids of messages."""
    return [row["id"] for row in said]


def _frame(pair: Pair, name: str, rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    table = pair.table_by_name[name]
    texts = [{**dict.fromkeys(table.columns), **{k: str(v) for k, v in row.items() if v is not None}} for row in rows]
    clean = normalise(table, pl.DataFrame(texts, schema=dict.fromkeys(table.columns, pl.String)))
    links = [
        link_values(table, clean, link).cast(pl.String).alias(column)
        if link in table.links
        else pl.lit(None, dtype=pl.String).alias(column)
        for column, link in _LINKS.items()
    ]
    return clean.select(
        pl.lit(name).alias("source_table"),
        pl.col(KEY).alias("key"),
        pl.col(DIGEST).alias("digest"),
        images(table, clean).alias("image"),
        personal_images(table, clean).alias("personal"),
        *links,
    )


_BEFORE = """
INSERT INTO ingest.row_before (county, pair, sequence, source_table, op, key, digest, image, personal, parcel_id,
  sale_id, owner_id, lot_id, created_sequence, changed_sequence, is_filtered, range_number)
SELECT $1, $2, $3, coalesce(r.source_table, h.source_table),
  CASE WHEN r.key IS NULL THEN 'c' WHEN h.key IS NULL THEN 'd' ELSE 'u' END, coalesce(r.key, h.key), r.digest, r.image,
  r.personal, r.parcel_id, r.sale_id, r.owner_id, r.lot_id, coalesce(r.created_sequence, $3),
  coalesce(r.sequence, $3), coalesce(r.is_filtered, false), r.range_number
FROM (SELECT * FROM ingest.source_row WHERE county = $1 AND pair = $2) r
FULL JOIN hand h ON h.source_table = r.source_table AND h.key = r.key
WHERE (r.key IS NULL OR h.key IS NULL OR r.digest <> h.digest) AND NOT coalesce(h.source_table, '') = ANY($4)
"""
_FORGET = """
DELETE FROM ingest.source_row r WHERE county = $1 AND pair = $2
  AND NOT EXISTS (SELECT FROM hand h WHERE h.source_table = r.source_table AND h.key = r.key)
"""
_LAND = """
INSERT INTO ingest.source_row (county, pair, source_table, key, digest, image, personal, parcel_id, sale_id, owner_id,
  lot_id, created_sequence, sequence)
SELECT $1, $2, source_table, key, digest, image, personal, parcel_id, sale_id, owner_id, lot_id, $3, $3 FROM hand
ON CONFLICT (county, pair, source_table, key) DO UPDATE SET digest = excluded.digest, image = excluded.image,
  personal = excluded.personal, parcel_id = excluded.parcel_id, sale_id = excluded.sale_id,
  owner_id = excluded.owner_id, lot_id = excluded.lot_id, sequence = excluded.sequence
WHERE source_row.digest <> excluded.digest
"""
