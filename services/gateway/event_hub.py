"""Live events of jobs: at most one subscription per process, a bounded queue per client, replay from the stream.

The hub hears what the JOBS stream republishes without the county, which carries the stream's sequence numbers and
needs no state on the server. A gap in the numbers (the connection was lost) sends every client to the stream.
"""

import asyncio
import contextlib
import logging
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError
from nats.errors import TimeoutError as NatsTimeoutError
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import NotFoundError as NatsNotFoundError

from chassis.bus import JOBS_STREAM
from contracts.subjects import JobFact, JobKind, job_subject

log = logging.getLogger(__name__)
ENDINGS = frozenset({JobFact.SUCCEEDED.value, JobFact.FAILED.value, JobFact.CANCELLED.value})
QUEUE_EVENTS = 256
_REPLAY_WAIT_SECONDS = 5.0
_FLUSH_WAIT_SECONDS = 2


@dataclass(frozen=True, slots=True)
class JobFactSaid:
    """One event of a job as it stands in the stream."""

    sequence: int
    fact: str
    body: str

    @property
    def ends(self) -> bool:
        """Whether the job has ended with it."""
        return self.fact in ENDINGS


class Follower:
    """One client's queue: dropped when it is too slow to empty it."""

    def __init__(self) -> None:
        self.waiting: asyncio.Queue[JobFactSaid] = asyncio.Queue(QUEUE_EVENTS)
        self.dropped = False
        self.behind = False

    def offer(self, said: JobFactSaid) -> None:
        """Queue an event; a full queue drops the client, which may come back with its `Last-Event-ID`."""
        try:
            self.waiting.put_nowait(said)
        except asyncio.QueueFull:
            self.dropped = True

    async def next(self, *, wait_seconds: float) -> JobFactSaid | None:
        """The next event; None where none came in time or some may be missing."""
        if self.behind and self.waiting.empty():
            return None
        try:
            async with asyncio.timeout(wait_seconds):
                return await self.waiting.get()
        except TimeoutError:
            return None


class EventHub:
    """Hands each event to the clients that follow its job; listens while there are any."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._followers: dict[UUID, set[Follower]] = defaultdict(set)
        self._sequence: int | None = None
        self._subscription: Subscription | None = None
        self._changing = asyncio.Lock()

    @asynccontextmanager
    async def following(self, job_id: UUID) -> AsyncIterator[Follower]:
        """The live events of one job, from now on."""
        follower = Follower()
        self._followers[job_id].add(follower)
        try:
            await self._listen()
            yield follower
        finally:
            self._followers[job_id].discard(follower)
            if not self._followers[job_id]:
                del self._followers[job_id]
            await asyncio.shield(self._listen())

    async def _listen(self) -> None:
        """Have a subscription exactly while somebody follows; without the bus, clients look at the stream later."""
        async with self._changing:
            with contextlib.suppress(NatsError, OSError):
                if self._followers and self._subscription is None:
                    self._sequence = None
                    self._subscription = await self._client.subscribe("job.*.*", cb=self._hear)
                    await self._client.flush(timeout=_FLUSH_WAIT_SECONDS)
                elif not self._followers and self._subscription is not None:
                    subscription, self._subscription = self._subscription, None
                    await subscription.unsubscribe()

    @property
    def followers(self) -> int:
        """How many clients follow jobs now."""
        return sum(len(followers) for followers in self._followers.values())

    async def _hear(self, msg: Msg) -> None:
        headers = msg.headers or {}
        if not headers.get("Nats-Sequence", "").isdigit():
            return  # not republished by the stream
        sequence = int(headers["Nats-Sequence"])
        if self._sequence is not None and sequence != self._sequence + 1:
            self._send_all_to_the_stream()
        self._sequence = sequence
        job_id = _job_id(headers)
        if job_id in self._followers:
            said = JobFactSaid(sequence, msg.subject.rpartition(".")[2], msg.data.decode())
            for follower in self._followers[job_id]:
                follower.offer(said)

    def _send_all_to_the_stream(self) -> None:
        for followers in self._followers.values():
            for follower in followers:
                follower.behind = True

    async def replay(
        self, county: str, kind: JobKind, job_id: UUID, *, since: datetime, after: int
    ) -> AsyncIterator[JobFactSaid]:
        """What the stream holds of a job after a sequence number, by a consumer that lives for this long only.

        Raises:
            nats.errors.Error: the bus is away.
        """
        jetstream = self._client.jetstream(timeout=_REPLAY_WAIT_SECONDS)
        start: dict[str, Any] = (
            {"deliver_policy": DeliverPolicy.BY_START_SEQUENCE, "opt_start_seq": after + 1}
            if after
            else {"deliver_policy": DeliverPolicy.BY_START_TIME, "opt_start_time": since}
        )
        subject = job_subject(kind, "*", county)
        subscription = await jetstream.pull_subscribe(
            subject,
            stream=JOBS_STREAM,
            config=ConsumerConfig(ack_policy=AckPolicy.NONE, mem_storage=True, inactive_threshold=30, **start),
        )
        try:
            left = (await subscription.consumer_info()).num_pending or 0
            while left > 0:
                batch = await subscription.fetch(min(left, QUEUE_EVENTS), timeout=_REPLAY_WAIT_SECONDS)
                left -= len(batch)
                for msg in batch:
                    if _job_id(msg.headers or {}) == job_id:
                        sequence = msg.metadata.sequence.stream
                        yield JobFactSaid(sequence, msg.subject.split(".")[2], msg.data.decode())
        except NatsTimeoutError:
            log.warning("a replay was cut short", extra={"reason": "no answer"})
        finally:
            await _discard(jetstream, subscription)

    async def is_ending(self, job_id: UUID, sequence: int) -> bool:
        """Whether the event with this number ended the job."""
        try:
            found = await self._client.jetstream(timeout=2).get_msg(JOBS_STREAM, seq=sequence, direct=True)
        except (NatsNotFoundError, NatsError):
            return False
        fact = (found.subject or "").split(".")[2:3]
        return _job_id(found.headers or {}) == job_id and fact != [] and fact[0] in ENDINGS


async def _discard(jetstream: JetStreamContext, subscription: JetStreamContext.PullSubscription) -> None:
    """Forget a replay's consumer; one that the bus does not hear of it forgets by itself after a while."""
    with contextlib.suppress(NatsError, OSError):
        await subscription.unsubscribe()
        await jetstream.delete_consumer(JOBS_STREAM, subscription._consumer)  # noqa: SLF001 its only place


def _job_id(headers: dict[str, str]) -> UUID | None:
    try:
        return UUID(headers.get("ce-subject", ""))
    except ValueError:
        return None
