"""A pair that follows its source by itself: the relay's scheduler asks, ingest does, nobody else is there."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml

from chassis.database import Database
from chassis.embedded.nats_server import EmbeddedNats
from chassis.relay import forget_idle
from chassis.relay_app import Relay, RelaySettings
from chassis.settings import REPOSITORY
from chassis.streams import apply_streams
from services.ingest.handlers import router
from services.ingest.operation.observing import forget
from tests.support.jobs import Office, running, settings_for
from tests.support.waiting import eventually

COUNTY, PAIR = "synthetic_wa", "synthetic_wa_pacs"
IDLE = "SELECT count(*) FROM chassis.job WHERE result ->> 'is_idle' = 'true'"
POLL = f"schedule:poll-{PAIR}"


@pytest.fixture
def counties(tmp_path: Path) -> Path:
    folder = tmp_path / COUNTY
    shutil.copytree(REPOSITORY / "deploy" / "counties" / COUNTY, folder)
    content = yaml.safe_load((folder / "mappings.yaml").read_text())
    content["pairs"][0]["following"] = {"poll_every_seconds": 1}
    (folder / "mappings.yaml").write_text(yaml.safe_dump(content))
    return tmp_path


@pytest_asyncio.fixture(loop_scope="session")
async def office(database_url: str, nats_server: EmbeddedNats) -> AsyncIterator[Office]:
    await apply_streams(nats_server.url, ack_wait=timedelta(seconds=2))
    async with Office.open(database_url, nats_server.url) as opened:
        yield opened


async def serve(relay: Relay, stop: asyncio.Event) -> None:
    async with relay.app().start_lifespan_context():
        await stop.wait()


async def test_a_polled_pair_follows_its_source(office: Office, counties: Path, legacy: Any, tmp_path: Path) -> None:
    storage = f"file://{tmp_path}"
    ingest = settings_for(office, storage, counties_dir=counties)
    relay = Relay(RelaySettings(**ingest.model_dump(), schedule_interval=timedelta(seconds=0.1)))
    stop = asyncio.Event()
    async with running(router, ingest, name="ingest"):
        serving = asyncio.create_task(serve(relay, stop))
        try:

            async def parcels() -> int:
                return int(await office.fetchval("SELECT count(*) FROM ingest.parcel_v1"))

            await eventually(parcels, "the first poll has loaded the county", wait_seconds=90)
            prop_id = legacy.value(
                "SELECT prop_id FROM dbo.property_val WHERE prop_inactive_dt IS NULL"
                " ORDER BY prop_val_yr DESC, prop_id LIMIT 1"
            )
            legacy.execute(f"UPDATE dbo.property_val SET legal_desc = 'POLLED' WHERE prop_id = {prop_id}")

            async def is_there() -> bool:
                query = "SELECT count(*) FROM ingest.parcel_v1 WHERE parcel_id = $1 AND legal_description = 'POLLED'"
                return bool(await office.fetchval(query, str(prop_id)))

            await eventually(is_there, "a later poll has brought the change", wait_seconds=60)
            verified = "SELECT min(verified_through) > now() - interval '1 minute' FROM ingest.sync_table_v1"
            assert await office.fetchval(verified)

            async def polled_again() -> bool:
                return int(await office.fetchval(IDLE)) > 1

            await eventually(polled_again, "polls have found nothing")
        finally:
            stop.set()
            await serving
    jobs = await office.fetchval("SELECT array_agg(DISTINCT requested_by) FROM chassis.job")
    assert jobs == [POLL]
    at_once = await office.fetchval(
        "SELECT count(*) FROM chassis.job a JOIN chassis.job b ON a.id < b.id"
        " AND tstzrange(a.started_at, a.finished_at) && tstzrange(b.started_at, b.finished_at)"
    )
    assert at_once == 0  # the first load takes longer than a second, and polls do not pile up
    await idle_polls_are_forgotten(office)


async def idle_polls_are_forgotten(office: Office) -> None:
    """The relay forgets polls that nothing came of, and ingest what its ledger has of them."""
    changing = "SELECT count(*) FROM ingest.sync_operation_v1 WHERE changes > 0"
    before = await office.fetchval(changing)
    assert before >= 2
    async with database(office, "relay") as relay, database(office, "ingest") as ingest:
        assert await forget(ingest) == 0
        async with ingest.begin("*") as unit:
            await unit.connection.execute("UPDATE ingest.sync_operation SET finished_at = now() - interval '2 hours'")
        assert await forget(ingest) == 0
        assert await forget_idle(relay, older_than=timedelta(days=3)) == 0
        assert await forget_idle(relay, older_than=timedelta(0)) > 0
        assert await forget(ingest) > 0
        async with ingest.read("*") as connection:
            ledger = await connection.fetch(
                "SELECT changes, o.id = last_operation_id AS is_last FROM ingest.sync_operation o"
                " JOIN ingest.sync_pair USING (county, pair)"
            )
    assert all(row["changes"] or row["is_last"] for row in ledger)
    assert await office.fetchval(changing) == before
    assert await office.fetchval(IDLE) <= 1


@asynccontextmanager
async def database(office: Office, service: str) -> AsyncIterator[Database]:
    """The database as a service sees it."""
    opened = Database(office.database_url, service=service)
    await opened.open()
    yield opened
    await opened.close()
