"""Connects to a database by its URL, read only.

`postgresql://…` speaks PostgreSQL's own protocol; `postgresql+pyodbc://…?driver=…` and `mssql+pyodbc://…?driver=…` go
through an ODBC driver; what else stands after the question mark is handed to the driver.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from chassis.errors import PermanentError, TerraFusionError
from contracts.mapping import Pair
from services.ingest.operation.failures import refusals
from services.ingest.sources.dialects.postgresql import PostgresqlDialect
from services.ingest.sources.dialects.sql_server import SqlServerDialect
from services.ingest.sources.odbc import OdbcSession
from services.ingest.sources.postgresql import PostgresqlServer
from services.ingest.sources.server import Server
from services.ingest.sources.sessions import PsycopgSession, Session
from services.ingest.sources.source import Source
from services.ingest.sources.sql_server import SqlServer
from services.ingest.sources.sql_source import SqlSource

_CONNECT_SECONDS = 10
_APPLICATION = "terrafusion ingest"


@contextmanager
def open_database(pair: Pair, url: str) -> Iterator[Source]:
    """The pair's database as a source.

    Raises:
        TransientError: `source_unavailable`, `source_timeout`, `source_locked`, `source_deadlocked`.
        PermanentError: `source_url_invalid`, `odbc_manager_missing`, `odbc_driver_missing`, `source_login_refused`,
            `source_missing`, `source_forbidden`.
    """
    backend, session = _connect(pair, url)
    try:
        yield SqlSource(_server(backend, pair, session), pair.source_schema)
    finally:
        session.close()


def _connect(pair: Pair, url: str) -> tuple[str, Session]:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise PermanentError("source_url_invalid", f"the source of {pair.pair} has no readable URL") from error
    backend, _, driver = parsed.drivername.partition("+")
    if driver == "pyodbc" and backend in {"postgresql", "mssql"}:
        return backend, OdbcSession(pair.pair, parsed, query_seconds=pair.following.query_timeout_seconds)
    if backend in {"postgresql", "postgres"} and not driver:
        return "postgresql", PsycopgSession(pair.pair, _plain_connection(pair, url))
    message = f"the source of {pair.pair} is {parsed.drivername}: postgresql, postgresql+pyodbc or mssql+pyodbc is read"
    raise PermanentError("source_url_invalid", message)


def _plain_connection(pair: Pair, url: str) -> psycopg.Connection:
    try:
        with refusals(pair.pair):
            return psycopg.connect(url, connect_timeout=_CONNECT_SECONDS, application_name=_APPLICATION)
    except TerraFusionError as error:
        if isinstance(error.__cause__, psycopg.ProgrammingError):  # libpq could not read it; its words may quote it
            raise PermanentError("source_url_invalid", f"the source of {pair.pair} has no readable URL") from None
        raise


def _server(backend: str, pair: Pair, session: Session) -> Server:
    limits = {
        "lock_seconds": pair.following.lock_timeout_seconds,
        "query_seconds": pair.following.query_timeout_seconds,
    }
    if backend == "mssql":
        return SqlServer(session, SqlServerDialect(), lock_seconds=limits["lock_seconds"])
    return PostgresqlServer(session, PostgresqlDialect(session.placeholder), schema=pair.source_schema, **limits)
