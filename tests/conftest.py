"""Servers for tests that ask for them by name; a test that names none starts none."""

from collections.abc import Iterator

import pytest

from chassis.embedded.nats_server import EmbeddedNats
from tests.support import servers


@pytest.fixture(scope="session")
def postgres() -> Iterator[servers.DatabaseServer]:
    with servers.postgres_server() as server:
        yield server


@pytest.fixture(scope="session")
def nats_server() -> Iterator[EmbeddedNats]:
    with servers.nats_server() as server:
        yield server


@pytest.fixture(scope="session")
def migrated_template(postgres: servers.DatabaseServer) -> Iterator[str]:
    """The name of a database with the whole schema and no rows, to be copied."""
    from chassis import migrations  # noqa: PLC0415  # a test without a database does without Alembic too

    with servers.database(postgres) as (name, url):
        migrations.upgrade(url)
        yield name


@pytest.fixture(scope="module")
def database_url(postgres: servers.DatabaseServer, migrated_template: str) -> Iterator[str]:
    """The URL of a fresh migrated database that this test module has for itself."""
    with servers.database(postgres, template=migrated_template) as (_, url):
        yield url
