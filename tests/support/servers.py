"""Real servers for tests: one PostgreSQL and one NATS for a session, a migrated database for each module."""

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from chassis.embedded.databases import create_database, drop_database
from chassis.embedded.nats_server import EmbeddedNats
from chassis.embedded.postgres import EmbeddedPostgres

FAST = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}


class DatabaseServer(Protocol):
    """A PostgreSQL server that may create databases."""

    @property
    def url(self) -> str: ...

    def create_database(self, name: str) -> str: ...


class ExistingServer:
    """The server that TEST_TERRAFUSION_OPERATIONAL_DB_URL names."""

    def __init__(self, url: str) -> None:
        self.url = url

    def create_database(self, name: str) -> str:
        return create_database(self.url, name)


@contextmanager
def server_folder() -> Iterator[Path]:
    """A new folder that the servers' account can pass, which pytest's own temporary folders forbid it."""
    folder = Path(tempfile.mkdtemp(prefix="tf-"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def postgres_server() -> Iterator[DatabaseServer]:
    """The PostgreSQL server of a test session, without durability, for speed."""
    url = os.environ.get("TEST_TERRAFUSION_OPERATIONAL_DB_URL")
    if url:
        yield ExistingServer(url)
        return
    with server_folder() as folder, EmbeddedPostgres(folder / "postgres", settings=FAST) as server:
        yield server


@contextmanager
def nats_server() -> Iterator[EmbeddedNats]:
    """The NATS server of a test session."""
    with server_folder() as folder, EmbeddedNats(folder / "nats") as server:
        yield server


@contextmanager
def database(server: DatabaseServer, *, template: str = "template1") -> Iterator[tuple[str, str]]:
    """A new database, a copy of `template`, that is dropped afterwards: its name and URL."""
    name = f"test_{secrets.token_hex(6)}"
    url = create_database(server.url, name, template=template)
    try:
        yield name, url
    finally:
        drop_database(server.url, name)
