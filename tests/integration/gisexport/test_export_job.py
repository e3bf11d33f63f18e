"""The handler against a real database and store, and the whole service behind a real bus."""

import asyncio
import json
import os
import socket
import sys
import tempfile
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import nats
import pyogrio
import pytest
import pytest_asyncio
from nats.aio.msg import Msg

from chassis import queries as chassis_queries
from chassis.database import Database
from chassis.embedded.nats_server import EmbeddedNats
from chassis.errors import JobStoppedError, PermanentError
from chassis.jobs import RunningJob
from chassis.requests import job_requested
from chassis.streams import apply_streams
from contracts.api.gis_export import GisExportParameters, GisExportReceipt
from services.gisexport import handlers
from tests.integration.gisexport.conftest import COUNTY, insert_job
from tests.support.processes import REPOSITORY


def asked(**parameters: Any) -> GisExportParameters:
    return GisExportParameters.model_validate(parameters)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def stored(tmp_path: Path, job: RunningJob, name: str) -> Path:
    return tmp_path / "storage" / "artifacts" / COUNTY / str(job.id) / str(job.attempt) / name


async def read_register(database: Database, job: RunningJob) -> list[asyncpg.Record]:
    async with database.read(COUNTY) as connection:
        return await connection.fetch("SELECT * FROM gisexport.export_run WHERE job_id = $1", job.id)


async def read_job(database: Database, job_id: Any) -> asyncpg.Record:
    async with database.read(COUNTY) as connection:
        row = await chassis_queries.read_job(connection, COUNTY, job_id)
    assert row is not None
    return row


async def test_export_stores_files_and_registers_its_receipt(
    database: Database, job: RunningJob, tmp_path: Path
) -> None:
    await handlers.export_layer(job, asked(filters={"use_code": "1010"}))
    row = await read_job(database, job.id)
    assert row["status"] == "succeeded"
    assert row["result"]["features"] == 50
    assert row["result"]["files"] == ["demo_parcels.gpkg"]
    assert {artifact["name"] for artifact in row["artifacts"]} == {"demo_parcels.gpkg", "receipt.json"}
    [run] = await read_register(database, job)
    receipt = GisExportReceipt.model_validate(run["receipt"])
    assert receipt == GisExportReceipt.model_validate_json(stored(tmp_path, job, "receipt.json").read_bytes())
    assert receipt.filter.filters == {"use_code": "1010"}
    assert (receipt.rows.read, receipt.rows.written, receipt.geometry.promoted) == (50, 50, 50)
    assert [file.sha256 for file in receipt.files] == [row["artifacts"][0]["sha256"]]
    info = pyogrio.read_info(stored(tmp_path, job, "demo_parcels.gpkg"))
    assert (info["features"], info["crs"], info["geometry_type"]) == (50, "EPSG:2927", "MultiPolygon")


async def test_rows_cross_batches_unchanged(
    database: Database, job: RunningJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handlers, "BATCH_ROWS", 7)
    await handlers.export_layer(job, asked(format="shapefile", fields=["parcel_id", "total_value_usd", "attributes"]))
    with zipfile.ZipFile(stored(tmp_path, job, "demo_parcels_shapefile.zip")) as archive:
        archive.extractall(tmp_path / "unpacked")
    rows = pyogrio.read_arrow(tmp_path / "unpacked" / "demo_parcels.shp")[1].to_pylist()
    assert [row["PARCEL_ID"] for row in rows] == ["bare", *(f"p{n:04d}" for n in range(1, 101))]
    assert [row["TOTAL_VAL"] for row in rows] == [None, *(n + 0.25 for n in range(1, 101))]
    assert json.loads(rows[100]["ATTRIBUTES"]) == {"n": 100}
    row = await read_job(database, job.id)
    assert row["progress"] == {"done": 101, "total": 101, "unit": "rows", "message": "writing"}
    assert row["result"]["rows_without_geometry"] == 1


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"crs": "EPSG:99999"}, "crs_unknown"),
        ({"format": "geojson", "crs": "EPSG:2927"}, "crs_not_allowed_for_format"),
        ({"fields": ["owner_name"]}, "field_unknown"),
        ({"filters": {"year_built": "new"}}, "filter_invalid"),
        ({"format": "kml"}, "format_not_allowed"),
        ({"format": "gpkg", "fields": ["attributes", "updated_at"], "strict": True}, None),
    ],
)
async def test_refusals_are_coded(
    database: Database, job: RunningJob, parameters: dict[str, Any], code: str | None
) -> None:
    if code is None:
        await handlers.export_layer(job, asked(**parameters))
        assert (await read_job(database, job.id))["result"]["losses"] == []
        return
    with pytest.raises(PermanentError) as refused:
        await handlers.export_layer(job, asked(**parameters))
    assert refused.value.code == code
    assert await read_register(database, job) == []


