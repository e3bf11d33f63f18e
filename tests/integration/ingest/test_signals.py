"""Signals over the bus: `query.ingest.signal.<county>`."""

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio
from nats.errors import NoRespondersError

from chassis.embedded.nats_server import EmbeddedNats
from chassis.jobs import JobRouter
from chassis.service import Service
from chassis.streams import apply_streams
from services.ingest.signals import subscribe
from tests.support.gateways import write_counties
from tests.support.jobs import Office, running, settings_for
from tests.support.waiting import eventually

PAUSE = {"pair": "benton_pacs", "mode": "pause", "tables": ["property"]}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def office(database_url: str, nats_server: EmbeddedNats) -> AsyncIterator[Office]:
    await apply_streams(nats_server.url, ack_wait=timedelta(seconds=2))
    async with Office.open(database_url, nats_server.url) as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="session", autouse=True)
async def ingest(office: Office, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    """Ingest's desk for signals; nobody works off the jobs, so that they stay as they were asked for."""
    folder: Path = tmp_path_factory.mktemp("signals")
    counties = write_counties(folder / "counties")
    settings = settings_for(office, f"file://{folder}/storage", counties_dir=counties)
    async with running(JobRouter(), settings, name="ingest", subscribe=subscribe) as service:

        async def answers() -> bool:
            try:
                return bool(await signal(office, "benton", {}))
            except NoRespondersError:  # the server has not heard of the subscription yet
                return False

        await eventually(answers, "somebody hears signals")
        yield service


async def signal(office: Office, county: str, body: Any) -> dict[str, Any]:
    reply = await office.client.request(f"query.ingest.signal.{county}", json.dumps(body).encode(), timeout=30)
    answer: dict[str, Any] = json.loads(reply.data)
    return answer


async def test_a_signal_becomes_a_job(office: Office) -> None:
    accepted = await signal(office, "benton", PAUSE)
    assert (accepted["county"], accepted["status"], accepted["parameters"]) == ("benton", "queued", PAUSE)
    assert accepted["href"] == f"/api/v1/jobs/{accepted['job_id']}"
    row = await office.job(UUID(accepted["job_id"]))
    assert (row["kind"], row["requested_by"], row["parameters"]) == ("sync", "bus", PAUSE)
    await office.outbox_is_empty()
    assert "requested" in await office.facts(accepted["job_id"])


async def test_a_signal_with_a_key_is_one_job(office: Office) -> None:
    keyed = {**PAUSE, "idempotency_key": "once"}
    first = await signal(office, "benton", keyed)
    assert (await signal(office, "benton", keyed))["job_id"] == first["job_id"]
    other = await signal(office, "benton", {**keyed, "mode": "resume"})
    assert other["code"] == "idempotency_key_reused"
    assert (await signal(office, "benton", PAUSE))["job_id"] != first["job_id"]


@pytest.mark.parametrize(
    ("county", "changed", "code"),
    [
        ("benton", {"pair": "franklin_pacs"}, "pair_unknown"),
        ("atlantis", {}, "county_unknown"),
        ("benton", {"mode": "approve", "approval_id": "01959a3b-1d58-7a39-84e5-607182930405"}, None),
        ("benton", {"mode": "undo", "operation_id": "01959a3b-1d58-7a39-84e5-607182930405"}, None),
        ("benton", {"keys": [["1"]]}, None),
        ("benton", {"county": "franklin"}, None),
    ],
)
async def test_what_is_no_signal_makes_no_job(
    office: Office, county: str, changed: dict[str, Any], code: str | None
) -> None:
    async def jobs() -> int:
        async with office.database.read("*") as connection:
            return int(await connection.fetchval("SELECT count(*) FROM chassis.job"))

    before = await jobs()
    refused = await signal(office, county, {**PAUSE, **changed})
    assert refused["code"] == (code or "query_invalid")
    assert await jobs() == before
