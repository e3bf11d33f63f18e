"""The Alembic history: from nothing to head, no drift, and back to nothing."""

from collections.abc import Iterator

import asyncpg
import psycopg
import pytest
from alembic import command

from chassis import migrations
from chassis.errors import PermanentError
from tests.support import servers

SCHEMAS = {"chassis", "gateway", "ingest", "valuation", "market", "reporting", "gisexport"}


@pytest.fixture
def empty_database(postgres: servers.DatabaseServer) -> Iterator[str]:
    with servers.database(postgres) as (_, url):
        yield url


def schemas(url: str) -> set[str]:
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT nspname FROM pg_namespace").fetchall()
    return {name for (name,) in rows} & SCHEMAS


def test_up_from_nothing_without_drift_and_down_again(empty_database: str) -> None:
    config = migrations.alembic_config(empty_database)
    migrations.upgrade(empty_database)
    assert schemas(empty_database) == SCHEMAS
    command.check(config)
    migrations.upgrade(empty_database)  # again: nothing to do
    command.downgrade(config, "base")
    assert schemas(empty_database) == set()
    migrations.upgrade(empty_database)
    assert schemas(empty_database) == SCHEMAS


async def test_a_database_of_another_revision_is_refused(empty_database: str) -> None:
    connection = await asyncpg.connect(empty_database)
    try:
        with pytest.raises(PermanentError, match="terrafusion migrate") as refusal:
            await migrations.require_current(connection)
        assert refusal.value.code == "schema_outdated"
    finally:
        await connection.close()
