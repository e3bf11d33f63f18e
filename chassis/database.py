"""Connections to the operational database, and the unit of work: one transaction, one county, its events.

Statements are plain SQL over asyncpg; `docs/decisions/0003-sql-over-asyncpg.md` says why.
"""

import functools
import json
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import asyncpg
from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode

from chassis import queries
from chassis.errors import PermanentError
from chassis.outbox import OutboxMessage, to_message
from chassis.relay import EVERY_COUNTY, Publisher
from contracts.events.base import Event
from contracts.subjects import COUNTY_PATTERN

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

if TYPE_CHECKING:  # generic for the type checker only
    Connection = asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]
else:
    Connection = asyncpg.Connection
_COUNTY = re.compile(COUNTY_PATTERN)
LONGEST_SILENCE = timedelta(minutes=15)
_TRANSACTION = ("BEGIN", "COMMIT", "ROLLBACK")
log = logging.getLogger(__name__)
tracer = trace.get_tracer("terrafusion.sql")


def _traced(method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """Give a statement a span where it belongs to a trace; background loops make none."""

    @functools.wraps(method)
    async def call(self: Any, query: str, *args: Any, **kwargs: Any) -> Any:
        if not trace.get_current_span().is_recording() or query.startswith(_TRANSACTION):
            return await method(self, query, *args, **kwargs)
        span = tracer.start_span(  # nothing is inside it, so it need not be the current one, which is dearer
            query.split(maxsplit=1)[0],
            kind=SpanKind.CLIENT,
            attributes={"db.system.name": "postgresql", "db.query.text": query[:500]},
        )
        try:
            return await method(self, query, *args, **kwargs)
        except Exception as error:
            span.set_status(StatusCode.ERROR, type(error).__name__)
            raise
        finally:
            span.end()

    return call


class TracedConnection(asyncpg.Connection):
    """Spans for statements, and no reset query: we set nothing that outlives a transaction."""

    def get_reset_query(self) -> str:
        """Nothing to reset, so returning a connection costs no round trip."""
        return ""

    execute = _traced(asyncpg.Connection.execute)  # type: ignore[assignment]
    executemany = _traced(asyncpg.Connection.executemany)  # type: ignore[assignment]
    fetch = _traced(asyncpg.Connection.fetch)  # type: ignore[assignment]
    fetchrow = _traced(asyncpg.Connection.fetchrow)  # type: ignore[assignment]
    fetchval = _traced(asyncpg.Connection.fetchval)  # type: ignore[assignment]
    copy_records_to_table = _traced(asyncpg.Connection.copy_records_to_table)  # type: ignore[assignment]
    copy_to_table = _traced(asyncpg.Connection.copy_to_table)  # type: ignore[assignment]
    copy_from_query = _traced(asyncpg.Connection.copy_from_query)  # type: ignore[assignment]


class UnitOfWork:
    """One transaction: what is written and what is published in it happens together or not at all."""

    def __init__(self, connection: Connection, *, county: str, service: str) -> None:
        self.connection = connection
        self.county = county
        self.service = service
        self.messages: list[OutboxMessage] = []
        self.stored = 0  # so many of them are in the outbox already

    async def publish(self, event: Event, *, event_id: str | None = None) -> None:
        """Put an event into the outbox; it leaves after the commit. `event_id` makes a repetition recognisable."""
        self.messages.append(to_message(event, service=self.service, event_id=event_id))

    def publish_message(self, message: OutboxMessage) -> None:
        """Put a message that is already in wire form into the outbox."""
        self.messages.append(message)

    async def first_delivery(self, *, consumer: str, event_id: str) -> bool:
        """Record that a consumer received an event; false where it had it before."""
        return await queries.record_delivery(self.connection, self.county, consumer=consumer, event_id=event_id)


class Database:
    """The pool of one service process."""

    def __init__(
        self,
        url: str,
        *,
        service: str,
        pool_size: int = 8,
        publisher: Publisher | None = None,
        transaction_silence: timedelta = LONGEST_SILENCE,
    ) -> None:
        self.url = asyncpg_url(url)
        self.service = service
        self.role = f"terrafusion_{service}"
        self.pool_size = pool_size
        self.publisher = publisher
        self.transaction_silence = transaction_silence
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None

    async def open(self) -> None:
        """Connect; later lost connections are replaced by the pool itself."""
        self._pool = await asyncpg.create_pool(
            self.url,
            min_size=1,
            max_size=self.pool_size,
            init=_prepare,
            connection_class=TracedConnection,
            server_settings=self._server_settings(),
            command_timeout=300,
        )

    def _server_settings(self) -> dict[str, str]:
        """A process that stands still between two statements of a transaction must not keep its locks."""
        return {
            "role": self.role,
            "application_name": f"terrafusion {self.service}",
            "idle_in_transaction_session_timeout": str(round(self.transaction_silence.total_seconds() * 1000)),
        }

    async def end_silent(self) -> None:
        """End sessions of processes that stand still in the middle of a statement, which no timeout of the server sees.

        A client that stops between parsing and executing, or within a COPY, leaves its session "active" for ever.
        """
        async with self.pool.acquire() as connection, connection.transaction():
            ended = await queries.end_silent_sessions(connection, silence=self.transaction_silence)
        if ended:
            log.warning("ended sessions that stood still within a statement", extra={"sessions": ended})

    async def close(self) -> None:
        """Give the connections back."""
        if self._pool is not None:
            await self._pool.close()
            self._pool = None

    @property
    def pool(self) -> "asyncpg.Pool[asyncpg.Record]":
        """The open pool."""
        if self._pool is None:
            raise RuntimeError("the database is not open")
        return self._pool

    @asynccontextmanager
    async def begin(self, county: str) -> AsyncIterator[UnitOfWork]:
        """A unit of work: committed at the end of the block, then its events are published."""
        async with self.pool.acquire() as connection:
            unit = UnitOfWork(connection, county=county, service=self.service)
            await connection.execute(_begin(county))
            try:
                yield unit
                if messages := unit.messages[unit.stored :]:
                    await queries.insert_outbox(connection, messages)
            except BaseException:
                await _rollback(connection)
                raise
            await _commit(connection)
        if unit.messages and self.publisher is not None:
            self.publisher.send(unit.messages)

    @asynccontextmanager
    async def read(self, county: str) -> AsyncIterator[Connection]:
        """A read-only transaction with one consistent picture of the county."""
        async with self.pool.acquire() as connection:
            await connection.execute(_begin(county, "ISOLATION LEVEL REPEATABLE READ, READ ONLY"))
            try:
                yield connection
            finally:
                await _rollback(connection)


def asyncpg_url(url: str) -> str:
    """The URL without a SQLAlchemy driver name."""
    return "postgresql://" + url.split("://", 1)[1]


def _begin(county: str, mode: str = "") -> str:
    """One round trip opens the transaction and declares its county to row-level security."""
    if county != EVERY_COUNTY and not _COUNTY.fullmatch(county):
        raise PermanentError("county_invalid", f"{county!r} is no county name")
    return f"BEGIN {mode}; SET LOCAL terrafusion.county = '{county}'"


async def _commit(connection: Connection) -> None:
    """PostgreSQL answers COMMIT with a quiet ROLLBACK where an earlier statement had failed and was caught."""
    if await connection.execute("COMMIT") != "COMMIT":
        raise RuntimeError("the transaction was rolled back: a statement in it had failed")


async def _rollback(connection: Connection) -> None:
    if not connection.is_closed():
        await connection.execute("ROLLBACK")


async def _prepare(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Speak JSON as Python objects."""
    for name in ("json", "jsonb"):
        await connection.set_type_codec(name, encoder=_to_json, decoder=json.loads, schema="pg_catalog")


def _to_json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), default=str)
