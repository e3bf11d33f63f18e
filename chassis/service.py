"""Builds a service from its router and settings: broker, database, health, metrics, telemetry."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from faststream import ContextRepo
from faststream.asgi import AsgiFastStream, AsgiResponse, get
from faststream.nats import JStream, NatsBroker, NatsMessage, PullSub
from faststream.specification import AsyncAPI
from nats.aio.client import Client
from nats.js.errors import NotFoundError
from prometheus_client import make_asgi_app

from chassis import logs, telemetry
from chassis.bus import JOBS_STREAM, Sender, build_broker, connect
from chassis.database import Database
from chassis.errors import PermanentError
from chassis.jobs import JobDefinition, JobRouter, Tools, cancel_and_wait
from chassis.loops import every
from chassis.middleware import Deliveries
from chassis.migrations import require_current
from chassis.relay import Publisher
from chassis.settings import ServiceSettings
from chassis.storage import Storage
from chassis.worker import Worker
from contracts.events.base import Event
from contracts.events.chassis import DeadLettered
from contracts.events.jobs import (
    JobCancelled,
    JobCancelRequested,
    JobFailed,
    JobProgressed,
    JobRequested,
    JobStarted,
    JobSucceeded,
)

log = logging.getLogger(__name__)
HAND_BACK_SECONDS = 5.0
STATUS_EVENTS: tuple[type[Event], ...] = (
    JobStarted,
    JobProgressed,
    JobSucceeded,
    JobFailed,
    JobCancelled,
    DeadLettered,
)


class Service:
    """One service process: hears its jobs, says its facts, tells how it is."""

    def __init__(
        self,
        name: str,
        *,
        router: JobRouter,
        settings: ServiceSettings,
        publishes: Sequence[type[Event]] = (),
        subscribe: Callable[["Service"], None] | None = None,
    ) -> None:
        self.name = name
        self.settings = settings
        self.publishes = (*STATUS_EVENTS, *publishes)
        self.client: Client | None = None
        self.workers: list[Worker] = []
        self.consumers = [definition.kind.value for definition in router.definitions]
        self.deliveries = Deliveries(
            service=name,
            beat=settings.job_lease / 4,
            attempts=settings.job_attempts,
            retry_delay=settings.job_retry_delay,
        )
        self.broker = build_broker(
            settings.nats_url,
            name=name,
            middlewares=[self.deliveries.middleware()],
            graceful_seconds=settings.shutdown_wait.total_seconds(),
        )
        self.database = Database(
            settings.operational_db_url.get_secret_value(),
            service=name,
            pool_size=settings.database_pool_size,
            transaction_silence=settings.transaction_silence,
        )
        self.tools = Tools(self.database, Storage(settings.storage_url), settings.counties_dir, name)
        for definition in router.definitions:
            self._subscribe(definition)
        if subscribe is not None:
            subscribe(self)
        for event in self.publishes:
            for subject in self.subjects(event):
                self.broker.publisher(subject, schema=event, title=f"{event.__name__} {subject}")

    def subjects(self, event: type[Event]) -> Iterator[str]:
        """Where this service says an event: its own kinds of job and its own name stand for the first `*`."""
        for subject in event.subjects:
            family = subject.partition(".")[0]
            for own in {"job": self.consumers, "dlq": [self.name]}.get(family, ["*"]):
                yield subject.replace("*", own, 1)

    def _subscribe(self, definition: JobDefinition) -> None:
        """Hear the kind's jobs (each by one worker) and its cancellations (all workers)."""
        worker = Worker(definition, self.tools, self.settings)
        self.workers.append(worker)
        kind = definition.kind.value

        async def run_job(requested: JobRequested, message: NatsMessage) -> None:
            if message.raw_message.subject != requested.subject:
                raise PermanentError("subject_mismatch", "the command names another county or kind than its subject")
            await worker.receive(requested)

        async def cancel_job(asked: JobCancelRequested) -> None:
            worker.cancel(asked.job_id)

        self.broker.subscriber(
            f"job.{kind}.requested.*",
            stream=JStream(JOBS_STREAM, declare=False),
            durable=kind,
            pull_sub=PullSub(batch_size=1, timeout=5),
            max_workers=self.settings.job_workers,
            no_reply=True,
            title=f"{kind} requested",
            description=(definition.handler.__doc__ or "").strip(),
        )(run_job)
        # A message for a stream carries the inbox of its publisher, who waits there for the stream's answer.
        self.broker.subscriber(f"job.{kind}.cancel_requested.*", title=f"{kind} cancel requested", no_reply=True)(
            cancel_job
        )

    def app(self) -> AsgiFastStream:
        """The service as an ASGI application with `/health`, `/ready` and `/metrics`."""
        return AsgiFastStream(
            self.broker,
            lifespan=self.lifespan,
            asgi_routes=[
                ("/health", get(self._health)),
                ("/ready", get(self._ready)),
                ("/metrics", make_asgi_app()),
            ],
            specification=AsyncAPI(title=f"TerraFusion {self.name}", version="1"),
            logger=None,
        )

    @asynccontextmanager
    async def lifespan(self, context: ContextRepo) -> AsyncIterator[None]:
        """Open and close what the service works with."""
        logs.configure(self.name, level=self.settings.log_level)
        provider = telemetry.configure(f"terrafusion-{self.name}")
        async with running_bus(self.settings, self.name, self.database) as client:
            self.client = client
            self.deliveries.jetstream = client.jetstream()
            async with self.database.pool.acquire() as connection:
                await require_current(connection)
            await self._require_consumers()
            log.info("service started")
            yield
            await self._stop()
        await asyncio.to_thread(provider.shutdown)

    async def _stop(self) -> None:
        """Wait for jobs to be handed back that FastStream has cancelled at the end of the shutdown wait."""
        await self.broker.stop()
        if self.deliveries.tasks:
            await asyncio.wait(set(self.deliveries.tasks), timeout=HAND_BACK_SECONDS)
        if leaving := {task for worker in self.workers for task in worker.leaving}:
            await asyncio.wait(leaving, timeout=HAND_BACK_SECONDS)

    async def _health(self, scope: dict[str, Any]) -> AsgiResponse:
        """The process lives and its durable consumers exist: a deleted one leaves a worker that hears nothing."""
        if missing := await self._missing_consumers():
            return AsgiResponse(f"consumers missing: {missing}".encode(), 503)
        return AsgiResponse(b'{"status":"ok"}', 200, {"content-type": "application/json"})

    async def _ready(self, scope: dict[str, Any]) -> AsgiResponse:
        """Database and bus answer."""
        try:
            async with asyncio.timeout(2):
                await self.database.pool.fetchval("SELECT 1")
            connected = self.client is not None and self.client.is_connected
        except Exception:  # noqa: BLE001 whatever keeps the database from answering
            connected = False
        return AsgiResponse(b"", 204 if connected else 503)

    async def _require_consumers(self) -> None:
        """Start only beside what is declared: subscribing makes a consumer that is not there, by the client's defaults.

        Raises:
            PermanentError: `consumer_missing`.
        """
        if missing := await self._missing_consumers():
            raise PermanentError("consumer_missing", f"the bus has no consumer {missing}: run `terrafusion migrate`")

    async def _missing_consumers(self) -> list[str]:
        return [durable for durable in self.consumers if not await self._consumer_exists(durable)]

    async def _consumer_exists(self, durable: str) -> bool:
        if self.client is None:
            return False
        try:
            info = await self.client.jetstream(timeout=2).consumer_info(JOBS_STREAM, durable)
        except NotFoundError:
            return False
        except Exception:  # noqa: BLE001 the bus is away, which /ready says; the consumer may well exist
            return True
        telemetry.CONSUMER_PENDING.labels(durable).set(info.num_pending or 0)
        return True


@asynccontextmanager
async def running_bus(settings: ServiceSettings, name: str, database: Database) -> AsyncIterator[Client]:
    """An open database with a publisher behind it, and the raw connection that the publisher uses."""
    client = await connect(settings.nats_url, name=f"{name} publisher")
    await database.open()
    publisher = Publisher(Sender(client), database)
    database.publisher = publisher
    publisher.start()
    watch = asyncio.create_task(every(settings.transaction_silence / 4, database.end_silent))
    try:
        yield client
    finally:
        await cancel_and_wait(watch)
        await publisher.stop()
        await database.close()
        with contextlib.suppress(Exception):
            await client.close()


__all__ = ["NatsBroker", "Service", "running_bus"]
