"""A synthetic county in a PACS-shaped database, and an operational database to follow it with."""

import secrets
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
import pytest_asyncio

from chassis.database import Database
from services.ingest.synthetic.county import create_read_only_login, synthesize
from services.ingest.synthetic.truth import Truth
from tests.support import servers
from tests.support.sync_jobs import SyncBench

COUNTY, PAIR = "synthetic_wa", "synthetic_wa_pacs"


@dataclass
class LegacySystem:
    """The county's database as its owner sees it, and what was planted."""

    url: str
    truth: Truth

    def execute(self, statement: str) -> None:
        with psycopg.connect(self.url) as connection:
            connection.execute(statement.encode())

    def value(self, query: str) -> object:
        with psycopg.connect(self.url) as connection:
            row = connection.execute(query.encode()).fetchone()
            assert row is not None
            return row[0]


@pytest.fixture(scope="module")
def legacy(postgres: servers.DatabaseServer) -> Iterator[LegacySystem]:
    """A county of its own for the module; ingest has a login that may only read it."""
    with servers.database(postgres) as (_, url), pytest.MonkeyPatch.context() as environment:
        truth = synthesize(url, county=COUNTY, parcels=300, seed=11)
        login = f"reader_{secrets.token_hex(4)}"
        reader = create_read_only_login(url, user=login, password=secrets.token_urlsafe(12))
        environment.setenv(f"TERRAFUSION_SOURCE_{PAIR.upper()}_URL", reader)
        yield LegacySystem(url, truth)
        with psycopg.connect(url) as connection:
            connection.execute(f"DROP OWNED BY {login}; DROP ROLE {login}".encode())


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def bench(
    database_url: str, legacy: LegacySystem, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[SyncBench]:
    database = Database(database_url, service="ingest")
    await database.open()
    storage: Path = tmp_path_factory.mktemp("storage")
    yield SyncBench(database, COUNTY, PAIR, storage=f"file://{storage}")
    await database.close()
