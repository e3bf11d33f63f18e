"""The main job over HTTP: a subscriber sees it on the bus, a collector sees it as one trace."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import nats
import pytest

from clients.sdk.client import TerraFusion
from clients.sdk.demo_source import SyntheticSource
from clients.sdk.platform import Platform, PlatformError
from contracts.api.jobs import Job
from tests.support.leftovers import processes_of
from tests.support.otlp_receiver import OtlpReceiver
from tests.support.servers import server_folder

pytestmark = pytest.mark.timeout(300)
COUNTY = "synthetic_wa"
TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = f"00-{TRACE_ID}-b7ad6b7169203331-01"
FACTS = ["requested", "started", "progressed", "succeeded"]


@dataclass
class Running:
    platform: Platform
    client: TerraFusion
    receiver: OtlpReceiver
    folder: Path

    @property
    def headers(self) -> dict[str, str]:
        tokens = self.client.request("POST", "/auth/login", json=self.platform.credentials())
        return {"Authorization": f"Bearer {tokens['access_token']}"}


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    with server_folder() as folder, OtlpReceiver() as receiver:
        with Platform(folder / "var") as platform:
            source = SyntheticSource(platform, parcels=800)
            telemetry = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url, "OTEL_BSP_SCHEDULE_DELAY": "200"}
            platform.start_services(source.prepare() | telemetry)
            with TerraFusion(platform.gateway_url) as client:
                client.login(**platform.credentials())
                client.wait(client.run("sync", COUNTY, {"pair": source.pair, "mode": "full"}))
                yield Running(platform, client, receiver, folder)
        assert processes_of(folder) == []


async def followed(running: Running) -> tuple[Job, list[Any]]:
    """Ask for a valuation as any HTTP client would, with a plain subscriber listening."""
    client = await nats.connect(running.platform.nats_url)
    subscription = await client.subscribe("job.>")
    await client.flush()
    answer = await asyncio.to_thread(
        httpx.post,
        f"{running.platform.gateway_url}/api/v1/valuation/run",
        json={"county": COUNTY, "parameters": {"scope": {"all": True}}},
        headers={**running.headers, "traceparent": TRACEPARENT},
    )
    assert answer.status_code == 202
    job = Job.model_validate(answer.json())
    assert answer.headers["location"] == f"/api/v1/jobs/{job.id}"
    messages = []
    while not messages or not messages[-1].subject.endswith(f"succeeded.{COUNTY}"):
        message = await subscription.next_msg(timeout=120)
        if message.subject.endswith(COUNTY) and message.headers.get("ce-subject") == str(job.id):
            messages.append(message)
    await client.close()
    return job, messages


async def test_a_valuation_is_seen_on_the_bus_and_as_one_trace(running: Running) -> None:
    job, messages = await followed(running)
    facts = [message.subject.split(".")[2] for message in messages]
    assert sorted(set(facts), key=FACTS.index) == FACTS
    assert facts[0] == "requested"
    assert facts[-1] == "succeeded"
    for message in messages:
        check_cloudevent(message)
        assert message.headers["traceparent"].split("-")[1] == TRACE_ID
    assert job.trace_id == TRACE_ID
    spans = running.receiver.wait_for(whole_trace, timeout=30)
    check_one_tree([span for span in spans if span["trace_id"] == TRACE_ID])


def check_cloudevent(message: Any) -> None:
    headers = message.headers
    assert headers["ce-specversion"] == "1.0"
    assert UUID(headers["ce-id"])
    assert headers["Nats-Msg-Id"] == headers["ce-id"]
    assert headers["ce-source"].startswith("/terrafusion/")
    assert headers["ce-type"] == message.subject.removesuffix(f".{COUNTY}")
    assert headers["ce-time"].endswith("Z")
    assert headers["content-type"] == "application/json"


def whole_trace(spans: list[dict[str, Any]]) -> bool:
    names = {span["name"] for span in spans if span["trace_id"] == TRACE_ID}
    return {
        "publish job.valuation.requested",
        "process job.valuation.requested",
        "publish job.valuation.succeeded",
    } <= names


def check_one_tree(spans: list[dict[str, Any]]) -> None:
    """Gateway, relay, worker and SQL, each below the other."""
    by_id = {span["span_id"]: span for span in spans}
    assert {span["service"] for span in spans} == {"terrafusion-gateway", "terrafusion-valuation"}
    process = next(span for span in spans if span["name"] == "process job.valuation.requested")
    publish = by_id[process["parent_id"]]
    assert publish["name"] == "publish job.valuation.requested"
    request = by_id[publish["parent_id"]]
    assert request["service"] == "terrafusion-gateway"
    assert request["parent_id"] == "b7ad6b7169203331"
    sql = [s for s in spans if s["attributes"].get("db.system.name") == "postgresql"]
    assert {s["service"] for s in sql} == {"terrafusion-gateway", "terrafusion-valuation"}
    assert any(s["parent_id"] == process["span_id"] for s in sql)


async def test_the_other_kinds_run_as_well(running: Running) -> None:
    client = running.client
    requests = {
        "market": {},
        "reporting": {"report": "ratio_study", "format": "xlsx"},
        "gis_export": {"format": "shapefile"},
    }
    for kind, parameters in requests.items():
        job = await asyncio.to_thread(client.wait, client.run(kind, COUNTY, parameters))
        assert job.result
        assert job.artifacts
        assert client.results(job.id).artifacts == job.artifacts


def test_a_second_platform_in_the_folder_is_refused(running: Running) -> None:
    with pytest.raises(PlatformError, match="another platform"), Platform(running.folder / "var"):
        pass


def test_every_service_says_how_it_is(running: Running) -> None:
    for name, process in running.platform.processes.items():
        assert httpx.get(f"{process.url}/health").status_code == 200, name
        assert "python_info" in httpx.get(f"{process.url}/metrics", follow_redirects=True).text, name
