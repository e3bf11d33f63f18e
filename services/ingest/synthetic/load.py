"""Fills the source database: schema, rows by COPY, keys, stamps, and a login that may only read."""

import io
from collections.abc import Mapping
from urllib.parse import quote, urlsplit, urlunsplit

import polars as pl
import psycopg
from psycopg import sql

from chassis.errors import PermanentError
from services.ingest.synthetic.shape import (
    CREATE_ROWVERSION,
    SCHEMA,
    Table,
    create_keys,
    create_rowversion_stamp,
    create_table,
    quoted,
    read_shape,
)

#: the schema's comment, by which a synthetic source is known from a county's own
_MARK = "synthetic county of TerraFusion"

#: what stands for null in the COPY text; an empty text stays an empty text
_NULL = "\\N"


def load_source(source_url: str, frames: Mapping[str, pl.DataFrame]) -> None:
    """Drops the source's schema and creates it again with these rows, in one transaction.

    Raises:
        PermanentError: `source_not_synthetic`, the schema there was not made by an earlier synthesis.
    """
    create_database_if_missing(source_url)
    shape = read_shape()
    with psycopg.connect(source_url) as connection, connection.cursor() as cursor:
        _refuse_a_source_of_others(cursor)
        cursor.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE; CREATE SCHEMA {SCHEMA}".encode())
        cursor.execute(f"COMMENT ON SCHEMA {SCHEMA} IS '{_MARK}'".encode())
        cursor.execute(CREATE_ROWVERSION.encode())
        stamped = 0
        for table in shape.values():
            stamped += _load_table(cursor, table, frames[table.name], stamped)
        cursor.execute(f"SELECT setval('{SCHEMA}.rowversion_counter', %s)".encode(), (max(stamped, 1),))
        for table in shape.values():
            cursor.execute(f"ANALYZE {SCHEMA}.{table.name}".encode())


def _refuse_a_source_of_others(cursor: psycopg.Cursor) -> None:
    found = cursor.execute(
        "SELECT obj_description(oid, 'pg_namespace') FROM pg_namespace WHERE nspname = %s", (SCHEMA,)
    ).fetchone()
    if found is not None and found[0] != _MARK:
        raise PermanentError(
            "source_not_synthetic",
            f"the database has a schema {SCHEMA} that no synthesis made; it is left as it is",
        )


def _load_table(cursor: psycopg.Cursor, table: Table, frame: pl.DataFrame, stamped: int) -> int:
    """Copies the rows of a table; answers how many of them got a rowversion."""
    cursor.execute(create_table(table).encode())
    if table.has_rowversion:
        stamps = pl.int_range(stamped + 1, stamped + 1 + frame.height, eager=True)
        text = [f"\\x{stamp:016x}" for stamp in stamps]
        frame = frame.with_columns(pl.Series("tsRowVersion", text, dtype=pl.String))
    if frame.height:
        names = ", ".join(quoted(name) for name in frame.columns)
        options = f"WITH (FORMAT csv, NULL '{_NULL}')"
        with cursor.copy(f"COPY {SCHEMA}.{table.name} ({names}) FROM STDIN {options}".encode()) as copy:
            for part in frame.iter_slices(50_000):
                copy.write(to_csv(part))
    for statement in create_keys(table):
        cursor.execute(statement.encode())
    if table.has_rowversion:
        cursor.execute(create_rowversion_stamp(table).encode())
    return frame.height if table.has_rowversion else 0


def to_csv(frame: pl.DataFrame) -> bytes:
    """The rows as COPY reads them; the same frame gives the same bytes."""
    buffer = io.BytesIO()
    frame.write_csv(
        buffer,
        include_header=False,
        null_value=_NULL,
        quote_style="necessary",
        datetime_format="%Y-%m-%dT%H:%M:%S%.3f",
    )
    return buffer.getvalue()


def create_database_if_missing(source_url: str) -> None:
    """Creates the database that the URL names, through the server's `postgres` database."""
    try:
        psycopg.connect(source_url).close()
    except psycopg.OperationalError as error:
        name = urlsplit(source_url).path.lstrip("/")
        if f'database "{name}" does not exist' not in str(error):
            raise
        server_url = urlunsplit(urlsplit(source_url)._replace(path="/postgres"))
        with psycopg.connect(server_url, autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))


def create_read_only_login(source_url: str, *, user: str = "terrafusion_reader", password: str) -> str:
    """Makes a login that may SELECT from the source's tables and nothing else; answers its URL.

    To be called again after each synthesis, which drops the schema and its grants.
    """
    with psycopg.connect(source_url) as connection:
        found = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (user,)).fetchone()
        verb = sql.SQL("ALTER" if found else "CREATE")
        names = {"user": sql.Identifier(user), "schema": sql.Identifier(SCHEMA)}
        connection.execute(
            sql.SQL("{} ROLE {user} LOGIN PASSWORD {} NOSUPERUSER NOCREATEDB NOCREATEROLE").format(
                verb, sql.Literal(password), **names
            )
        )
        connection.execute(sql.SQL("GRANT USAGE ON SCHEMA {schema} TO {user}").format(**names))
        connection.execute(sql.SQL("GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {user}").format(**names))
    parts = urlsplit(source_url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{quote(user, safe='')}:{quote(password, safe='')}@{host}"))
