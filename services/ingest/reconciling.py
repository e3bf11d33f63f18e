"""Reconciles a parallel run: what a pair says beside TerraFusion's record, or beside another pair."""

import asyncio
import csv
import json
import tempfile
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from chassis.database import UnitOfWork
from chassis.errors import PermanentError
from chassis.jobs import RunningJob
from contracts.api.sync import SyncParameters
from contracts.mapping import Pair, Together
from services.ingest import pair_queries
from services.ingest.domain.comparison import Comparison, Difference, compared_fields
from services.ingest.domain.contributions import parcel_fields, said_fields
from services.ingest.domain.envelopes import Run
from services.ingest.domain.ownership import shown
from services.ingest.record import comparison_queries as queries
from services.ingest.record import touched
from services.ingest.record.renewal import Renewal

BATCH_PARCELS, PAGE_ROWS = 2_000, 2_000
RECORD = "terrafusion"


class Listing(Renewal):
    """Assembles a pair's parcels out of its landed rows, and lists them for comparison."""

    names: Sequence[str] = ()
    side = ""

    async def list_parcels(self) -> None:
        """All of them."""
        await touched.prepare(self.connection)
        await self._touch(is_whole=True)
        await touched.count_touched(self.connection)
        await self._parcels()
        await touched.finish(self.connection)

    async def _save_parcels(self, parcels: pl.DataFrame, owners: pl.DataFrame, ids: list[str]) -> None:
        there = parcels.filter("is_current", "is_active")
        rows = [
            (row["parcel_id"], self.pair.match.spelt(row["parcel_id"]), _shown(row, self.names))
            for row in there.iter_rows(named=True)
        ]
        await queries.list_rows(self.connection, self.side, rows)


async def compare(job: RunningJob, pair: Pair, parameters: SyncParameters) -> None:
    """Reports, field by field, where a pair and the record (or another pair) say different things.

    Raises:
        PermanentError: `pair_unknown`, `tables_not_loaded`.
    """
    other = _other(pair, parameters.against)
    names = _names(pair, other)
    comparison = Comparison(names, pair.together.tolerances)
    sides = ("legacy", RECORD) if other is None else (pair.pair, other.pair)
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "differences.csv"
        async with job.database.begin(job.county) as unit:
            await queries.prepare(unit.connection)
            year = await _list(job, unit, pair, names, "left")
            if other is None:
                await _list_record(unit, pair, names)
            else:
                await _list(job, unit, other, names, "right")
            await queries.place(unit.connection, job.county, "left", pair, _primary(pair))
            await queries.place(unit.connection, job.county, "right", other or _primary(pair), _primary(pair))
            await _write(job, unit, comparison, report, sides)
        head = {
            "county": job.county,
            "pair": pair.pair,
            "against": sides[1],
            "working_year": year,
            "compared_at": datetime.now(UTC).isoformat(),
            "tolerances": {name: pair.together.tolerances[name] for name in names if name in pair.together.tolerances},
        }
        document = json.dumps({**head, **comparison.summary()}, indent=1).encode()
        await job.store("comparison.json", document, media_type="application/json")
        await job.store("differences.csv", report, media_type="text/csv")
    differing = {name: count.differing for name, count in comparison.fields.items() if count.differing}
    async with job.completing({**head, "mode": "compare", "parcels": comparison.parcels, "differing": differing}):
        pass


def _other(pair: Pair, name: str | None) -> Pair | None:
    if name is None:
        return None
    found = next((other for other in pair.together.pairs if other.pair == name), None)
    if found is None:
        raise PermanentError("pair_unknown", f"the county has no pair {name!r}")
    return found


def _primary(pair: Pair) -> Pair:
    return pair.together.primary or pair


def _names(pair: Pair, other: Pair | None) -> list[str]:
    """Fields that both say; what a mapping takes from a personal column is left out."""
    personal = {*_personal(pair), *(_personal(other) if other else ())}
    return compared_fields(said_fields(pair), personal, said_fields(other) if other else None)


def _personal(pair: Pair) -> set[str]:
    tables = pair.table_by_name
    mapped = next(fields for name, _, fields in pair.entities.mapped() if name == "parcel")
    return {
        name
        for name, field in mapped.items()
        if any(source.name in tables[source.table].personal for source in field.sources)
    }


async def _list(job: RunningJob, unit: UnitOfWork, pair: Pair, names: Sequence[str], side: str) -> int:
    """Lists a pair's parcels as its landed rows make them; returns its working year."""
    known = await pair_queries.read_pair(unit.connection, job.county, pair.pair)
    if known is None or not known["sequence"] or known["working_year"] is None:
        raise PermanentError("tables_not_loaded", f"{pair.pair} was never synchronised")
    await job.progress(0, 1, "pairs", f"reading what is landed of {pair.pair}")
    alone = pair.model_copy(update={"official": None})
    run = Run(job.county, alone, "", known["sequence"], datetime.now(UTC), job.id, job.id, known["working_year"])
    listing = Listing(unit, run, job.county_file, tells=False, batch_rows=BATCH_PARCELS, together=Together())
    listing.names, listing.side = names, side
    await listing.list_parcels()
    return int(known["working_year"])


async def _list_record(unit: UnitOfWork, pair: Pair, names: Sequence[str]) -> None:
    primary = _primary(pair)
    async for page in queries.recorded_pages(unit.connection, unit.county, primary.pair, rows=PAGE_ROWS):
        rows = [(row["parcel_id"], row["parcel_id"], _shown(row, names)) for row in page]
        await queries.list_rows(unit.connection, "right", rows)


async def _write(
    job: RunningJob, unit: UnitOfWork, comparison: Comparison, report: Path, sides: tuple[str, str]
) -> None:
    with report.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["parcel_id", "field", *sides])
        async for page in queries.compared_pages(unit.connection, rows=PAGE_ROWS):
            job.check()
            found = await asyncio.to_thread(
                comparison.add, [(row["parcel_id"], row["left_fields"], row["right_fields"]) for row in page]
            )
            writer.writerows(_lines(found))


def _lines(differences: Iterable[Difference]) -> Iterable[list[Any]]:
    return ([one.parcel_id, one.field, one.left, one.right] for one in differences)


def _shown(row: Any, names: Sequence[str]) -> dict[str, Any]:
    return {name: shown(name, value) for name, value in parcel_fields(row, names).items()}
