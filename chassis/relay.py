"""From the outbox to JetStream: at once after the commit, and by the sweeper what a crash left behind."""

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import asyncpg
from nats.js.client import JetStreamContext
from opentelemetry import trace
from opentelemetry.propagate import extract, inject
from opentelemetry.trace import SpanKind

from chassis import queries
from chassis.bus import publish
from chassis.outbox import OutboxMessage
from chassis.requests import job_requested
from chassis.telemetry import is_sampled

if TYPE_CHECKING:
    from chassis.database import Database

log = logging.getLogger(__name__)
tracer = trace.get_tracer("terrafusion.relay")

BATCH = 256
BATCHES_IN_FLIGHT = 16
FORGET_AFTER_SECONDS = 0.1
EVERY_COUNTY = "*"
SWEEP_AGE = timedelta(seconds=2)


async def send(jetstream: JetStreamContext, message: OutboxMessage) -> UUID:
    """Publish one event in the trace that caused it; returns its id."""
    if not is_sampled(message.headers.get("traceparent")):  # nobody records the trace: it needs no span of ours
        await publish(jetstream, message.subject, message.body.encode(), message.headers)
        return message.id
    kind, _, rest = message.subject.partition(".")
    with tracer.start_as_current_span(
        f"publish {kind}.{rest.rpartition('.')[0]}",
        context=extract(message.headers),
        kind=SpanKind.PRODUCER,
        attributes={"messaging.system": "nats", "messaging.destination.name": message.subject},
    ):
        headers = dict(message.headers)
        inject(headers)
        await publish(jetstream, message.subject, message.body.encode(), headers)
    return message.id


async def send_all(jetstream: JetStreamContext, messages: Sequence[OutboxMessage]) -> list[UUID]:
    """Publish events side by side; returns the ids that were acknowledged."""
    results = await asyncio.gather(*(send(jetstream, m) for m in messages), return_exceptions=True)
    failed = [result for result in results if isinstance(result, BaseException)]
    if failed:
        log.warning("events stay in the outbox", extra={"count": len(failed), "reason": repr(failed[0])})
    return [result for result in results if isinstance(result, UUID)]


class Publisher:
    """Sends the events of committed units of work in their order, and forgets those acknowledged.

    What it cannot send (the bus is away, the process dies) stays in the outbox for the sweeper.
    """

    def __init__(self, jetstream: JetStreamContext, database: "Database") -> None:
        self._jetstream = jetstream
        self._database = database
        self._waiting: asyncio.Queue[Sequence[OutboxMessage]] = asyncio.Queue()
        self._sent: asyncio.Queue[UUID] = asyncio.Queue()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to send."""
        self._tasks = [asyncio.create_task(self._send_forever()), asyncio.create_task(self._forget_forever())]

    async def stop(self, *, wait_seconds: float = 5.0) -> None:
        """Send and forget what is at hand, then end."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_seconds):
                await self._waiting.join()
                await self._sent.join()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def send(self, messages: Sequence[OutboxMessage]) -> None:
        """Take over the events of a unit of work that has been committed."""
        self._waiting.put_nowait(messages)

    async def _send_forever(self) -> None:
        """Start batch after batch in order, without waiting for the acknowledgements of the one before."""
        room = asyncio.Semaphore(BATCHES_IN_FLIGHT)
        async with asyncio.TaskGroup() as sending:
            while True:
                batches = await _drain(self._waiting)
                messages = [message for batch in batches for message in batch]
                if len(messages) > BATCH:  # in several steps, which nothing later may overtake
                    await self._send(messages, len(batches))
                    continue
                await room.acquire()
                task = sending.create_task(self._send(messages, len(batches)))
                task.add_done_callback(lambda _: room.release())

    async def _send(self, messages: Sequence[OutboxMessage], units: int) -> None:
        for start in range(0, len(messages), BATCH):
            for sent in await send_all(self._jetstream, messages[start : start + BATCH]):
                self._sent.put_nowait(sent)
        for _ in range(units):
            self._waiting.task_done()

    async def _forget_forever(self) -> None:
        while True:
            first = await self._sent.get()
            if self._sent.qsize() < BATCH:
                await asyncio.sleep(FORGET_AFTER_SECONDS)  # one statement for many: nobody waits for it
            ids = [first, *_at_hand(self._sent)]
            try:
                async with self._database.pool.acquire() as connection:
                    await queries.forget_sent(connection, ids)
            except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
                reason = type(error).__name__
                log.warning("sent events stay in the outbox", extra={"count": len(ids), "reason": reason})
            for _ in ids:
                self._sent.task_done()


async def _drain(queue: "asyncio.Queue[Any]") -> list[Any]:
    first = await queue.get()
    return [first, *_at_hand(queue)]


def _at_hand(queue: "asyncio.Queue[Any]") -> list[Any]:
    return [queue.get_nowait() for _ in range(min(queue.qsize(), BATCH - 1))]


async def sweep(database: "Database", jetstream: JetStreamContext, *, older_than: timedelta = SWEEP_AGE) -> int:
    """Send the oldest events that a crash left in the outbox; returns how many. Safe with several processes.

    Raises:
        TimeoutError: the bus did not take them all; they stay.
    """
    async with database.begin(EVERY_COUNTY) as unit:
        messages = await queries.lock_outbox(unit.connection, older_than=older_than, limit=BATCH)
        sent = await send_all(jetstream, messages)
        if sent:
            await queries.delete_outbox(unit.connection, sent)
    if len(sent) < len(messages):
        raise TimeoutError(f"{len(messages) - len(sent)} events wait for the bus")
    return len(sent)


async def reconcile(database: "Database", *, silence: timedelta) -> int:
    """Publish again the jobs that the bus seems to have lost; returns how many.

    A copy that turns out to be superfluous does nothing: a job is claimed once.
    """
    async with database.begin(EVERY_COUNTY) as unit:
        rows = await queries.take_lost_jobs(unit.connection, silence=silence, limit=BATCH)
        for row in rows:
            unit.publish_message(job_requested(row, service=database.service))
    return len(rows)
