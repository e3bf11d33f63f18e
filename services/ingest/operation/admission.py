"""Whether a run may begin now, and what its end says of the source."""

import logging
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import NoReturn

from chassis.errors import PermanentError, PostponedError, TerraFusionError
from chassis.jobs import RunningJob
from contracts.api.sync import SyncMode
from contracts.mapping import Pair
from services.ingest.operation import metrics, queries
from services.ingest.operation.pace import MARGIN_SECONDS, require_open
from services.ingest.operation.windows import seconds_until_open

log = logging.getLogger(__name__)
READING: frozenset[SyncMode] = frozenset({"full", "incremental", "verify", "snapshot"})
"""Modes that read the source; the others are never in its way."""
SCHEDULED = "schedule:"
NOT_THE_SOURCES = {"source_not_configured"}
"""Codes that say nothing of how the source is."""


async def admit(job: RunningJob, pair: Pair, mode: SyncMode) -> str | None:
    """Null where the run may begin; else why it is left out, which is said of scheduled runs only.

    Raises:
        PermanentError: `window_closed`: a person is told when the source may be read.
        PostponedError: `window_closed`, `source_resting`: a run that had begun goes on later.
    """
    if mode not in READING:
        return None
    async with job.database.read(job.county) as connection:
        standing = await queries.read_standing(connection, job.county, pair.pair)
    now = datetime.now(UTC)
    if job.attempt > 1:
        _require_all_well(job, pair, standing, now)
        return None
    seconds = seconds_until_open(pair.following, now, job.county_file.time_zone)
    if job.requested_by.startswith(SCHEDULED):
        return _reason(standing, now) or (None if seconds == 0 else "window_closed")
    if seconds != 0:
        _refuse(pair, now, seconds)
    return None


def _require_all_well(job: RunningJob, pair: Pair, standing: queries.PairStanding, now: datetime) -> None:
    """A job that is started again goes on when it may."""
    require_open(pair.following, job.county_file.time_zone, now)
    if standing.breaker.status(now) == "open":
        wait = standing.breaker.wait_seconds(now) + MARGIN_SECONDS
        raise PostponedError("source_resting", "the source failed too often and rests", wait_seconds=wait)


def _reason(standing: queries.PairStanding, now: datetime) -> str | None:
    """Why a run that nobody waits for is not to begin."""
    if standing.status != "active":
        return {"paused": "pair_paused", "held": "approval_required"}.get(standing.status, standing.status)
    if standing.is_leased:
        return "pair_busy"
    return "source_resting" if standing.breaker.status(now) == "open" else None


def _refuse(pair: Pair, now: datetime, seconds: float | None) -> NoReturn:
    opens_at = None if seconds is None else (now + timedelta(seconds=seconds)).isoformat(timespec="seconds")
    raise PermanentError(
        "window_closed",
        f"the source of {pair.pair} may be read from {opens_at} on" if opens_at else f"{pair.pair} has no open window",
        details={"opens_at": opens_at},
    )


async def leave_out(job: RunningJob, pair: Pair, reason: str) -> None:
    """End a scheduled run that is not to begin: quietly, for the next one will come."""
    metrics.RUNS_SKIPPED.labels(job.county, pair.pair, reason).inc()
    log.info("a scheduled run is left out", extra={"pair": pair.pair, "reason": reason})
    async with job.completing({"pair": pair.pair, "skipped": reason, "is_idle": True}):
        pass


@asynccontextmanager
async def watched(job: RunningJob, pair: Pair, mode: SyncMode) -> AsyncIterator[None]:
    """A run whose end opens or closes the pair's breaker."""
    try:
        yield
    except TerraFusionError as error:
        if mode in READING and error.code.startswith("source_") and error.code not in NOT_THE_SOURCES:
            await _count_failure(job, pair)
        raise
    if mode in READING:
        async with job.database.begin(job.county) as unit:
            await queries.close_breaker(unit.connection, job.county, pair.pair)


async def _count_failure(job: RunningJob, pair: Pair) -> None:
    async with job.database.begin(job.county) as unit:
        breaker, now = await queries.lock_breaker(unit.connection, job.county, pair)
        failed = breaker.failed(now, spread=random.random())
        await queries.save_breaker(unit.connection, job.county, pair.pair, breaker=failed)
    if failed.retry_at is not None:
        rests_seconds = round(failed.wait_seconds(now))
        log.warning(
            "a pair rests", extra={"pair": pair.pair, "failures": failed.failures, "rests_seconds": rests_seconds}
        )
