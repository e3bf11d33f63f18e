"""A service process as its surroundings see it: health, readiness, metrics, shutdown, one trace."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from faststream import ContextRepo
from faststream.asgi import AsgiFastStream
from nats.js.errors import NotFoundError
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pydantic import BaseModel

from chassis import telemetry
from chassis.errors import PermanentError
from chassis.jobs import JobRouter, RunningJob
from chassis.service import Service
from chassis.streams import consumer_config, definition
from tests.support.jobs import Office, running, settings_for
from tests.support.waiting import eventually

router = JobRouter()
starts: list[UUID] = []


class Parameters(BaseModel):
    """How long to go on."""

    hold: bool = False


@router.job("market", parameters=Parameters)
async def study(job: RunningJob, parameters: Parameters) -> None:
    """Hold at the first start, if asked; then succeed."""
    starts.append(job.id)
    if parameters.hold and starts.count(job.id) == 1:
        await asyncio.sleep(3600)
    async with job.database.read(job.county) as connection:
        found = await connection.fetchval("SELECT count(*) FROM chassis.job WHERE id = $1", job.id)
    async with job.completing({"found": found}):
        pass


async def get(app: AsgiFastStream, path: str) -> httpx.Response:
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
        return await client.get(path)


async def test_a_service_says_how_it_is(office: Office, storage_url: str) -> None:
    async with running(router, settings_for(office, storage_url)) as service:
        app = service.app()
        await office.ended(await office.submit())
        assert (await get(app, "/health")).status_code == 200
        assert (await get(app, "/ready")).status_code == 204
        metrics = (await get(app, "/metrics")).text
    assert 'market_processing_duration_seconds_count{county="benton",status="succeeded"}' in metrics
    assert (await get(app, "/ready")).status_code == 503


async def test_a_deleted_consumer_shows_and_work_goes_on_once_it_is_back(office: Office, storage_url: str) -> None:
    async with running(router, settings_for(office, storage_url)) as service:
        app = service.app()
        await office.ended(await office.submit())  # by then the worker has found its consumer
        await office.jetstream.delete_consumer("JOBS", "market")
        answer = await get(app, "/health")
        assert (answer.status_code, answer.text) == (503, "consumers missing: ['market']")
        job_id = await office.submit()
        (wanted,) = [c for c in definition()["consumers"] if c["durable"] == "market"]
        await office.jetstream.add_consumer("JOBS", consumer_config(wanted, timedelta(seconds=2)))
        assert (await office.ended(job_id))["status"] == "succeeded"
        assert (await get(app, "/health")).status_code == 200


async def test_a_service_does_not_start_without_its_consumer_and_makes_none(office: Office, storage_url: str) -> None:
    await office.jetstream.delete_consumer("JOBS", "market")
    try:
        service = Service("market", router=router, settings=settings_for(office, storage_url))
        with pytest.raises(PermanentError, match="terrafusion migrate"):
            async with service.lifespan(ContextRepo()):
                pass
        with pytest.raises(NotFoundError):
            await office.jetstream.consumer_info("JOBS", "market")
    finally:
        (wanted,) = [c for c in definition()["consumers"] if c["durable"] == "market"]
        await office.jetstream.add_consumer("JOBS", consumer_config(wanted, timedelta(seconds=2)))


async def test_a_worker_that_shuts_down_hands_its_job_back(office: Office, storage_url: str) -> None:
    async with running(router, settings_for(office, storage_url)):
        job_id = await office.submit(hold=True)
        await eventually(lambda: is_started(job_id), "the job has started")
    handed_back = await office.job(job_id)
    assert (handed_back["status"], handed_back["failures"], handed_back["owner"]) == ("queued", 0, None)
    async with running(router, settings_for(office, storage_url)):
        job = await office.ended(job_id)
    assert (job["status"], job["attempt"], job["failures"]) == ("succeeded", 2, 0)


async def is_started(job_id: UUID) -> bool:
    return job_id in starts


async def test_one_trace_runs_from_the_request_to_the_sql(office: Office, storage_url: str) -> None:
    async with running(router, settings_for(office, storage_url)):
        spans = InMemorySpanExporter()
        provider = trace.get_tracer_provider()
        assert isinstance(provider, TracerProvider)
        telemetry.export_spans(provider, SimpleSpanProcessor(spans))
        with trace.get_tracer("test").start_as_current_span("POST") as request:
            traceparent = telemetry.current_traceparent()
            job_id = await office.submit(traceparent=traceparent)
        await office.ended(job_id)
        await office.idle()
    trace_id = request.get_span_context().trace_id
    found = [span for span in spans.get_finished_spans() if span.context and span.context.trace_id == trace_id]
    by_id: dict[int, Any] = {span.context.span_id: span for span in found if span.context}
    names = {span.name for span in found}
    assert {"POST", "publish job.market.requested", "process job.market.requested", "SELECT", "WITH"} <= names
    assert {"publish job.market.started", "publish job.market.succeeded"} <= names
    process = next(span for span in found if span.name == "process job.market.requested")
    assert process.parent is not None
    assert by_id[process.parent.span_id].name == "publish job.market.requested"
    selects = [span for span in found if span.name == "SELECT" and span.parent and span.attributes]
    handlers = next(s for s in selects if "SELECT count(*) FROM chassis.job" in str(dict(s.attributes or {})))
    assert handlers.parent is not None
    assert by_id[handlers.parent.span_id] is process
    assert telemetry.trace_id_of(traceparent) == f"{trace_id:032x}"
    messages = [m for m in await office.messages("JOBS") if (m.headers or {}).get("ce-subject") == str(job_id)]
    assert {telemetry.trace_id_of((m.headers or {})["traceparent"]) for m in messages} == {f"{trace_id:032x}"}


def test_a_service_says_in_asyncapi_what_it_hears_and_says(office: Office, storage_url: str) -> None:
    service = Service("market", router=router, settings=settings_for(office, storage_url))
    document = service.app().schema.to_specification().to_jsonable()
    text = str(document)
    assert document["asyncapi"].startswith("3.")
    assert "job.market.requested.*" in text
    assert "job.market.succeeded.*" in text
