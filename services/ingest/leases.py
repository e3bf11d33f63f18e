"""One owner per pair: a lease that is held by working, and a number that rises with every owner."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from chassis.database import UnitOfWork
from chassis.errors import PermanentError, TransientError
from chassis.jobs import RunningJob
from contracts.mapping import Pair
from services.ingest import pair_queries

log = logging.getLogger(__name__)
LEASE = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Lease:
    """A pair in one owner's hands."""

    county: str
    pair: str
    owner: str
    fence: int

    async def hold(self, unit: UnitOfWork) -> None:
        """Prolong it in a transaction that writes; nobody else can take the pair before that ends.

        Raises:
            TransientError: `pair_busy`: another owner has the pair.
            PermanentError: `pair_paused`.
        """
        status = await pair_queries.hold_lease(unit.connection, self.county, self.pair, fence=self.fence, lease=LEASE)
        if status is None:
            raise TransientError("pair_busy", f"another run has taken {self.pair} over")
        if status == "paused":
            raise PermanentError("pair_paused", f"{self.pair} was paused; what is read so far stays")


@asynccontextmanager
async def leased(job: RunningJob, pair: Pair) -> AsyncIterator[Lease]:
    """The pair, for this attempt of this job alone.

    Raises:
        TransientError: `pair_busy`.
    """
    async with job.database.begin(job.county) as unit:
        owner = f"{job.id}:{job.attempt}"
        fence = await pair_queries.take_lease(
            unit.connection, job.county, pair.pair, owner=owner, job=str(job.id), lease=LEASE,
            reader=pair.reader, source_tables=[table.name for table in pair.tables],
        )  # fmt: skip
    if fence is None:
        raise TransientError("pair_busy", f"another run has {pair.pair}")
    lease = Lease(job.county, pair.pair, owner, fence)
    keeping = asyncio.create_task(_keep(job, lease))
    try:
        yield lease
    finally:
        keeping.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await keeping
        await _release(job, lease)


async def _keep(job: RunningJob, lease: Lease) -> None:
    """Prolong the lease while a long batch or a slow source keeps the run from doing so."""
    while True:
        await asyncio.sleep(LEASE.total_seconds() / 3)
        try:
            async with job.database.begin(lease.county) as unit:
                await pair_queries.prolong_lease(
                    unit.connection, lease.county, lease.pair, fence=lease.fence, lease=LEASE
                )
        except Exception as error:  # noqa: BLE001 the next may get through; writing is fenced anyway
            log.warning("a pair's lease was not prolonged", extra={"reason": type(error).__name__})


async def _release(job: RunningJob, lease: Lease) -> None:
    with contextlib.suppress(Exception):
        async with job.database.begin(lease.county) as unit:
            await pair_queries.release_lease(unit.connection, lease.county, lease.pair, fence=lease.fence)
