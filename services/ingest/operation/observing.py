"""Keeps the metrics of following fresh, of all pairs and whichever process ran them, and the ledger short."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from faststream import ContextRepo

from chassis.database import Database
from chassis.jobs import cancel_and_wait
from chassis.loops import every
from chassis.relay import EVERY_COUNTY
from chassis.service import Service
from services.ingest.operation import queries
from services.ingest.operation.metrics import FOLLOWING

INTERVAL = timedelta(seconds=15)
FORGET_INTERVAL = timedelta(hours=1)


async def observe(database: Database) -> None:
    """Learn how far each pair is, for the next scrapes."""
    async with database.read(EVERY_COUNTY) as connection:
        verified = await queries.read_verified(connection)
        pairs = await queries.read_pair_states(connection)
    FOLLOWING.verified, FOLLOWING.pairs = verified, pairs


async def forget(database: Database) -> int:
    """Drop what the ledger has of idle runs whose jobs the relay has swept; returns how many."""
    async with database.begin(EVERY_COUNTY) as unit:
        return await queries.forget_idle_operations(unit.connection)


class ObservedService(Service):
    """A service whose `/metrics` tell how far behind each pair is, and which forgets runs that nothing came of."""

    @asynccontextmanager
    async def lifespan(self, context: ContextRepo) -> AsyncIterator[None]:
        """Looks as long as the service lives."""

        async def look() -> None:
            await observe(self.database)

        async def sweep() -> None:
            await forget(self.database)

        async with super().lifespan(context):
            looking = asyncio.create_task(every(INTERVAL, look))
            forgetting = asyncio.create_task(every(FORGET_INTERVAL, sweep))
            yield
            await cancel_and_wait(looking)
            await cancel_and_wait(forgetting)
