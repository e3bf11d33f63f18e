"""Renews what one pair makes of its landed rows: sales and parcels, batch by batch."""

import asyncio
from dataclasses import dataclass, replace

import polars as pl

from chassis.database import UnitOfWork
from contracts.county import County
from contracts.events.ingest import CanonicalFact
from contracts.mapping import Link, Together
from services.ingest.domain import facts
from services.ingest.domain.entities import (
    Years,
    assemble_neighborhoods,
    assemble_parcels,
    assemble_sales,
    linked,
)
from services.ingest.domain.envelopes import Run
from services.ingest.domain.facts import Origin
from services.ingest.domain.reach import (
    Needed,
    built_years,
    needed_for_neighborhoods,
    needed_for_parcels,
    needed_for_sales,
    reaches_everything,
)
from services.ingest.record import landed, queries, touched
from services.ingest.record.merging import Merger
from services.ingest.record.outgoing import FactBook, Outgoing

Frames = dict[str, pl.DataFrame]


@dataclass(frozen=True, slots=True)
class Renewed:
    """What a renewal came to; `parcels` and `sales` are what the record has now, not what changed."""

    parcels: int
    sales: int
    facts: int = 0
    """Events that tell of it."""
    parcels_touched: int = 0
    sales_touched: int = 0
    certified_changes: int = 0
    """Facts that concern the official layer of a certified year."""
    is_batched: bool = False
    is_whole: bool = False
    conflicts: int = 0
    """Contradictions of pairs that are new."""
    contributions: int = 0
    """Parcels of which a contributing pair says something."""
    unmatched: int = 0
    """Parcels of contributing pairs that are not in the record."""


