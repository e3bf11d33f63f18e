"""Reads the source in a thread, prepares blocks in another and stages them from the loop, each a little ahead."""

import asyncio
from collections.abc import Coroutine, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from typing import Any, Protocol, TypeVar

import polars as pl

from contracts.mapping import Link, Pair, SourceTable
from contracts.quarantine import ReadingFault
from services.ingest.domain.checks import VIOLATIONS, Known
from services.ingest.domain.order import lands_filtered
from services.ingest.domain.rows import KEY, Hmac, normalise
from services.ingest.landing.block import Block, Sight, held_block, prepare
from services.ingest.landing.known import load_known
from services.ingest.landing.placing import key_parts, places
from services.ingest.landing.preparation import WAIT_SECONDS, Preparation
from services.ingest.landing.stage import Arrived, Stage, TableStage
from services.ingest.operation.gentle import GentleSource
from services.ingest.readers.batch import KEYLESS, Batch, Range
from services.ingest.readers.compare import ordered
from services.ingest.sources.source import Key

ASKED_KEYS = 2_000
Held = tuple[str, list[str | None] | None]
"""A key in our spelling, and as the source gave it."""

Answer = TypeVar("Answer")


class Loop:
    """Lets the reading thread have things done by the event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop

    def start(self, work: Coroutine[Any, Any, Answer]) -> "Future[Answer]":
        """Begin something, and go on."""
        return asyncio.run_coroutine_threadsafe(work, self.loop)

    def do(self, work: Coroutine[Any, Any, Answer]) -> Answer:
        """Have something done."""
        return self.start(work).result(timeout=WAIT_SECONDS)


class Told(Protocol):
    """Hears of what readers notice beyond rows."""

    async def batch(self, table: SourceTable, batch: Batch) -> None:
        """A gap or a log that stands still."""


@dataclass(slots=True)
class Intake:
    """Stages batches of one table after another; used in the reading thread."""

    pair: Pair
    source: GentleSource
    stage: Stage
    loop: Loop
    today: date
    told: Told
    hmac: Hmac | None = None
    _preparation: Preparation = field(default_factory=Preparation)
    _is_open: bool = False
    _pending: "Future[None] | None" = None
    """What the loop is staging; these two are of the preparing thread."""

    def take(self, staging: TableStage, batches: Iterable[Batch]) -> None:
        """Stage what a reader yields; what it yields next is read while the last is compared."""
        sight = self._sight(staging)
        for batch in batches:
            if batch.gap is not None or batch.stalled is not None:
                self._drain()
                self.loop.do(self.told.batch(staging.table, batch))
            self._stage(sight, staging, batch.blocks, _arrived(sight, staging, batch))
            self.source.pace.between_batches()
        self._drain()

    def ask_again(self, staging: TableStage, keys: Sequence[Held], position: dict[str, Any]) -> None:
        """Read rows again by their keys: those in quarantine may be good by now, or gone.

        A key that is known in our spelling only may not be found by it, and is not gone for that.
        """
        table = staging.table
        for begin in range(0, len(keys), ASKED_KEYS):
            part = keys[begin : begin + ASKED_KEYS]
            asked = tuple(key for key, spelt in part if spelt is not None)
            values = [tuple(spelt) if spelt is not None else key_parts(key) for key, spelt in part]
            blocks = self.source.read_keyed(table, table.key, values, years=staging.years)
            self._stage(self._sight(staging), staging, blocks, Arrived(asked=asked, position=position, is_done=True))
        self._drain()

    def ask_linked(self, staging: TableStage, parcels: Sequence[str], position: dict[str, Any]) -> None:
        """Read the rows of parcels again that came into the scope or left it."""
        table = staging.table
        columns = table.link_columns(Link.PARCEL_ID)
        for begin in range(0, len(parcels), ASKED_KEYS):
            asked = tuple(parcels[begin : begin + ASKED_KEYS])
            values: list[Key] = [tuple(parcel.split(":", len(columns) - 1)) for parcel in asked]
            blocks = self.source.read_keyed(table, columns, values, years=staging.years)
            arrived = Arrived(link="parcel_id", values=asked, position=position, is_done=True)
            self._stage(self._sight(staging), staging, blocks, arrived)
        self._drain()

    def ask_chosen(
        self, staging: TableStage, columns: tuple[str, ...], values: Sequence[Key], position: dict[str, Any]
    ) -> None:
        """Read chosen rows again, as an operator asked."""
        blocks = self.source.read_keyed(staging.table, columns, values, years=staging.years)
        asked = tuple("/".join(escaped(part) for part in value) for value in values)
        is_keyed = columns == staging.table.key
        arrived = Arrived(
            asked=asked if is_keyed else (),
            tells_left=not is_keyed and not staging.is_first,
            position=position,
            is_done=True,
        )
        self._stage(self._sight(staging), staging, blocks, arrived)
        self._drain()

    def ask_left_out(self, staging: TableStage, position: dict[str, Any]) -> None:
        """Read the keys of rows again that changed and are left out now: another row may have the key and count."""
        keys = self.loop.do(self.stage.left_out(staging))
        if keys:
            self.ask_again(staging, [(key, None) for key in keys], position)

    def place(self, staging: TableStage, position: dict[str, Any]) -> None:
        """Find the ranges of new rows that were not read in one; call it once the table is read."""
        if not staging.batch:
            return  # nothing of it came
        keys = self.loop.do(self.stage.unplaced(staging))
        if not keys or not any(number != KEYLESS for number in staging.ranges):
            return
        ranges = ordered([Range(number, bounds) for number, bounds in staging.ranges.items()])
        left = set(keys)
        for number, found in places(self.source, staging.table, ranges, keys, years=staging.years):
            self.loop.do(self.stage.place(staging, number, sorted(found)))
            left -= found
        if left:
            self.loop.do(self.stage.forget_digests(staging, position))

    def abort(self, error: BaseException) -> None:
        """Undo the batch that is open."""
        self._preparation.close()
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.exception(timeout=WAIT_SECONDS)
        self.loop.do(self.stage.abort(error))

    def close(self) -> None:
        """Let the preparing thread go."""
        self._preparation.close()

    def _stage(self, sight: Sight, staging: TableStage, blocks: Iterator[pl.DataFrame], arrived: Arrived) -> None:
        place = 0
        for raw in blocks:
            self._preparation.put(partial(self._add, sight, raw, place=place, arrived=arrived))
            place += raw.height
        unreadable = self.source.take_unreadable(sight.table.name)
        self._preparation.put(partial(self._finish, sight, staging, arrived, unreadable=unreadable))

    def _add(self, sight: Sight, raw: pl.DataFrame, *, place: int, arrived: Arrived) -> None:
        block = prepare(sight, raw, place=place, is_log=arrived.is_log, tells_left=arrived.tells_left)
        self._open()
        self._pending = self.loop.start(self.stage.add(block))

    def _finish(self, sight: Sight, staging: TableStage, arrived: Arrived, *, unreadable: Sequence[Key]) -> None:
        self._open()
        if unreadable:
            self.loop.do(self.stage.add(_unreadable(sight, unreadable)))
        self._pending = self.loop.start(self.stage.finish(staging, arrived))
        self._is_open = False

    def _open(self) -> None:
        """The batch's transaction, once what was begun before is done."""
        self._settle()
        if not self._is_open:
            self.loop.do(self.stage.begin())
            self._is_open = True

    def _drain(self) -> None:
        """Wait until all that was read is staged."""
        self._preparation.put(self._settle)
        self._preparation.drain()

    def _settle(self) -> None:
        """Wait for what was begun last."""
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result(timeout=WAIT_SECONDS)

    def _sight(self, staging: TableStage) -> Sight:
        known: list[Known] = []

        def look_up() -> Known:
            if not known:
                self._settle()
                known.append(self.loop.do(self._load_known(staging.table)))
            return known[0]

        return Sight(
            self.pair, staging.table, look_up, self.today,
            lands_filtered=lands_filtered(self.pair, staging.table), hmac=self.hmac,
        )  # fmt: skip

    async def _load_known(self, table: SourceTable) -> Known:
        stage = self.stage
        async with stage.database.read(stage.lease.county) as connection:
            return await load_known(connection, stage.lease.county, self.pair, table, run_id=stage.run_id)


