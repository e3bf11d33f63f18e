"""The landed side of a table: every stored row, made a row again and counted anew, page by page."""

import asyncio
from collections.abc import Collection
from typing import Any

import polars as pl

from contracts.mapping import SourceTable
from services.ingest.certificate import queries
from services.ingest.domain.certificate import LandedSide
from services.ingest.domain.restored import restore
from services.ingest.domain.rows import KEY
from services.ingest.domain.tallies import CONTENT, HashSet, buckets_of, hash_halves

SEPARATOR = "\0"


async def landed_side(connection: Any, county: str, pair: str, table: SourceTable, *, sequence: int) -> LandedSide:
    """What a table's landed rows come to; none of the stored digests is believed."""
    side, left_out = LandedSide(), HashSet()
    async for page in queries.landed_pages(connection, county, pair, table.name, sequence=sequence):
        await asyncio.to_thread(_take, side, left_out, table, page)
    side.filtered = left_out.count()
    held = HashSet()
    async for keys in queries.quarantined_pages(connection, county, pair, table.name):
        held.add(pl.Series([f"{key}{SEPARATOR}{rule}" for key, rule in keys], dtype=pl.String))
    side.quarantine = held.count()
    return side


def _take(side: LandedSide, left_out: HashSet, table: SourceTable, page: pl.DataFrame) -> None:
    found = restore(table, page)
    side.damaged += found.damaged
    side.wrong_digests += found.wrong_digests
    side.wrong_links += found.wrong_links
    side.unmasked += found.unmasked
    left_out.add(found.rows.filter("is_filtered")[CONTENT])
    counting = found.rows.filter(~pl.col("is_filtered"))
    side.held += int(counting["is_held"].sum())
    good = counting.filter(~pl.col("is_held"))
    side.unplaced += good["range_number"].null_count()
    side.accepted.take(table, good, numbers=good["range_number"])


async def landed_contents(
    connection: Any, county: str, pair: str, table: SourceTable, *, sequence: int, buckets: Collection[int]
) -> dict[str, str]:
    """Keys with their contents' hashes of some parts of a table."""
    found: dict[str, str] = {}
    async for page in queries.landed_pages(connection, county, pair, table.name, sequence=sequence):
        chosen = await asyncio.to_thread(_chosen, table, page, buckets)
        found.update(chosen.select(KEY, CONTENT).iter_rows())
    return found


def _chosen(table: SourceTable, page: pl.DataFrame, buckets: Collection[int]) -> pl.DataFrame:
    counting = page.filter(~pl.col("is_filtered") & ~pl.col("is_held"))
    places = pl.Series(buckets_of(hash_halves(counting["key"]))) if counting.height else pl.Series([], dtype=pl.Int64)
    return restore(table, counting.filter(places.is_in(list(buckets)))).rows
