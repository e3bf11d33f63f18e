"""The relay service: sends what a crash left in the outbox or the bus has lost, and asks for jobs that are due."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from faststream import ContextRepo
from pydantic import Field

from chassis import queries, telemetry
from chassis.bus import Sender
from chassis.declared_schedules import Files
from chassis.jobs import JobRouter
from chassis.loops import every
from chassis.relay import EVERY_COUNTY, forget_idle, reconcile, sweep
from chassis.schedules import fire_all
from chassis.service import Service
from chassis.settings import ServiceSettings

log = logging.getLogger(__name__)


class RelaySettings(ServiceSettings):
    """How often the relay looks."""

    sweep_interval: timedelta = Field(default=timedelta(seconds=1), title="time between looks at the outbox")
    sweep_age: timedelta = Field(default=timedelta(seconds=2), title="age from which an event counts as left behind")
    reconcile_interval: timedelta = Field(default=timedelta(seconds=15), title="time between looks for lost jobs")
    reconcile_silence: timedelta = Field(
        default=timedelta(seconds=90), title="silence after which a job counts as lost by the bus"
    )
    inbox_age: timedelta = Field(default=timedelta(days=35), title="how long deliveries are remembered")
    idle_job_age: timedelta = Field(
        default=timedelta(days=3), title="how long a schedule's jobs are kept that nothing came of"
    )
    schedule_interval: timedelta = Field(default=timedelta(seconds=0.5), title="time between looks for due schedules")
    schedule_file_interval: timedelta = Field(
        default=timedelta(seconds=15), title="time between looks at the schedules of county files"
    )


class Relay(Service):
    """A service without jobs of its own: its loops."""

    def __init__(self, settings: RelaySettings) -> None:
        super().__init__("relay", router=JobRouter(), settings=settings)
        self.relay_settings = settings
        self._sender: Sender | None = None
        self._files = Files(self.database, settings.counties_dir)

    @asynccontextmanager
    async def lifespan(self, context: ContextRepo) -> AsyncIterator[None]:
        """The loops live as long as the service does."""
        settings = self.relay_settings
        async with super().lifespan(context):
            assert self.client is not None
            self._sender = Sender(self.client)
            loops = [
                asyncio.create_task(every(settings.sweep_interval, self._sweep)),
                asyncio.create_task(every(settings.reconcile_interval, self._reconcile)),
                asyncio.create_task(every(timedelta(hours=1), self._forget)),
                asyncio.create_task(every(settings.schedule_file_interval, self._files.look)),
                asyncio.create_task(every(settings.schedule_interval, self._fire)),
            ]
            yield
            for loop in loops:
                loop.cancel()
            await asyncio.gather(*loops, return_exceptions=True)

    async def _sweep(self) -> None:
        assert self._sender is not None
        while sent := await sweep(self.database, self._sender, older_than=self.relay_settings.sweep_age):
            telemetry.EVENTS_SWEPT.inc(sent)
        async with self.database.read(EVERY_COUNTY) as connection:
            waiting, seconds = await queries.outbox_lag(connection)
        telemetry.OUTBOX_WAITING.set(waiting)
        telemetry.OUTBOX_LAG.set(seconds)

    async def _reconcile(self) -> None:
        lost = await reconcile(self.database, silence=self.relay_settings.reconcile_silence)
        if lost:
            telemetry.JOBS_RECONCILED.inc(lost)
            log.warning("jobs published again", extra={"count": lost})

    async def _fire(self) -> None:
        await fire_all(self.database)

    async def _forget(self) -> None:
        async with self.database.begin(EVERY_COUNTY) as unit:
            await queries.forget_deliveries(unit.connection, older_than=self.relay_settings.inbox_age)
        if idle := await forget_idle(self.database, older_than=self.relay_settings.idle_job_age):
            log.info("idle jobs forgotten", extra={"count": idle})


relay = Relay(RelaySettings())
app = relay.app()