def _arrived(sight: Sight, staging: TableStage, batch: Batch) -> Arrived:
    return Arrived(
        bounds=batch.bounds,
        number=batch.number,
        replaces=batch.replaces,
        gone=tuple(_spelt(sight.table, batch.gone)),
        is_log=batch.is_log,
        is_whole=batch.is_whole,
        tells_left=batch.number is None and not batch.is_log and not staging.is_first,
        token=batch.token,
        position=batch.position,
        rows_compared=batch.rows_compared,
        is_done=batch.position.get("step") == "done",
    )


def _spelt(table: SourceTable, keys: Sequence[Key]) -> list[str]:
    """Keys as the source gave them in our spelling."""
    if not keys:
        return []
    named = pl.DataFrame(list(keys), schema=dict.fromkeys(table.key, pl.String), orient="row")
    others = [pl.lit(None, dtype=pl.String).alias(name) for name in table.columns if name not in table.key]
    return normalise(table, named.with_columns(others))[KEY].to_list()


def _unreadable(sight: Sight, keys: Sequence[Key]) -> Block:
    """Rows that the source cannot give: held back, and not gone."""
    spelt = _spelt(sight.table, keys)
    found = {
        KEY: spelt,
        "rule": [ReadingFault.ROW_UNREADABLE.value] * len(spelt),
        "field": [", ".join(sight.table.key)] * len(spelt),
        "value": [None] * len(spelt),
    }
    named = pl.Series([list(key) for key in keys], dtype=pl.List(pl.String))
    return held_block(pl.DataFrame(found, schema=VIOLATIONS), named)


def escaped(part: str | None) -> str:
    """A part as it stands in a key."""
    return (part or "").replace("%", "%25").replace("/", "%2F")