async def test_geometry_in_another_crs_is_refused(job: RunningJob, counties: Path) -> None:
    path = counties / COUNTY / "county.yaml"
    path.write_text(path.read_text().replace("2927", "2926"))
    with pytest.raises(PermanentError) as refused:
        await handlers.export_layer(job, asked())
    assert (refused.value.code, refused.value.details) == ("geometry_crs_differs", {"rows": 100})


async def test_cancelling_stops_between_batches_and_leaves_nothing(
    database: Database, job: RunningJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handlers, "BATCH_ROWS", 1)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    progress = job.progress

    async def stop_after_ten(done: int, total: int | None, unit: str, message: str = "") -> None:
        if done == 10:
            job.ask_to_stop("job_cancelled", "the job was cancelled")
        await progress(done, total, unit, message)

    monkeypatch.setattr(job, "progress", stop_after_ten)
    with pytest.raises(JobStoppedError) as stopped:
        await handlers.export_layer(job, asked())
    assert stopped.value.code == "job_cancelled"
    assert list((tmp_path / "temporary").iterdir()) == []
    assert await read_register(database, job) == []


async def test_taken_over_in_the_middle_lets_go_of_its_files(
    job: RunningJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handlers, "BATCH_ROWS", 1)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    begun = asyncio.Event()
    progress = job.progress

    async def tell(done: int, total: int | None, unit: str, message: str = "") -> None:
        if done == 5:
            begun.set()
        await progress(done, total, unit, message)

    monkeypatch.setattr(job, "progress", tell)
    work = asyncio.ensure_future(handlers.export_layer(job, asked()))
    await begun.wait()
    job.ask_to_stop("job_taken_over", "another worker has the job")
    work.cancel()
    with pytest.raises((asyncio.CancelledError, JobStoppedError)):
        await work
    assert list((tmp_path / "temporary").iterdir()) == []


@pytest_asyncio.fixture(loop_scope="session")
async def service(record: str, nats_server: EmbeddedNats, counties: Path, tmp_path: Path) -> AsyncIterator[None]:
    """The service as a process of its own, on a bus with its streams."""
    await apply_streams(nats_server.url)
    environment = {
        **os.environ,
        "TERRAFUSION_OPERATIONAL_DB_URL": record,
        "TERRAFUSION_NATS_URL": nats_server.url,
        "TERRAFUSION_STORAGE_URL": f"file://{tmp_path}/storage",
        "TERRAFUSION_COUNTIES_DIR": str(counties),
        "TERRAFUSION_HTTP_PORT": str(free_port()),
    }
    command = [sys.executable, "-m", "chassis.run", "gisexport"]
    process = await asyncio.create_subprocess_exec(*command, cwd=REPOSITORY, env=environment)
    try:
        yield
    finally:
        process.terminate()
        await process.wait()


async def test_service_answers_a_command_on_the_bus(
    service: None, database: Database, gateway: Database, nats_server: EmbeddedNats
) -> None:
    facts: list[str] = []
    ended = asyncio.Event()
    job_id = uuid4()

    async def hear(message: Msg) -> None:
        body = json.loads(message.data)
        if body["job_id"] == str(job_id):
            facts.append(message.subject.split(".")[2])
            if facts[-1] in {"succeeded", "failed"}:
                ended.set()

    row = await insert_job(gateway, job_id, status="queued", attempt=0, parameters={"format": "geojson"})
    command = job_requested(row, service="tests", first=True)
    client = await nats.connect(nats_server.url)
    try:
        await client.subscribe(f"job.gis_export.*.{COUNTY}", cb=hear)
        await client.jetstream().publish(command.subject, command.body.encode(), headers=command.headers)
        async with asyncio.timeout(60):
            await ended.wait()
    finally:
        await client.close()
    assert facts[:2] == ["requested", "started"]
    assert facts[-1] == "succeeded"
    assert "progressed" in facts
    row = await read_job(database, job_id)
    assert row["result"]["features"] == 101
    assert {artifact["name"] for artifact in row["artifacts"]} == {"demo_parcels.geojson", "receipt.json"}