class Renewal:
    """One renewal: sales first, as parcels show their last sale."""

    def __init__(
        self,
        unit: UnitOfWork,
        run: Run,
        county: County,
        *,
        tells: bool,
        batch_rows: int,
        together: Together | None = None,
        told_by: Run | None = None,
        parts: tuple[str, ...] = (),
    ) -> None:
        """`told_by` is the run that caused it, where that is of another pair; `parts` as of the fact book."""
        teller = replace(told_by or run, working_year=run.working_year)
        self.unit = unit
        self.connection = unit.connection
        self.run = run
        self.pair = run.pair
        self.county = county
        self.tells = tells
        self.batch_rows = batch_rows
        self.years: Years = built_years(run.pair, working=run.working_year, certified=run.certified_year)
        self.outgoing = Outgoing(unit)
        self.book = FactBook(self.outgoing, teller, limit=teller.pair.following.mass_change_rows, parts=parts)
        self.origin = Origin(run.county, teller.pair.pair, teller.operation_id, teller.seen_at)
        self.merger = Merger(self.outgoing, teller, run.pair, together or run.pair.together, parts=parts)
        self.marks = {table.name: table.origin for table in run.pair.tables if table.origin is not None}
        self.foreign_places: tuple[int, int] | None = None
        """Parcels and sales that were touched after these nothing but our own values has changed."""
        self.rows: Frames = {}
        self.codes: Frames = {}
        self.has_failed = True

    async def work(self, *, is_whole: bool) -> Renewed:
        """Do it all."""
        await touched.prepare(self.connection)
        whole = await self._touch(is_whole=is_whole)
        await self._neighborhoods()
        await self._sales()
        return await self.finish(is_whole=whole)

    async def finish(self, *, is_whole: bool = False) -> Renewed:
        """Renew the parcels that are touched, and end."""
        parcels, sales = await touched.count_touched(self.connection)
        await self._parcels()
        events = await self.book.close() + self.merger.told
        await self.outgoing.close()
        counted = await queries.count_record(self.connection, self.run.county, self.pair.pair)
        self.has_failed = False
        return Renewed(
            *counted,
            facts=events,
            parcels_touched=parcels,
            sales_touched=sales,
            certified_changes=self.book.certified_changes,
            is_batched=any(self.book.is_batched(family) for family in ("parcel", "sale", "owner")),
            is_whole=is_whole,
            conflicts=self.merger.found,
        )

    async def _touch(self, *, is_whole: bool) -> bool:
        run, county = self.run, self.run.county
        sequence, run_id, pair = run.sequence, run.run_id, self.pair.pair
        changed = await touched.changed_tables(self.connection, county, pair, sequence=sequence, run_id=run_id)
        if is_whole or reaches_everything(self.pair, changed):
            await touched.touch_everything(self.connection, county, self.pair)
            return True
        if self.pair.official is not None:
            await touched.touch_supplements(self.connection, county, self.pair, self.pair.official, sequence=sequence)
        if not self.marks.keys().isdisjoint(changed):
            await self._touch_changed(but_ours=True)
            self.foreign_places = await touched.last_places(self.connection)
        await self._touch_changed(but_ours=False)
        return False

    async def _touch_changed(self, *, but_ours: bool) -> None:
        run, county, sale = self.run, self.run.county, self.pair.entities.sale
        marks = self.marks if but_ours else None
        await touched.find_changed_links(
            self.connection, county, self.pair.pair, sequence=run.sequence, run_id=run.run_id, without=marks
        )
        await touched.touch(self.connection, county, self.pair)
        if sale is not None and any(needed.link is Link.PARCEL_ID for needed in needed_for_sales(self.pair)):
            await touched.touch_sales_of_parcels(self.connection, county, self.pair.pair, root=sale.root)

    async def _neighborhoods(self) -> None:
        if self.pair.entities.neighborhood is None:
            return
        rows = {
            needed.table.name: await landed.read_distinct(self.connection, self.run.county, self.pair.pair, needed)
            for needed in needed_for_neighborhoods(self.pair)
        }
        made = await asyncio.to_thread(assemble_neighborhoods, self.pair, rows, working_year=self.run.working_year)
        await self._stage("neighborhood", made)
        await self._save_neighborhoods()

    async def _save_neighborhoods(self) -> None:
        await queries.save_neighborhoods(
            self.connection, self.run.county, self.pair.pair, working_year=self.run.working_year
        )

    async def _sales(self) -> None:
        needed = needed_for_sales(self.pair)
        if self.pair.entities.sale is None:
            return
        place, ids = await self._next("sale", Link.SALE_ID, after=0)
        while ids:
            rows = await self._rows(needed, root=self.pair.entities.sale.root, further=(Link.PARCEL_ID,))
            made = await asyncio.to_thread(assemble_sales, self.pair, rows, validity=self.county.sale_validity)
            await self._mark("sale", ids)
            await self._save_sales(made, ids)
            place, ids = await self._next("sale", Link.SALE_ID, after=place)

    async def _save_sales(self, made: pl.DataFrame, ids: list[str]) -> None:
        connection, county, pair = self.connection, self.run.county, self.pair.pair
        await self._stage("sale", made)
        if self.tells:
            differing = await queries.differing_sales(connection, county, pair, ids=ids)
            await self.book.add(facts.sale_facts(self.origin, differing))
        await queries.save_sales(connection, county, pair, ids=ids)

    async def _parcels(self) -> None:
        needed = needed_for_parcels(self.pair)
        place, ids = await self._next("parcel", Link.PARCEL_ID, after=0)
        while ids:
            root = self.pair.entities.parcel.root
            self.rows = await self._rows(needed, root=root, further=(Link.LOT_ID, Link.OWNER_ID))
            parcels, owners = await asyncio.to_thread(
                assemble_parcels, self.pair, self.rows, years=self.years, epsg=self.county.epsg
            )
            parcels, owners = await self.merger.merge(parcels, owners, self.rows, ids=ids)
            await self._mark("parcel", ids)
            await self._save_parcels(parcels, owners, ids)
            place, ids = await self._next("parcel", Link.PARCEL_ID, after=place)

    async def _mark(self, name: str, ids: list[str]) -> None:
        """Note which of the batch nothing but our own values has changed."""
        if self.foreign_places is None:
            return
        place = self.foreign_places[0 if name == "parcel" else 1]
        ours = frozenset(await touched.touched_after(self.connection, name, place=place, ids=ids))
        if name == "parcel":
            self.origin = replace(self.origin, ours=ours)
        else:
            self.origin = replace(self.origin, ours_sales=ours)

    async def _save_parcels(self, parcels: pl.DataFrame, owners: pl.DataFrame, ids: list[str]) -> None:
        connection, county, pair = self.connection, self.run.county, self.pair.pair
        wkb = pl.concat_str(pl.lit("\\x"), pl.col("geometry_wkb")).alias("geometry_wkb")
        await self._stage("parcel", parcels.with_columns(wkb))
        await self._stage("owner", owners)
        await queries.set_last_sales(connection, county, ids=ids)
        found = await self._differing(ids) if self.tells else ([], [], [])
        gone = await queries.save_parcels(connection, county, pair, years=self.years.built, ids=ids)
        await queries.save_owners(connection, county, pair, working_year=self.years.working, ids=ids)
        await self.merger.save(ids)
        if self.tells:
            await self.book.add(self._parcel_facts(*found, gone=[dict(row) for row in gone]))

    async def _differing(self, ids: list[str]) -> tuple[list[facts.Row], list[facts.Row], list[facts.Row]]:
        """Working layers, official ones and owners that are otherwise than before; asked before any is saved."""
        connection, county, pair = self.connection, self.run.county, self.pair.pair
        working = await queries.differing_parcels(connection, county)
        official: list[facts.Row] = []
        if self.pair.official is not None:
            official = await queries.differing_official(connection, county, pair, years=self.years.built, ids=ids)
        return working, official, await queries.differing_owners(connection, county, pair, ids=ids)

    def _parcel_facts(
        self, working: list[facts.Row], official: list[facts.Row], owners: list[facts.Row], *, gone: list[facts.Row]
    ) -> list[CanonicalFact]:
        certified = self.run.certified_year
        told = facts.parcel_facts(self.origin, working, certified_year=certified)
        removed = facts.removed_parcel_facts(self.origin, gone, certified_year=certified)
        said = {row["parcel_id"] for row in (*working, *gone)}
        others = facts.official_facts(self.origin, official, said=said, certified_year=certified)
        silent = {row["parcel_id"] for row in gone}
        silent |= {row["parcel_id"] for row in working if not row["after"]["is_active"]}
        return [*told, *removed, *others, *facts.owner_facts(self.origin, owners, silent=silent)]

    async def _next(self, name: str, link: Link, *, after: int) -> tuple[int, list[str]]:
        return await touched.next_batch(self.connection, name, link, after=after, limit=self.batch_rows)

    async def _rows(self, needed: list[Needed], *, root: str, further: tuple[Link, ...]) -> Frames:
        """The landed rows of the batch: the root's first, as it ties the batch to further ids."""
        named = {found.table.name: found for found in needed}
        rows = {root: await self._read(named.pop(root))}
        for name, found in list(named.items()):
            if found.link not in further:
                rows[name] = await self._read(named.pop(name))
        tables = self.pair.table_by_name
        for link in further:
            ids = [linked(tables[name], frame)[link] for name, frame in rows.items() if link in tables[name].links]
            if ids:
                known = pl.concat([series.rename("") for series in ids]).drop_nulls().unique().to_list()
                await touched.add_to_batch(self.connection, link, known)
        await touched.analyze_batch(self.connection)
        return rows | {name: await self._read(found) for name, found in named.items()}

    async def _read(self, needed: Needed) -> pl.DataFrame:
        """Rows of the batch, or codes, which are read once."""
        if needed.table.name in self.codes:
            return self.codes[needed.table.name]
        rows = await landed.read_rows(self.connection, self.run.county, self.pair.pair, needed)
        if needed.link is None:
            self.codes[needed.table.name] = rows
        return rows

    async def _stage(self, name: str, rows: pl.DataFrame) -> None:
        named = rows.with_columns(pl.lit(self.pair.pair).alias("pair"))
        await queries.stage(self.connection, self.run.county, name, named)
