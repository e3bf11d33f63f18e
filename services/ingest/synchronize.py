"""One run of a pair, from the source's picture to the committed record."""

import asyncio
import time
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from chassis.errors import PermanentError, TransientError
from chassis.jobs import RunningJob
from contracts.api.sync import SyncParameters
from contracts.events.ingest import SyncBrakeApplied
from contracts.mapping import Pair
from services.ingest import planning, queries
from services.ingest.apply import Plan, apply
from services.ingest.domain.entities import Scope
from services.ingest.domain.envelopes import Run, event_id
from services.ingest.reading import Picture, read_picture
from services.ingest.settings import source_url

Frames = dict[str, pl.DataFrame]
TELL_SECONDS = 120  # a loop that is gone must not keep the reading thread for ever


async def synchronize(job: RunningJob, pair: Pair, parameters: SyncParameters) -> None:
    """Brings the record to what the source says; all of it or nothing.

    Raises:
        PermanentError: `mapping_…`, `source_not_configured`, `empty_read`, `table_unknown`, `tables_not_loaded`.
        TransientError: `source_unavailable`, `pair_busy`.
    """
    started = time.monotonic()
    tables = planning.needed_tables(pair, parameters.tables)
    loop = asyncio.get_running_loop()

    def tell(done: int, total: int, table: str) -> None:
        told = job.progress(done, total + 1, "tables", f"reading {table}")
        asyncio.run_coroutine_threadsafe(told, loop).result(timeout=TELL_SECONDS)

    picture = await job.compute(read_picture, pair, source_url(pair.pair), tables, tell=tell)
    plan = await _plan(job, pair, parameters, picture)
    await job.progress(len(tables), len(tables) + 1, "tables", "applying")
    result: dict[str, Any] = {}
    async with job.completing(result) as unit:
        sequence = await queries.lock_pair(
            unit.connection, job.county, pair.pair, reader=pair.reader, source_tables=[t.name for t in pair.tables]
        )
        if sequence + 1 != plan.run.sequence:
            raise TransientError("pair_busy", f"another operation of {pair.pair} was applied meanwhile")
        result |= await apply(unit, plan)
        result["seconds"] = round(time.monotonic() - started, 3)


async def _plan(job: RunningJob, pair: Pair, parameters: SyncParameters, picture: Picture) -> Plan:
    sequence, past_rules, landed = await _landed(job, pair, picture)
    run = Run(job.county, pair, picture.database, sequence + 1, picture.seen_at)
    await _brake(job, run, picture, landed)
    county, year = job.county_file, picture.working_year
    today = datetime.now(ZoneInfo(county.time_zone)).date()
    plans = await job.compute(planning.plan_tables, pair, picture, landed, today=today)
    before, others = await _images(job, pair, plans, landed)
    rows = await job.compute(planning.entity_rows, pair, plans, others)
    rules = planning.rules_digest(pair, county)
    is_whole = parameters.mode == "full" or rules != past_rules
    scope = Scope() if is_whole else await job.compute(planning.scope_of, pair, plans, rows, before)
    assembled = await job.compute(planning.build, pair, rows, county=county, working_year=year, scope=scope)
    return Plan(run, job.id, parameters.mode, year, rules, plans, before, assembled, scope)


async def _landed(job: RunningJob, pair: Pair, picture: Picture) -> tuple[int, str | None, Frames]:
    """How often the pair was synchronised, by which rules, and what is landed of the tables that were read."""
    async with job.database.read(job.county) as connection:
        known = await queries.read_pair(connection, job.county, pair.pair)
        digests = {
            name: await queries.read_digests(connection, job.county, pair.pair, source_table=name)
            for name in picture.rows
        }
    sequence, rules = (known["sequence"], known["rules"]) if known else (0, None)
    if sequence == 0 and len(picture.rows) < len(pair.tables):
        raise PermanentError("tables_not_loaded", f"synchronise the whole pair {pair.pair} before single tables")
    return sequence, rules, digests


async def _brake(job: RunningJob, run: Run, picture: Picture, landed: Frames) -> None:
    """Stop where a table that had rows was read empty; say so on the bus."""
    empty = planning.braked_tables(picture, landed)
    if not empty:
        return
    brake = SyncBrakeApplied(
        county=job.county,
        occurred_at=picture.seen_at,
        pair=run.pair.pair,
        operation_id=job.id,
        reason="empty_read",
        source_tables=tuple(empty),
    )
    async with job.database.begin(job.county) as unit:
        await unit.publish(brake, event_id=str(event_id(run, "brake", str(job.id))))
    raise PermanentError(
        "empty_read",
        f"{', '.join(empty)} had rows and was read empty: nothing was applied",
        details={"tables": empty},
    )


async def _images(
    job: RunningJob, pair: Pair, plans: list[planning.TablePlan], landed: Frames
) -> tuple[Frames, Frames]:
    """Images of rows before their change, and of rows that count although they were not read or not accepted."""
    before: Frames = {}
    others: Frames = {}
    async with job.database.read(job.county) as connection:
        for plan in plans:
            name = plan.table.name
            before[name] = await queries.read_images(
                connection, job.county, pair.pair, source_table=name, keys=planning.changed_keys(plan)
            )
            if held := planning.held_keys(plan, landed):
                others[name] = await queries.read_images(
                    connection, job.county, pair.pair, source_table=name, keys=held
                )
        for name in pair.table_by_name.keys() - landed.keys():
            others[name] = await queries.read_images(connection, job.county, pair.pair, source_table=name, keys=None)
    return before, others
