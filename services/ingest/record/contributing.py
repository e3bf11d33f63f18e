"""A run of a contributing pair: what it says is kept, and the primary pair's parcels that it says it of are renewed."""

from dataclasses import replace
from typing import Any

import polars as pl

from chassis.database import UnitOfWork
from contracts.county import County
from contracts.mapping import Pair, Together, WorkingYear
from services.ingest import pair_queries
from services.ingest.domain.contributions import PARCEL, Contribution, contributions
from services.ingest.domain.envelopes import Run
from services.ingest.record import contribution_queries as queries
from services.ingest.record import touched, undo_queries
from services.ingest.record.renewal import Renewal, Renewed


async def wait_for_others(connection: Any, county: str) -> None:
    """Let one pair of the county after the other renew parcels: what one reads another may just be writing."""
    await queries.lock_record(connection, county)


class Saying(Renewal):
    """Assembles a contributing pair's parcels as its own would be, and keeps what they say."""

    async def say(self, *, is_whole: bool) -> None:
        """All that the run touched; what has to be matched again is in `touched_match` then."""
        await touched.prepare(self.connection)
        await queries.prepare_matches(self.connection)
        if await self._touch(is_whole=is_whole):
            await queries.touch_said(self.connection, self.run.county, self.pair.pair)
        await touched.count_touched(self.connection)
        await self._parcels()
        self.has_failed = False

    async def _save_parcels(self, parcels: pl.DataFrame, owners: pl.DataFrame, ids: list[str]) -> None:
        said = contributions(self.pair, self.rows, parcels.filter("is_current"), owners)
        connection, county, pair = self.connection, self.run.county, self.pair.pair
        before = {(r["entity"], r["match_key"]): r for r in await queries.standing(connection, county, pair, ids)}
        keyed = [(one, _parcel_key(one)) for one in said]
        new = [(one, key) for one, key in keyed if _digest(before.get((one.entity, one.key))) != one.digest]
        there = {(one.entity, one.key) for one in said}
        gone = [row for found, row in before.items() if found not in there]
        await queries.save_said(connection, county, pair, new)
        for entity in {row["entity"] for row in gone}:
            keys = [row["match_key"] for row in gone if row["entity"] == entity]
            await queries.forget_said(connection, county, pair, entity=entity, keys=keys)
        changed = {key for _, key in new} | {row["parcel_key"] for row in gone}
        for is_ours in (False, True):
            mine = {key for key in changed if (key in self.origin.ours) == is_ours}
            past = {r["matches"] for r in before.values() if r["entity"] == PARCEL and r["parcel_key"] in mine}
            matches = past | {self.pair.match.spelt(key) for key in mine}
            await queries.add_matches(connection, matches, is_ours=is_ours)


def _parcel_key(one: Contribution) -> str:
    """The pair's own id of the parcel; an owner's is behind a slash."""
    return one.key if one.entity == PARCEL else one.key.rpartition("/")[0]


def _digest(row: queries.Row | None) -> str | None:
    return row["digest"] if row else None


async def contribute(unit: UnitOfWork, run: Run, county: County, *, is_whole: bool, batch_rows: int) -> Renewed:
    """Keeps what a contributing pair's landed rows say, and renews the parcels of the record that it says it of."""
    connection, together = unit.connection, run.pair.together
    saying = Saying(unit, run, county, tells=False, batch_rows=batch_rows)
    await saying.say(is_whole=is_whole)
    primary = await primary_run(connection, run, together)
    renewed = Renewed(0, 0)
    if primary is not None:
        renewal = Renewal(
            unit, primary, county, tells=True, batch_rows=batch_rows, together=together, told_by=run,
        )  # fmt: skip
        await touched.forget(connection)
        await queries.touch_matched(connection, run.county, primary.pair.pair, run.pair, is_ours=False)
        renewal.foreign_places = await touched.last_places(connection)
        await queries.touch_matched(connection, run.county, primary.pair.pair, run.pair, is_ours=True)
        renewed = await renewal.finish()
    await touched.finish(connection)
    unmatched = await hold_unmatched(unit, run.pair, run)
    said = await queries.count_said(connection, run.county, run.pair.pair)
    return replace(renewed, contributions=said, unmatched=unmatched)


async def renew_one(unit: UnitOfWork, run: Run, county: County, parcel_id: str, *, parts: tuple[str, ...]) -> Renewed:
    """Renews one parcel of the record, as what a person chose makes it."""
    primary = await primary_run(unit.connection, run, run.pair.together)
    if primary is None:
        return Renewed(0, 0)
    await touched.prepare(unit.connection)
    await touched.forget(unit.connection)
    await queries.touch_one(unit.connection, parcel_id)
    renewal = Renewal(
        unit, primary, county, tells=True, batch_rows=1, together=run.pair.together, told_by=run, parts=parts
    )
    renewed = await renewal.finish()
    await touched.finish(unit.connection)
    return renewed


async def primary_run(connection: Any, run: Run, together: Together) -> Run | None:
    """The run as one of the primary pair, in its years; null where nothing of that was ever applied."""
    pair = together.primary
    known = await pair_queries.read_pair(connection, run.county, pair.pair) if pair else None
    if pair is None or known is None or not known["sequence"] or known["working_year"] is None:
        return None
    certified = await _year(connection, run.county, pair, pair.certified_year)
    return replace(run, pair=pair, working_year=known["working_year"], certified_year=certified)


async def _year(connection: Any, county: str, pair: Pair, said: WorkingYear | None) -> int | None:
    if said is None or said.column is None:
        return said.year if said else None
    table, _, column = said.column.partition(".")
    return await undo_queries.landed_year(connection, county, pair.pair, table=table, column=column)


async def hold_unmatched(unit: UnitOfWork, pair: Pair, run: Run) -> int:
    """List what a contributing pair says of parcels that are not in the record; none before there is a record."""
    primary = run.pair.together.primary
    known = await pair_queries.read_pair(unit.connection, run.county, primary.pair) if primary else None
    has_record = primary is not None and (primary.pair == run.pair.pair or bool(known and known["sequence"]))
    if primary is None or not has_record:
        return 0
    return await queries.hold_unmatched(
        unit.connection, run.county, pair, primary=primary.pair, operation_id=run.operation_id
    )
