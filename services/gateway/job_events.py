"""One client's view of one job: what was, then what happens, up to the last fact."""

import logging
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from uuid import UUID

from nats.errors import Error as NatsError

from chassis import queries as chassis_queries
from chassis.database import Database
from contracts.api.jobs import JobStatus
from contracts.subjects import JobKind
from services.gateway.event_hub import EventHub, Follower, JobFactSaid

log = logging.getLogger(__name__)
_CLOCK_TOLERANCE = timedelta(seconds=5)


class JobEvents:
    """Follows a job; `after` is the sequence number of the last event that the client has."""

    def __init__(
        self,
        hub: EventHub,
        database: Database,
        *,
        county: str,
        kind: JobKind,
        job_id: UUID,
        created_at: datetime,
        after: int,
        check_seconds: float,
    ) -> None:
        self._hub = hub
        self._database = database
        self._county = county
        self._kind = kind
        self._job_id = job_id
        self._since = created_at - _CLOCK_TOLERANCE  # the bus' clock is not the database's
        self._after = after
        self._check_seconds = check_seconds
        self._ended = False

    async def __aiter__(self) -> AsyncIterator[JobFactSaid]:
        """Each event once and in order; ends with the fact that ended the job, or when the client is too slow."""
        async with self._hub.following(self._job_id) as follower:
            async for said in self._catch_up():
                yield said
            while not self._ended and not follower.dropped:
                event = await follower.next(wait_seconds=self._check_seconds)
                if event is not None and self._is_news(event):
                    yield event
                elif event is None:
                    async for said in self._look(follower):
                        yield said

    async def _catch_up(self) -> AsyncIterator[JobFactSaid]:
        """What the stream holds. A job that was started again has an ending in the middle: only the last counts."""
        try:
            replay = self._hub.replay(self._county, self._kind, self._job_id, since=self._since, after=self._after)
            async for said in replay:
                if self._is_news(said):
                    yield said
        except NatsError as error:
            log.warning("events will be looked for again", extra={"reason": repr(error)})

    async def _look(self, follower: Follower) -> AsyncIterator[JobFactSaid]:
        """After a silence or a gap: read the stream again; end where the job has ended and nothing more is there."""
        follower.behind = False
        ended = await self._job_has_ended()
        async for said in self._catch_up():
            yield said
        self._ended = self._ended or ended

    async def _job_has_ended(self) -> bool:
        async with self._database.read(self._county) as connection:
            row = await chassis_queries.read_job(connection, self._county, self._job_id)
        return row is None or JobStatus(row["status"]).ended

    def _is_news(self, said: JobFactSaid) -> bool:
        if said.sequence <= self._after:
            return False
        self._after = said.sequence
        self._ended = said.ends
        return True
