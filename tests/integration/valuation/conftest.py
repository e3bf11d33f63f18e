"""A county with planted sales, for the valuation service over a real database and a real bus."""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from chassis.embedded.nats_server import EmbeddedNats
from tests.support.jobs import Office
from tests.support.planted_record import planted_office
from tests.support.servers import nats_server as new_nats_server
from tests.support.valuation_story import Story, valuation_story


@pytest.fixture(scope="module")
def module_nats() -> Iterator[EmbeddedNats]:
    with new_nats_server() as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def office(database_url: str, module_nats: EmbeddedNats) -> AsyncIterator[Office]:
    async with planted_office(database_url, module_nats.url) as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def story(
    database_url: str, module_nats: EmbeddedNats, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Story]:
    folder = tmp_path_factory.mktemp("story")
    with pytest.MonkeyPatch.context() as patch:
        async with valuation_story(database_url, module_nats.url, folder, patch) as opened_story:
            yield opened_story
