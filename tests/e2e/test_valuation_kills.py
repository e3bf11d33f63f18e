"""A worker that is killed with a roll half written leaves nothing of it; the next one ends the job once."""

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest
import pytest_asyncio

from chassis.database import asyncpg_url
from chassis.embedded.nats_server import EmbeddedNats
from chassis.requests import job_requested
from chassis.streams import apply_streams
from tests.support import servers
from tests.support.crash_platform import LEASE, WAITS
from tests.support.jobs import COUNTY, Office
from tests.support.planted_record import planted_office
from tests.support.processes import REPOSITORY
from tests.support.waiting import eventually

WAIT_SECONDS = 60


class Worker:
    """The valuation service as a process of its own."""

    def __init__(self, office: Office, folder: Path) -> None:
        self.log = (folder / "worker.log").open("a")
        self.environment = os.environ | WAITS
        self.environment |= {
            "TERRAFUSION_OPERATIONAL_DB_URL": office.database_url,
            "TERRAFUSION_NATS_URL": office.nats_url,
            "TERRAFUSION_STORAGE_URL": f"file://{folder}/storage",
        }
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "chassis.run", "valuation"],
            cwd=REPOSITORY,
            env=self.environment,
            stdout=self.log,
            stderr=self.log,
        )

    def kill(self) -> None:
        """SIGKILL: it gets to say nothing more."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


@pytest.fixture(scope="module")
def bus() -> Iterator[EmbeddedNats]:
    with servers.nats_server() as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def office(database_url: str, bus: EmbeddedNats) -> AsyncIterator[Office]:
    async with planted_office(database_url, bus.url) as opened:
        await apply_streams(bus.url, ack_wait=LEASE)
        yield opened


@pytest.fixture
def worker(office: Office, tmp_path: Path) -> Iterator[Worker]:
    started = Worker(office, tmp_path)
    started.start()
    yield started
    started.kill()
    started.log.close()


@asynccontextmanager
async def barred(office: Office, table: str) -> AsyncIterator[None]:
    """Nobody writes this table meanwhile: whoever wants to stands still in the middle of a transaction."""
    connection = await asyncpg.connect(asyncpg_url(office.database_url))
    try:
        async with connection.transaction():
            await connection.execute(f"LOCK TABLE valuation.{table} IN EXCLUSIVE MODE")
            yield
    finally:
        await connection.close()


async def ask(office: Office, by: str, **parameters: Any) -> UUID:
    """A job that somebody asks for."""
    job_id = await office.submit("valuation", publish=False, **parameters)
    async with office.database.begin(COUNTY) as unit:
        row = await unit.connection.fetchrow(
            "UPDATE chassis.job SET requested_by = $2 WHERE id = $1 RETURNING *", job_id, by
        )
        unit.publish_message(job_requested(row, service="gateway", first=True))
    return job_id


async def done(office: Office, by: str, **parameters: Any) -> asyncpg.Record:
    job = await office.ended(await ask(office, by, **parameters), wait_seconds=WAIT_SECONDS)
    assert job["status"] == "succeeded", job["error"]
    return job


async def killed_half_way(office: Office, worker: Worker, table: str, by: str, **parameters: Any) -> asyncpg.Record:
    """The job's row after its worker was killed in the middle of its last transaction, and another one came."""
    async with barred(office, table):
        job_id = await ask(office, by, **parameters)

        async def stands_still() -> bool:
            return bool(
                await office.fetchval(
                    "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = $1::text::regclass",
                    f"valuation.{table}",
                )
            )

        await eventually(stands_still, "the worker is in the middle", wait_seconds=WAIT_SECONDS)
        worker.kill()
    assert (await office.job(job_id))["status"] == "running"
    return await again(office, worker, job_id)


async def again(office: Office, worker: Worker, job_id: UUID) -> asyncpg.Record:
    for name in ("model_run", "parcel_value"):
        assert await count(office, name, "run_id", job_id) == 0
    for name, key in (("posting", "id"), ("posted_value", "posting_id"), ("decision", "job_id")):
        assert await count(office, name, key, job_id) == 0
    worker.start()
    job = await office.ended(job_id, wait_seconds=WAIT_SECONDS)
    assert (job["status"], job["attempt"]) == ("succeeded", 2)

    async def is_told() -> list[str] | None:  # what the killed worker left in the outbox is the relay's to send
        told = await office.facts(job_id)
        return told if "succeeded" in told else None

    facts = await eventually(is_told, "the end is told")
    assert facts.count("succeeded") == 1
    assert not {"failed", "cancelled"} & set(facts)
    return job


async def count(office: Office, table: str, key: str, value: UUID) -> int:
    connection = await asyncpg.connect(asyncpg_url(office.database_url))
    try:
        found: int = await connection.fetchval(f"SELECT count(*) FROM valuation.{table} WHERE {key} = $1", value)
        return found
    finally:
        await connection.close()


@pytest.mark.timeout(180)
async def test_a_revaluation_that_is_killed_half_way_is_stored_once_and_whole(office: Office, worker: Worker) -> None:
    job = await killed_half_way(
        office, worker, "refused_parcel", "ann", scope={"all": True}, model="hedonic", tax_year=2025
    )
    assert await count(office, "model_run", "run_id", job["id"]) == 1
    assert await count(office, "parcel_value", "run_id", job["id"]) == job["result"]["parcels_valued"] == 400
    assert await count(office, "refused_parcel", "run_id", job["id"]) == 2


@pytest.mark.timeout(180)
async def test_a_roll_whose_posting_is_killed_half_way_is_posted_once_and_whole(
    office: Office, worker: Worker, tmp_path: Path
) -> None:
    run = (await done(office, "ann", scope={"all": True}, model="hedonic"))["id"]
    promotion = (await done(office, "ann", mode="promote", run_id=run))["id"]
    await done(office, "two", mode="approve", promotion_id=promotion)
    job = await killed_half_way(office, worker, "decision", "ann", mode="post", run_id=run)
    assert await count(office, "posting", "run_id", run) == 1
    assert await count(office, "posted_value", "posting_id", job["id"]) == job["result"]["parcels"] == 400

    async def is_told() -> list[Any]:
        return await office.messages("FACTS", f"valuation.roll_posted.{COUNTY}")

    assert len(await eventually(is_told, "the posting is told")) == 1
    [name] = [found["name"] for found in job["artifacts"] if found["media_type"] == "text/plain"]
    content = (tmp_path / "storage" / "artifacts" / COUNTY / str(job["id"]) / "2" / name).read_bytes()
    lines = content.decode("latin-1").splitlines()
    assert {len(line) for line in lines} == {12 + 5 + 12 + 3 * 15}
    assert sum(int(line[-15:]) for line in lines) == job["result"]["total_value_usd"]
