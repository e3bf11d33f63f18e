"""Stages a table batch by batch: each in one transaction with the position behind it, fenced by the pair's lease."""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import numpy as np
import polars as pl

from chassis.database import Database, UnitOfWork
from contracts.mapping import SourceTable
from services.ingest.landing import placing_queries, queries
from services.ingest.landing.block import Block
from services.ingest.landing.queries import Place
from services.ingest.leases import Lease
from services.ingest.operation import metrics
from services.ingest.readers.batch import KEYLESS
from services.ingest.sources.source import Bounds, Digest

_ANALYZED_ROWS = 1_000


@dataclass(frozen=True, slots=True)
class Arrived:
    """A batch as the stage sees it."""

    bounds: Bounds | None = None
    number: int | None = None
    replaces: tuple[int, ...] = ()
    gone: tuple[str, ...] = ()
    """Keys, in our spelling, that are deleted."""
    asked: tuple[str, ...] = ()
    """Keys that were asked for: one that did not come is gone."""
    link: str | None = None
    """The link by which rows were asked for, with `values`: landed rows of them that did not come are gone."""
    values: tuple[str, ...] = ()
    is_log: bool = False
    is_whole: bool = False
    tells_left: bool = False
    """Whether rows that the mapping leaves out are told of: those of no range that nobody asked for by key or link."""
    token: str | None = None
    position: dict[str, Any] = field(default_factory=dict)
    rows_compared: int = 0
    is_done: bool = False


@dataclass(slots=True)
class TableStage:
    """What is known of a table while it is staged."""

    table: SourceTable
    is_first: bool
    """Nothing of it is landed: then its rows are, and wait for the pair to come to the run."""
    is_renewed: bool
    """The mapping is another than that of the landed rows."""
    ranges: dict[int, Bounds]
    """The ranges that there are by now, by their numbers."""
    years: tuple[int, ...] = ()
    batch: int = 0
    rows_read: int = 0

    def take_range(self, number: int, bounds: Bounds, *, replaces: Sequence[int]) -> None:
        """Note a range that was read, instead of others."""
        for replaced in replaces:
            self.ranges.pop(replaced, None)
        self.ranges[number] = bounds


class Stage:
    """Writes the batches of one run; one at a time."""

    def __init__(self, database: Database, lease: Lease, run_id: UUID, sequence: int) -> None:
        self.database = database
        self.lease = lease
        self.run_id = run_id
        self.sequence = sequence
        self._open: AsyncExitStack | None = None
        self._unit: UnitOfWork | None = None
        self._blocks: list[Block] = []

    async def begin(self) -> UnitOfWork:
        """Open a batch's transaction.

        Raises:
            TransientError: `pair_busy`: another owner has the pair.
            PermanentError: `pair_paused`.
        """
        stack = AsyncExitStack()
        unit = await stack.enter_async_context(self.database.begin(self.lease.county))
        self._open, self._unit, self._blocks = stack, unit, []
        await self.lease.hold(unit)
        await queries.create_incoming(unit.connection)
        return unit

    async def add(self, block: Block) -> None:
        """Copy rows into the batch's temporary table."""
        assert self._unit is not None
        await queries.copy_incoming(self._unit.connection, block.csv)
        self._blocks.append(Block(b"", block.rows_read, block.rows_quarantined, block.rows_filtered,
                                  block.violations, block.digest, block.keys))  # fmt: skip

    async def unplaced(self, staging: TableStage) -> list[str]:
        """Keys of new rows that stand in no range."""
        async with self.database.read(self.lease.county) as connection:
            place = self.place_of(staging)
            if staging.is_first:
                return await placing_queries.unplaced_first(connection, place, sequence=self.sequence)
            return await placing_queries.unplaced(connection, place)

    async def left_out(self, staging: TableStage) -> list[str]:
        """Keys of rows that came without a range and are left out."""
        async with self.database.read(self.lease.county) as connection:
            return await queries.left_out_keys(connection, self.place_of(staging))

    async def place(self, staging: TableStage, number: int, keys: Sequence[str]) -> None:
        """Put rows into the range that has them."""
        async with self.database.begin(self.lease.county) as unit:
            await self.lease.hold(unit)
            place = self.place_of(staging)
            await placing_queries.place_rows(unit.connection, place, number=number, keys=keys)
            if staging.is_first:
                await placing_queries.place_first(
                    unit.connection, place, number=number, keys=keys, sequence=self.sequence
                )

    async def forget_digests(self, staging: TableStage, position: dict[str, Any]) -> None:
        """Have every range read in the next pass, which puts each row into one."""
        async with self.database.begin(self.lease.county) as unit:
            await self.lease.hold(unit)
            await placing_queries.forget_digests(unit.connection, self.place_of(staging), staging.ranges, position)
        staging.batch += 1

    def place_of(self, staging: TableStage) -> Place:
        """Where its next batch goes."""
        return Place(self.lease.county, self.lease.pair, staging.table.name, self.run_id, staging.batch)

    async def abort(self, error: BaseException) -> None:
        """Undo what is open."""
        if self._open is not None:
            stack, self._open = self._open, None
            await stack.__aexit__(type(error), error, error.__traceback__)

    async def finish(self, staging: TableStage, arrived: Arrived) -> None:
        """Compare, stage, save where the reader is, commit."""
        assert self._unit is not None
        assert self._open is not None
        work = _Finishing(self._unit.connection, self, staging, arrived, self._blocks)
        try:
            await work.run()
        except BaseException as error:
            await self.abort(error)
            raise
        stack, self._open = self._open, None
        await stack.aclose()


