"""The bus of a test module of its own, so that no other module's messages reach its workers."""

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from chassis import telemetry
from chassis.embedded.nats_server import EmbeddedNats
from chassis.streams import apply_streams
from tests.support.jobs import Office
from tests.support.servers import nats_server as new_nats_server


@pytest.fixture(scope="session", autouse=True)
def traced() -> None:
    """As in a service: without a provider no trace id is made."""
    telemetry.configure("terrafusion-tests")


@pytest.fixture(scope="module")
def module_nats() -> Iterator[EmbeddedNats]:
    with new_nats_server() as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def bus_url(module_nats: EmbeddedNats) -> str:
    await apply_streams(module_nats.url, ack_wait=timedelta(seconds=2))
    return module_nats.url


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def office(database_url: str, bus_url: str) -> AsyncIterator[Office]:
    async with Office.open(database_url, bus_url) as opened:
        yield opened


@pytest.fixture(scope="module")
def storage_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder: Path = tmp_path_factory.mktemp("storage")
    return f"file://{folder}"
