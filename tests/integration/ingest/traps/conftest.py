"""Small sources of a trap each, with an operational database of their own."""

import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.support import servers
from tests.support.imitated_server import imitate
from tests.support.small_source import ROW_READERS, Small, small_source

FollowSmall = Callable[..., Awaitable[Small]]


@pytest_asyncio.fixture(loop_scope="session")
async def follow_small(
    postgres: servers.DatabaseServer, migrated_template: str, tmp_path: Path
) -> AsyncIterator[FollowSmall]:
    """Makes a source by `ddl` and follows it by `pair`; several in a test stand apart."""
    async with AsyncExitStack() as stack:

        async def make(
            ddl: str,
            pair: Mapping[str, Any],
            *,
            through: Callable[[str], str] = str,
            server: servers.DatabaseServer = postgres,
        ) -> Small:
            _, database_url = stack.enter_context(servers.database(postgres, template=migrated_template))
            folder = Path(tempfile.mkdtemp(dir=tmp_path))
            return await stack.enter_async_context(
                small_source(server, database_url, folder, ddl=ddl, pair=pair, through=through)
            )

        yield make


@pytest.fixture(params=ROW_READERS)
def reader(request: pytest.FixtureRequest) -> str:
    """Each reader below the logs."""
    return str(request.param)


@pytest.fixture(params=["one", "many"])
def moments(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Whether all that a run reads is of one moment, or each statement sees another, as without snapshots."""
    if request.param == "many":
        imitate(monkeypatch, is_moving=True)
    return str(request.param)
