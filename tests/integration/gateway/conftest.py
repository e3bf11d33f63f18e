"""A gateway for each test module, with a bus of its own and a worker for market studies."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from chassis.embedded.nats_server import EmbeddedNats
from chassis.errors import PermanentError
from chassis.jobs import JobRouter, RunningJob
from chassis.streams import apply_streams
from contracts.api.market import MarketParameters
from tests.support.gateways import (
    ARTIFACT,
    GatewayUnderTest,
    gateway_settings,
    running_gateway,
    write_accounts,
    write_counties,
)
from tests.support.jobs import Office, running, settings_for
from tests.support.servers import nats_server as new_nats_server

router = JobRouter()


@router.job("market", parameters=MarketParameters)
async def _study(job: RunningJob, parameters: MarketParameters) -> None:
    """Does what its segment says: fail, wait to be cancelled, or make a file."""
    wish = (parameters.segments or ["succeed"])[0]
    if wish == "fail":
        raise PermanentError("too_few_sales", "there are too few sales", details={"sales": 3})
    await job.progress(0, 2, "segments")
    while wish == "wait":
        await asyncio.sleep(0.02)
        job.check()
    await job.store("study.bin", ARTIFACT, media_type="application/octet-stream")
    async with job.completing({"segments": 1}):
        pass


@pytest.fixture(scope="module")
def module_nats() -> Iterator[EmbeddedNats]:
    with new_nats_server() as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def bus_url(module_nats: EmbeddedNats) -> str:
    await apply_streams(module_nats.url, ack_wait=timedelta(seconds=2))
    return module_nats.url


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("gateway")
    write_counties(folder / "counties")
    return folder


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def gateway(database_url: str, bus_url: str, folder: Path) -> AsyncIterator[GatewayUnderTest]:
    await write_accounts(database_url)
    async with running_gateway(gateway_settings(database_url, bus_url, folder)) as served:
        yield served


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def office(database_url: str, bus_url: str) -> AsyncIterator[Office]:
    async with Office.open(database_url, bus_url) as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def worker(office: Office, folder: Path) -> AsyncIterator[None]:
    settings = settings_for(office, f"file://{folder}/storage", counties_dir=folder / "counties", job_workers=4)
    async with running(router, settings):
        yield


Client = Callable[[str], Awaitable[httpx.AsyncClient]]


@pytest_asyncio.fixture(loop_scope="session")
async def client_of(gateway: GatewayUnderTest) -> AsyncIterator[Client]:
    """Clients of the users of `tests.support.gateways`, closed after the test."""
    opened: list[httpx.AsyncClient] = []

    async def open_client(username: str) -> httpx.AsyncClient:
        client = await gateway.client(username) if username else gateway.anonymous()
        opened.append(client)
        return client

    yield open_client
    for client in opened:
        await client.aclose()
