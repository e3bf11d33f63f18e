"""Databases of a PostgreSQL server that is known by the URL of one of them."""

import contextlib
from urllib.parse import quote, urlsplit, urlunsplit

import psycopg
from psycopg import sql


def database_url(server_url: str, name: str) -> str:
    """Return the URL of database `name` on the server of `server_url`."""
    return urlunsplit(urlsplit(server_url)._replace(path=f"/{quote(name, safe='')}"))


def create_database(server_url: str, name: str, *, template: str = "template1") -> str:
    """Create database `name`, a copy of `template`, where it is absent and return its URL."""
    statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
    with psycopg.connect(server_url, autocommit=True, connect_timeout=30) as connection:
        known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone()
        if known is None:
            with contextlib.suppress(psycopg.errors.DuplicateDatabase):  # made since the line above
                connection.execute(statement)
    return database_url(server_url, name)


def drop_database(server_url: str, name: str) -> None:
    """Drop database `name` if it exists, disconnecting its clients."""
    statement = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
    with psycopg.connect(server_url, autocommit=True, connect_timeout=30) as connection:
        connection.execute(statement)
