"""A PACS-shaped source over the PostgreSQL protocol: one read-only snapshot for all the tables of a run."""

import io
from collections.abc import Iterator
from contextlib import contextmanager

import polars as pl
import psycopg
from psycopg import sql

from chassis.errors import PermanentError, TransientError
from contracts.mapping import ColumnType, Pair, SourceTable
from services.ingest.sources.source import Catalog, Source

_BLOCK_BYTES = 8 * 1024 * 1024
_CATALOG = """
SELECT c.table_name, c.column_name, c.data_type FROM information_schema.columns c WHERE c.table_schema = %s
"""


class PostgresSource(Source):
    """Reads tables whole by COPY; nothing is ever written."""

    def __init__(self, connection: psycopg.Connection, schema: str) -> None:
        self.connection = connection
        self.schema = schema
        self.database = connection.info.dbname

    def catalog(self) -> Catalog:
        """Every column that this login may see, with its type."""
        found: Catalog = {}
        for table, column, kind in self.connection.execute(_CATALOG, (self.schema,)):
            found.setdefault(table, {})[column] = kind
        return found

    def server(self) -> dict[str, str]:
        """Version, time zone, collation, and that this login cannot write here."""
        settings = ("server_version", "TimeZone", "server_encoding", "transaction_read_only")
        found = self.connection.execute("SELECT name, setting FROM pg_settings WHERE name = ANY(%s)", (list(settings),))
        return dict(found.fetchall())

    def read(self, table: SourceTable, *, years: tuple[int, ...] = ()) -> Iterator[pl.DataFrame]:
        """The table's mapped columns as texts, in blocks of some megabytes."""
        query = sql.SQL("COPY ({}) TO STDOUT (FORMAT csv)").format(self._select(table, years))
        names = list(table.columns)
        with self.connection.cursor() as cursor, cursor.copy(query) as copy:
            block, size = [], 0
            for data in copy:  # the server sends a row in one piece each, so a block never ends inside a row
                block.append(data)
                size += len(data)
                if size >= _BLOCK_BYTES:
                    yield _parse(b"".join(block), names)
                    block, size = [], 0
            if block:
                yield _parse(b"".join(block), names)

    def _select(self, table: SourceTable, years: tuple[int, ...]) -> sql.Composed:
        columns = [
            sql.SQL("encode({}, 'hex')" if kind is ColumnType.GEOMETRY else "{}").format(sql.Identifier(name))
            for name, kind in table.columns.items()
        ]
        query = sql.SQL("SELECT {} FROM {}").format(
            sql.SQL(", ").join(columns), sql.Identifier(self.schema, table.name)
        )
        if not years:
            return query
        chosen = sql.SQL(", ").join(map(sql.Literal, years))
        return sql.SQL("{} WHERE {} IN ({})").format(query, sql.Identifier(table.year_column), chosen)


def _parse(block: bytes, names: list[str]) -> pl.DataFrame:
    return pl.read_csv(io.BytesIO(block), has_header=False, new_columns=names, infer_schema=False)


@contextmanager
def open_postgres(pair: Pair, url: str) -> Iterator[Source]:
    """Connects read only and takes one snapshot, which the whole run reads.

    Raises:
        TransientError: `source_unavailable`.
        PermanentError: `source_forbidden` where the login may not read.
    """
    try:
        connection = psycopg.connect(url, connect_timeout=10, application_name="terrafusion ingest")
    except psycopg.OperationalError as error:
        raise TransientError("source_unavailable", f"the source of {pair.pair} cannot be reached") from error
    with connection:
        connection.read_only = True
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        try:
            yield PostgresSource(connection, pair.source_schema)
        except psycopg.errors.InsufficientPrivilege as error:
            raise PermanentError("source_forbidden", f"the login of {pair.pair} may not read: {error}") from error
        except psycopg.OperationalError as error:
            raise TransientError("source_unavailable", f"the source of {pair.pair} was lost") from error
        finally:
            connection.rollback()
