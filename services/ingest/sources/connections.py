"""Connects to a database by its URL, read only."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from contracts.mapping import Pair
from services.ingest.sources.dialects.postgresql import PostgresqlDialect
from services.ingest.sources.errors import told_plainly
from services.ingest.sources.postgresql import PostgresqlServer
from services.ingest.sources.sessions import PsycopgSession
from services.ingest.sources.source import Source
from services.ingest.sources.sql_source import SqlSource

_CONNECT_SECONDS = 10
_APPLICATION = "terrafusion ingest"


@contextmanager
def open_database(pair: Pair, url: str) -> Iterator[Source]:
    """The pair's database as a source.

    Raises:
        TransientError: `source_unavailable`, `source_timeout`, `source_locked`, `source_deadlocked`.
        PermanentError: `source_login_refused`, `source_missing`, `source_forbidden`.
    """
    with told_plainly(pair.pair):
        connection = psycopg.connect(url, connect_timeout=_CONNECT_SECONDS, application_name=_APPLICATION)
        with connection:
            server = PostgresqlServer(
                PsycopgSession(connection),
                PostgresqlDialect("%s"),
                schema=pair.source_schema,
                lock_seconds=pair.following.lock_timeout_seconds,
                query_seconds=pair.following.query_timeout_seconds,
            )
            try:
                yield SqlSource(server, pair.source_schema)
            finally:
                if not connection.closed:
                    connection.rollback()
