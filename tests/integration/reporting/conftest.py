"""A running reporting service over real servers, and a record of two counties for it to read."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from faststream import ContextRepo
from uuid_utils.compat import uuid7

from chassis.database import Database
from chassis.embedded.nats_server import EmbeddedNats
from chassis.requests import job_requested
from chassis.service import Service, running_bus
from chassis.settings import ServiceSettings
from chassis.streams import apply_streams
from services.reporting.handlers import router

Run = Callable[..., Awaitable[dict[str, Any]]]
ENDED = ("succeeded", "failed", "cancelled")


@pytest.fixture(scope="module")
def counties_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("counties")
    for county, state, level in (("benton", "WA", 1.0), ("grant", "WA", 0.5)):
        (folder / county).mkdir()
        content = {
            "county": county,
            "name": f"{county.title()} County",
            "state": state,
            "epsg": 2286,
            "time_zone": "America/Los_Angeles",
            "sale_validity": {"qualified_codes": ["Q"]},
            "reports": {"legal_assessment_level": level},
        }
        (folder / county / "county.yaml").write_text(json.dumps(content))
    return folder


@pytest.fixture(scope="module")
def settings(
    database_url: str, nats_server: EmbeddedNats, counties_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> ServiceSettings:
    storage = tmp_path_factory.mktemp("storage")
    return ServiceSettings.model_validate(
        {
            "operational_db_url": database_url,
            "nats_url": nats_server.url,
            "counties_dir": counties_dir,
            "storage_url": f"file://{storage}",
            "job_attempts": 1,
        }
    )


@pytest.fixture(scope="module")
async def reporting(settings: ServiceSettings, record: None) -> AsyncIterator[Service]:
    await apply_streams(settings.nats_url)
    service = Service("reporting", router=router, settings=settings)
    async with service.lifespan(ContextRepo()):
        await service.broker.start()
        yield service


@pytest.fixture(scope="module")
async def run(settings: ServiceSettings, reporting: Service) -> AsyncIterator[Run]:
    """Ask for a report as the gateway does and wait for the job's end."""
    gateway = Database(settings.operational_db_url.get_secret_value(), service="gateway")
    async with running_bus(settings, "gateway", gateway):

        async def ask(county: str, **parameters: Any) -> dict[str, Any]:
            job_id = UUID(str(uuid7()))
            async with gateway.begin(county) as unit:
                row = await unit.connection.fetchrow(
                    "INSERT INTO chassis.job (county, id, kind, parameters, request_digest, requested_by)"
                    " VALUES ($1, $2, 'reporting', $3, '', 'tester') RETURNING *",
                    county,
                    job_id,
                    parameters,
                )
                unit.publish_message(job_requested(row, service="gateway", first=True))
            return await ended_job(gateway, county, job_id)

        yield ask


async def ended_job(database: Database, county: str, job_id: UUID) -> dict[str, Any]:
    async with asyncio.timeout(60):
        while True:
            async with database.read(county) as connection:
                row = await connection.fetchrow("SELECT * FROM chassis.job WHERE id = $1", job_id)
            if row is not None and row["status"] in ENDED:
                return dict(row)
            await asyncio.sleep(0.05)  # between two looks at the condition


@pytest.fixture(scope="module")
async def administrator(database_url: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()
