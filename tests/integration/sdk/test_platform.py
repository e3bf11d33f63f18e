"""The platform on one machine keeps its servers alive, and leaves another platform's folder as it is."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import nats
import psycopg
import pytest

from clients.sdk.platform import Platform, PlatformError
from tests.support.servers import server_folder

_LONG_SECONDS = 60.0


@pytest.fixture
def platform(monkeypatch: pytest.MonkeyPatch) -> Iterator[Platform]:
    monkeypatch.delenv("TERRAFUSION_OPERATIONAL_DB_URL", raising=False)
    monkeypatch.delenv("TERRAFUSION_NATS_URL", raising=False)
    with server_folder() as folder, Platform(folder / "var", services=()) as running:
        running.start_services()
        yield running


def _until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + _LONG_SECONDS
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.05)


async def test_killed_servers_come_back_where_they_were(platform: Platform, capsys: pytest.CaptureFixture[str]) -> None:
    assert platform.postgres is not None
    assert platform.nats is not None
    database_url, nats_url = platform.database_url, platform.nats_url
    killed = {platform.postgres.pid, platform.nats.pid}
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    _until(lambda: platform.postgres is not None and platform.postgres.is_running() and _answers(database_url))
    _until(lambda: platform.nats is not None and platform.nats.is_running())
    assert {platform.postgres.pid, platform.nats.pid}.isdisjoint(killed)
    client = await nats.connect(nats_url, allow_reconnect=False)
    jobs = await client.jetstream().stream_info("JOBS")
    await client.close()
    assert jobs.config.name == "JOBS"
    told = capsys.readouterr().err
    assert "PostgreSQL ended unexpectedly" in told
    assert "NATS ended unexpectedly" in told


def _answers(url: str) -> bool:
    try:
        with psycopg.connect(url, connect_timeout=2) as connection:
            return connection.execute("SELECT count(*) FROM chassis.job").fetchone() == (0,)
    except psycopg.OperationalError:
        return False


def test_a_second_platform_is_refused_and_leaves_the_description_of_the_first(platform: Platform) -> None:
    description = platform.folder / "up.json"
    description.write_text("{}")  # what it says is of no matter here
    with pytest.raises(PlatformError, match="another platform runs"):
        Platform(platform.folder, services=()).__enter__()
    assert description.exists()


def test_a_file_in_place_of_the_folder_is_said_plainly(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    with pytest.raises(PlatformError, match="cannot be the platform's folder"):
        Platform(path).__enter__()


@pytest.mark.parametrize("text", ["{", "{}", "[]", '{"username": "admin"}', '"x"'])
def test_damaged_credentials_are_said_plainly(tmp_path: Path, text: str) -> None:
    (tmp_path / "credentials.json").write_text(text)
    with pytest.raises(PlatformError, match="is damaged: remove it"):
        Platform(tmp_path).credentials()
