"""Asks for jobs as the gateway does, and looks at what becomes of them."""

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Self
from uuid import UUID

import asyncpg
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig
from nats.js.client import JetStreamContext

from chassis.bus import Sender, connect
from chassis.database import Database
from chassis.jobs import JobRouter
from chassis.outbox import new_id
from chassis.relay import Publisher
from chassis.requests import job_requested
from chassis.service import Service
from chassis.settings import ServiceSettings
from contracts.events.jobs import JobCancelRequested
from tests.support.waiting import eventually

ENDED = {"succeeded", "failed", "cancelled"}
COUNTY = "benton"


@dataclass
class Office:
    """The gateway's side of the platform, and eyes on the database and the bus."""

    database_url: str
    nats_url: str
    database: Database
    client: Client

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, database_url: str, nats_url: str) -> AsyncIterator[Self]:
        client = await connect(nats_url, name="test")
        database = Database(database_url, service="gateway")
        await database.open()
        publisher = Publisher(Sender(client), database)
        publisher.start()
        database.publisher = publisher
        try:
            yield cls(database_url, nats_url, database, client)
        finally:
            await publisher.stop()
            await database.close()
            await client.close()

    @property
    def jetstream(self) -> JetStreamContext:
        return self.client.jetstream()

    @functools.cached_property
    def sender(self) -> Sender:
        return Sender(self.client)

    async def submit(
        self,
        kind: str = "market",
        county: str = COUNTY,
        *,
        deadline: datetime | None = None,
        traceparent: str | None = None,
        publish: bool = True,
        priority: str = "normal",
        **parameters: Any,
    ) -> UUID:
        """One unit of work: the job's row and its command."""
        job_id = new_id()
        async with self.database.begin(county) as unit:
            row = await unit.connection.fetchrow(
                "INSERT INTO chassis.job (county, id, kind, parameters, request_digest, requested_by, deadline,"
                " traceparent, priority) VALUES ($1, $2, $3, $4, 'x', 'tester', $5, $6, $7) RETURNING *",
                county,
                job_id,
                kind,
                parameters,
                deadline,
                traceparent,
                priority,
            )
            if publish:
                unit.publish_message(job_requested(row, service="gateway", first=True))
        return job_id

    async def cancel(self, job_id: UUID, county: str = COUNTY) -> None:
        """As the gateway does it: a job that waits ends, one that runs is asked to stop."""
        async with self.database.begin(county) as unit:
            status = await unit.connection.fetchval(
                "UPDATE chassis.job SET status = CASE status WHEN 'queued' THEN 'cancelled' ELSE 'cancelling' END,"
                " finished_at = CASE status WHEN 'queued' THEN now() END"
                " WHERE id = $1 AND status IN ('queued', 'running') RETURNING status",
                job_id,
            )
            if status == "cancelling":
                event = JobCancelRequested(
                    county=county,
                    occurred_at=datetime.now(UTC),
                    job_id=job_id,
                    kind="market",
                    attempt=1,
                    requested_by="tester",
                )
                await unit.publish(event)

    async def job(self, job_id: UUID) -> asyncpg.Record:
        async with self.database.read("*") as connection:
            row = await connection.fetchrow("SELECT * FROM chassis.job WHERE id = $1", job_id)
        assert row is not None
        return row

    async def reached(self, job_id: UUID, *statuses: str, wait_seconds: float = 30) -> asyncpg.Record:
        """The job's row once its status is one of these."""

        async def look() -> asyncpg.Record | None:
            row = await self.job(job_id)
            return row if row["status"] in statuses else None

        return await eventually(look, f"job {job_id} is {' or '.join(statuses)}", wait_seconds=wait_seconds)

    async def ended(self, job_id: UUID, *, wait_seconds: float = 30) -> asyncpg.Record:
        return await self.reached(job_id, *ENDED, wait_seconds=wait_seconds)

    async def fetchval(self, query: str, *args: Any) -> Any:
        """A value as the platform itself sees it, of all counties."""
        async with self.database.read("*") as connection:
            return await connection.fetchval(query, *args)

    async def outbox_is_empty(self) -> None:
        async def look() -> bool:
            return bool(await self.fetchval("SELECT count(*) = 0 FROM chassis.outbox"))

        await eventually(look, "the outbox is empty")

    async def idle(self, durable: str = "market") -> None:
        """Nothing waits for the consumer and nothing is unacknowledged."""

        async def look() -> bool:
            info = await self.jetstream.consumer_info("JOBS", durable)
            return not info.num_pending and not info.num_ack_pending

        await eventually(look, f"the consumer {durable} has nothing to do")

    async def messages(self, stream: str, subject: str = ">") -> list[Msg]:
        """What a stream holds on a subject, in its order."""
        return await stream_messages(self.jetstream, stream, subject)

    async def facts(self, job_id: UUID) -> list[str]:
        """The facts that the bus holds of a job, in their order."""
        return [
            message.subject.split(".")[2]
            for message in await self.messages("JOBS", "job.>")
            if (message.headers or {}).get("ce-subject") == str(job_id)
        ]

    async def letters_since(self, before: int) -> list[Msg]:
        """The dead letters beyond the first `before`, once there are any and the consumer has nothing to do."""

        async def look() -> list[Msg]:
            return (await self.letters())[before:]

        await eventually(look, "there is a new dead letter")
        await self.idle()
        return await look()

    async def letters(self, job_id: UUID | None = None) -> list[Msg]:
        """The dead letters, of one job or all."""
        found = await self.messages("DEADLETTER", "dlq.>")
        return [m for m in found if job_id is None or (m.headers or {}).get("ce-subject") == str(job_id)]


async def stream_messages(jetstream: JetStreamContext, stream: str, subject: str = ">") -> list[Msg]:
    """What a stream holds on a subject, in its order."""
    config = ConsumerConfig(ack_policy=AckPolicy.NONE, inactive_threshold=5)
    subscription = await jetstream.pull_subscribe(subject, stream=stream, config=config)
    promised = (await subscription.consumer_info()).num_pending or 0
    found: list[Msg] = []
    while len(found) < promised:
        found += await subscription.fetch(min(256, promised - len(found)), timeout=5)
    await subscription.unsubscribe()
    return found


def settings_for(office: Office, storage: str, **changes: Any) -> ServiceSettings:
    """Settings with waits that suit a test."""
    values: dict[str, Any] = {
        "operational_db_url": office.database_url,
        "nats_url": office.nats_url,
        "storage_url": storage,
        "job_lease": timedelta(seconds=2),
        "job_retry_delay": timedelta(seconds=0.1),
        "job_attempts": 3,
        "shutdown_wait": timedelta(seconds=0.3),
        "log_level": "CRITICAL",
    }
    return ServiceSettings(**{**values, **changes})


@contextlib.asynccontextmanager
async def running(
    router: JobRouter,
    settings: ServiceSettings,
    *,
    name: str = "market",
    subscribe: Callable[[Service], None] | None = None,
) -> AsyncIterator[Service]:
    """A service of this test's own, in this process; a task of its own opens and closes it, as anyio asks."""
    service = Service(name, router=router, settings=settings, subscribe=subscribe)
    started, stop = asyncio.Event(), asyncio.Event()

    async def serve() -> None:
        async with service.app().start_lifespan_context():
            started.set()
            await stop.wait()

    serving = asyncio.create_task(serve())
    waiting = asyncio.create_task(started.wait())
    await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    try:
        if started.is_set():
            yield service
    finally:
        stop.set()
        await serving
