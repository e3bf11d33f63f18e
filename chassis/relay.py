"""From the outbox to JetStream: at once after the commit, and by the sweeper what a crash left behind."""

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import asyncpg
from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from chassis import queries
from chassis.bus import PUBLISH_WAIT_SECONDS, Sender
from chassis.outbox import OutboxMessage
from chassis.requests import job_requested
from chassis.telemetry import is_sampled, trace_headers

if TYPE_CHECKING:
    from chassis.database import Database

log = logging.getLogger(__name__)
tracer = trace.get_tracer("terrafusion.relay")
_W3C = TraceContextTextMapPropagator()  # what the outbox carries, whatever the process speaks over HTTP

BATCH = 256
BATCHES_IN_FLIGHT = 16
GATHER_SECONDS = 0.002
FORGET_AFTER_SECONDS = 0.1
EVERY_COUNTY = "*"
IDLE_BATCH = 5_000
SWEEP_AGE = timedelta(seconds=2)


async def send(sender: Sender, message: OutboxMessage) -> "asyncio.Future[bool]":
    """Hand one event to the bus in the trace that caused it; its span ends with the acknowledgement."""
    if not is_sampled(message.headers.get("traceparent")):  # nobody records the trace: it needs no span of ours
        return await sender.send(message.subject, message.body.encode(), message.headers)
    kind, _, rest = message.subject.partition(".")
    span = tracer.start_span(
        f"publish {kind}.{rest.rpartition('.')[0]}",
        context=_W3C.extract(message.headers),
        kind=SpanKind.PRODUCER,
        attributes={"messaging.system": "nats", "messaging.destination.name": message.subject},
    )
    headers = message.headers | trace_headers(span)
    try:
        acknowledgement = await sender.send(message.subject, message.body.encode(), headers)
    except BaseException:
        span.set_status(StatusCode.ERROR)
        span.end()
        raise
    acknowledgement.add_done_callback(lambda done: _end(span, done))
    return acknowledgement


def _end(span: Span, acknowledgement: "asyncio.Future[bool]") -> None:
    if acknowledgement.cancelled() or acknowledgement.exception() is not None:
        span.set_status(StatusCode.ERROR)
    span.end()


async def send_all(sender: Sender, messages: Sequence[OutboxMessage]) -> list[UUID]:
    """Publish events in their order; returns the ids that were acknowledged."""
    started: list[tuple[UUID, asyncio.Future[bool]]] = []
    reasons: list[BaseException] = []
    for message in messages:
        try:
            started.append((message.id, await send(sender, message)))
        except Exception as refusal:  # noqa: BLE001 whatever the connection says: the others are to be tried
            reasons.append(refusal)
    if started:
        _, late = await asyncio.wait([future for _, future in started], timeout=PUBLISH_WAIT_SECONDS)
        reasons += [TimeoutError("no acknowledgement") for future in late if future.cancel()]
    done = [(identity, future) for identity, future in started if future.done() and not future.cancelled()]
    reasons += [error for _, future in done if (error := future.exception()) is not None]
    if reasons:
        log.warning("events stay in the outbox", extra={"count": len(reasons), "reason": repr(reasons[0])})
    return [identity for identity, future in done if future.exception() is None]


class Publisher:
    """Sends the events of committed units of work in their order, and forgets those acknowledged.

    What it cannot send (the bus is away, the process dies) stays in the outbox for the sweeper.
    """

    def __init__(self, sender: Sender, database: "Database") -> None:
        self._sender = sender
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
        """Start batch after batch in order, without waiting for the acknowledgements of the one before.

        Who comes while one is under way waits for a moment for company: one write and one answer for several.
        """
        room = asyncio.Semaphore(BATCHES_IN_FLIGHT)
        under_way: set[asyncio.Task[None]] = set()
        async with asyncio.TaskGroup() as sending:
            while True:
                first = await self._waiting.get()
                if under_way:
                    await asyncio.sleep(GATHER_SECONDS)
                batches = [first, *_at_hand(self._waiting)]
                messages = [message for batch in batches for message in batch]
                if len(messages) > BATCH:  # in several steps, which nothing later may overtake
                    await self._send(messages, len(batches))
                    continue
                await room.acquire()
                task = sending.create_task(self._send(messages, len(batches)))
                under_way.add(task)
                task.add_done_callback(under_way.discard)
                task.add_done_callback(lambda _: room.release())

    async def _send(self, messages: Sequence[OutboxMessage], units: int) -> None:
        for start in range(0, len(messages), BATCH):
            for sent in await send_all(self._sender, messages[start : start + BATCH]):
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


def _at_hand(queue: "asyncio.Queue[Any]") -> list[Any]:
    return [queue.get_nowait() for _ in range(min(queue.qsize(), BATCH - 1))]


async def sweep(database: "Database", sender: Sender, *, older_than: timedelta = SWEEP_AGE) -> int:
    """Send the oldest events that a crash left in the outbox; returns how many. Safe with several processes.

    Raises:
        TimeoutError: the bus did not take them all; they stay.
    """
    async with database.begin(EVERY_COUNTY) as unit:
        messages = await queries.lock_outbox(unit.connection, older_than=older_than, limit=BATCH)
        sent = await send_all(sender, messages)
        if sent:
            await queries.delete_outbox(unit.connection, sent)
    if len(sent) < len(messages):
        raise TimeoutError(f"{len(messages) - len(sent)} events wait for the bus")
    return len(sent)


async def forget_idle(database: "Database", *, older_than: timedelta) -> int:
    """Drop scheduled jobs of long ago that nothing came of; returns how many. Safe with several processes."""
    forgotten = 0
    while True:
        async with database.begin(EVERY_COUNTY) as unit:
            found = await queries.forget_idle_jobs(unit.connection, older_than=older_than, limit=IDLE_BATCH)
        forgotten += found
        if found < IDLE_BATCH:
            return forgotten


async def reconcile(database: "Database", *, silence: timedelta) -> int:
    """Publish again the jobs that the bus seems to have lost; returns how many.

    A copy that turns out to be superfluous does nothing: a job is claimed once.
    """
    async with database.begin(EVERY_COUNTY) as unit:
        rows = await queries.take_lost_jobs(unit.connection, silence=silence, limit=BATCH)
        for row in rows:
            unit.publish_message(job_requested(row, service=database.service))
    return len(rows)