class _Finishing:
    """The end of one batch."""

    def __init__(
        self, connection: Any, stage: Stage, staging: TableStage, arrived: Arrived, blocks: list[Block]
    ) -> None:
        self.connection = connection
        self.sequence = stage.sequence
        self.staging, self.arrived, self.blocks = staging, arrived, blocks
        self.place = stage.place_of(staging)
        self.fields = ", ".join(staging.table.key)
        self.quarantined = sum(block.rows_quarantined for block in blocks)
        self.filtered = sum(block.rows_filtered for block in blocks)
        self.created = 0

    async def run(self) -> None:
        rows_read = sum(block.rows_read for block in self.blocks)
        if rows_read >= _ANALYZED_ROWS and not self.staging.is_first:
            await queries.index_incoming(self.connection, rows=rows_read)
        if not self.arrived.is_log:
            await self._part_repeats()
        if violations := [block.violations for block in self.blocks if block.violations.height]:
            await queries.stage_violations(self.connection, self.place, pl.concat(violations))
        if self.staging.is_first:
            await self._land_first()
        else:
            await self._stage_differences(rows_read)
        if self.arrived.is_whole:
            await self._end_whole()
        await self._save(rows_read)
        self.staging.batch += 1
        self.staging.rows_read += rows_read
        labels = (self.place.county, self.place.pair, self.place.table)
        metrics.BATCHES.labels(*labels).inc()
        metrics.ROWS_QUARANTINED.labels(*labels).inc(self.quarantined)

    async def _part_repeats(self) -> None:
        """Only where hashes of keys are equal need the rows be looked at."""
        keys = np.concatenate([block.keys for block in self.blocks]) if self.blocks else np.empty(0, np.uint64)
        is_suspect = np.unique(keys).size < keys.size
        if is_suspect or any(
            (block.violations["rule"] == "key_repeated").any() for block in self.blocks if block.violations.height
        ):
            is_ordered = self.staging.table.repeats_ordered_by is not None
            held, dropped = await queries.resolve_repeats(
                self.connection, self.place, is_ordered=is_ordered, fields=self.fields
            )
            self.quarantined += held
            self.filtered += dropped

    async def _land_first(self) -> None:
        arrived, number = self.arrived, self.arrived.number
        if number is None:
            self.created = await queries.land_again(self.connection, self.place, sequence=self.sequence)
            await queries.stage_releases(self.connection, self.place)
        else:
            self.created, has_met = await queries.land_first(
                self.connection, self.place, number=number, sequence=self.sequence
            )
            if has_met:
                held = await queries.hold_met_twice(
                    self.connection, self.place, number=number, sequence=self.sequence, fields=self.fields
                )
                self.quarantined += 2 * held
                self.created -= held
        if arrived.gone:
            self.created -= await queries.forget_first(
                self.connection, self.place, sequence=self.sequence, keys=arrived.gone
            )

    async def _stage_differences(self, rows_read: int) -> None:
        arrived, staging = self.arrived, self.staging
        if arrived.number == KEYLESS:  # nothing of it is landed; a key of empty texts is another row's
            return
        if arrived.is_log:
            await queries.stage_log(self.connection, self.place)
        elif rows_read:
            await queries.stage_differences(
                self.connection,
                self.place,
                number=arrived.number,
                has_earlier=staging.batch > 0,
                is_renewed=staging.is_renewed,
            )
        if rows_read:
            await queries.stage_releases(self.connection, self.place)
        if rows_read and arrived.tells_left:
            await queries.stage_left_out(self.connection, self.place)
        if arrived.number is not None:
            numbers = [arrived.number, *arrived.replaces]
            await queries.stage_gone(self.connection, self.place, numbers=numbers, **self._years())
        if arrived.gone:
            await queries.stage_keys_gone(self.connection, self.place, keys=arrived.gone)
        if arrived.asked:
            await queries.stage_asked_keys_gone(self.connection, self.place, keys=arrived.asked)
            await queries.release_keys(self.connection, self.place, keys=arrived.asked)
        if arrived.link is not None:
            await queries.stage_asked_gone(self.connection, self.place, link=arrived.link, values=arrived.values)

    async def _end_whole(self) -> None:
        if not self.staging.is_first:
            numbers = sorted(self.staging.ranges)
            await queries.stage_unplaced(self.connection, self.place, numbers=numbers, **self._years())

    def _years(self) -> dict[str, Any]:
        table, years = self.staging.table, self.staging.years
        return {"year_column": table.year_column if years else None, "years": [str(year) for year in years]}

    async def _save(self, rows_read: int) -> None:
        arrived, staging = self.arrived, self.staging
        ranges = []
        if arrived.number is not None:
            digests = [block.digest for block in self.blocks]
            known = [digest for digest in digests if digest is not None]
            digest = sum(known, Digest()) if len(known) == len(digests) else None
            bounds = arrived.bounds or Bounds()
            staging.take_range(arrived.number, bounds, replaces=arrived.replaces)
            ranges = [
                {
                    "number": arrived.number,
                    "lower": bounds.lower,
                    "upper": bounds.upper,
                    "digest": str(digest) if digest is not None else None,
                    "replaces": list(arrived.replaces),
                }
            ]
        await queries.save_progress(
            self.connection,
            self.place,
            values={
                "position": arrived.position,
                "token": arrived.token,
                "ranges": ranges,
                "rows_read": rows_read,
                "rows_quarantined": self.quarantined,
                "rows_filtered": self.filtered,
                "rows_compared": arrived.rows_compared,
                "rows_created": self.created,
                "is_done": arrived.is_done,
            },
        )
