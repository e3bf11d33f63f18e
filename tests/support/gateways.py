"""A gateway of a test's own: on a real port, with counties, accounts and whoever logs in."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from chassis.database import Database
from services.gateway.accounts import ensure_administrator
from services.gateway.app import create_app
from services.gateway.settings import GatewaySettings

PASSWORD = "correct horse"
ARTIFACT = bytes(range(256)) * 8000
SECRET = "a secret for tests with 32 characters"
USERS = {
    "benton": {
        "ann": ["assessor"],
        "ben": ["county_admin"],
        "vic": ["vendor"],
        "lyn": ["analyst"],
        "two": ["assessor"],
    },
    "franklin": {"fay": ["assessor"], "two": ["assessor"]},
}
COUNTY_FILE = """\
county: {county}
name: {name} County
state: WA
epsg: 2927
time_zone: America/Los_Angeles
sale_validity: {{qualified_codes: ["1"]}}
gis_export: {{formats: [gpkg, geojson], default_format: geojson}}
"""


#: the least that a pair's mapping may say
MAPPINGS = """\
pairs:
  - pair: {county}_pacs
    connector: pacs
    working_year: {{year: 2026}}
    tables:
      - {{name: property, key: [prop_id], columns: {{prop_id: integer}}, links: {{parcel_id: prop_id}}}}
    entities: {{parcel: {{root: property, fields: {{}}}}}}
  - pair: {county}_gis
    connector: sql
    role: contributing
    working_year: {{year: 2026}}
    tables:
      - {{name: parcel, key: [pin], columns: {{pin: text}}, links: {{parcel_id: pin}}}}
    entities: {{parcel: {{root: parcel, fields: {{}}}}}}
"""


def write_counties(folder: Path) -> Path:
    """County folders with users of every role, and two pairs each."""
    for county, users in USERS.items():
        (folder / county / "rbac").mkdir(parents=True)
        (folder / county / "county.yaml").write_text(COUNTY_FILE.format(county=county, name=county.title()))
        (folder / county / "mappings.yaml").write_text(MAPPINGS.format(county=county))
        entries = [{"username": name, "roles": roles} for name, roles in users.items()]
        (folder / county / "rbac" / f"{county}_users.json").write_text(json.dumps(entries))
    return folder


async def write_accounts(database_url: str) -> None:
    """The same password for everybody, hashed once, and an administrator of the platform."""
    await ensure_administrator(database_url, "root", PASSWORD)
    names = sorted({name for users in USERS.values() for name in users} | {"nobody"})
    async with opened(database_url, "gateway") as database, database.begin("*") as unit:
        await unit.connection.execute(
            'INSERT INTO gateway."user" (username, password_hash)'
            " SELECT name, password_hash FROM gateway.\"user\", unnest($1::text[]) name WHERE username = 'root'",
            names,
        )


@asynccontextmanager
async def opened(database_url: str, service: str) -> AsyncIterator[Database]:
    """The database as another service sees it, to write what the gateway only reads."""
    database = Database(database_url, service=service)
    await database.open()
    try:
        yield database
    finally:
        await database.close()


class GatewayUnderTest:
    """A running gateway and the clients of whoever logs in."""

    def __init__(self, url: str, settings: GatewaySettings) -> None:
        self.url = url
        self.settings = settings
        self._tokens: dict[str, str] = {}

    async def client(self, username: str) -> httpx.AsyncClient:
        """A client with the user's token."""
        if username not in self._tokens:
            async with self.anonymous() as client:
                answer = await client.post("/auth/login", json={"username": username, "password": PASSWORD})
            assert answer.status_code == 200, answer.text
            self._tokens[username] = answer.json()["access_token"]
        headers = {"Authorization": f"Bearer {self._tokens[username]}"}
        return httpx.AsyncClient(base_url=self.url, headers=headers, timeout=30)

    def anonymous(self) -> httpx.AsyncClient:
        """A client without a token."""
        return httpx.AsyncClient(base_url=self.url, timeout=30)


class _QuietServer(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to pytest."""
        yield


@asynccontextmanager
async def running_gateway(settings: GatewaySettings) -> AsyncIterator[GatewayUnderTest]:
    """Serve on a free port until the end of the block."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(create_app(settings), log_config=None, access_log=False, timeout_graceful_shutdown=1)
    server = _QuietServer(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started:
        assert not serving.done(), "the gateway did not start"
        await asyncio.sleep(0.01)
    try:
        yield GatewayUnderTest(f"http://127.0.0.1:{listener.getsockname()[1]}", settings)
    finally:
        server.should_exit = True
        await serving


def gateway_settings(database_url: str, nats_url: str, folder: Path, **changes: Any) -> GatewaySettings:
    """Settings of a test's gateway; `folder` holds its counties and artifacts."""
    values: dict[str, Any] = {
        "operational_db_url": database_url,
        "nats_url": nats_url,
        "secret_key": SECRET,
        "storage_url": f"file://{folder}/storage",
        "counties_dir": folder / "counties",
        "log_level": "CRITICAL",
        "answer_wait": timedelta(seconds=0.5),
        "event_check_interval": timedelta(seconds=0.5),
    }
    return GatewaySettings(**{**values, **changes})
