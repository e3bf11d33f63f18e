"""A process that is configured by its environment alone delivers its spans to real HTTP endpoints."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.azure_monitor_receiver import INSTRUMENTATION_KEY, AzureMonitorReceiver
from tests.support.otlp_receiver import OtlpReceiver

REPOSITORY = Path(__file__).resolve().parents[3]
# Makes a request's span, within it a query's, and says their ids and every address that the process connected to or
# asked the name server for. Anything but this machine is recorded and refused.
PROGRAM = """
import json, sys

connections = []

def watch(event, arguments):
    if event in ("socket.connect", "socket.sendto", "socket.getaddrinfo"):
        host, port = arguments[:2] if event == "socket.getaddrinfo" else arguments[1][:2]
        connections.append([host, int(port)])
        if host != "127.0.0.1":
            raise ConnectionRefusedError(host)

sys.addaudithook(watch)

from opentelemetry import trace
from opentelemetry.trace import SpanKind
from chassis import telemetry

provider = telemetry.configure("terrafusion-gateway")
tracer = trace.get_tracer("test")
with tracer.start_as_current_span("POST /api/v1/valuation/run", kind=SpanKind.SERVER) as request:
    with tracer.start_as_current_span(
        "SELECT", kind=SpanKind.CLIENT, attributes={"db.system.name": "postgresql", "db.query.text": "SELECT 1"}
    ) as query:
        traceparent = telemetry.current_traceparent()
provider.shutdown()
print(json.dumps({
    "trace_id": f"{request.get_span_context().trace_id:032x}",
    "request_id": f"{request.get_span_context().span_id:016x}",
    "query_id": f"{query.get_span_context().span_id:016x}",
    "traceparent": traceparent,
    "connections": connections,
}))
"""
# What runs besides the spans' own exporter would send something sooner or later; no span is made, so nothing is sent.
THREADS = """
import json, threading
from chassis import telemetry

provider = telemetry.configure("terrafusion-gateway")
print(json.dumps(sorted(thread.name for thread in threading.enumerate())))
provider.shutdown()
"""
REGIONAL = (
    f"InstrumentationKey={INSTRUMENTATION_KEY};IngestionEndpoint=https://westus2-0.in.applicationinsights.azure.com/"
)


@dataclass(frozen=True)
class Run:
    """What the process said about itself."""

    trace_id: str
    request_id: str
    query_id: str
    traceparent: str
    connections: list[tuple[str, int]]


def run_python(program: str, folder: Path, **settings: str) -> Any:
    """What a program of this environment and these settings prints."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "APPLICATIONINSIGHTS_"))
    }
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment
        | {"TMPDIR": str(folder)}
        | settings,  # unsent spans of another run wait in the temporary folder
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def run_program(folder: Path, **settings: str) -> Run:
    said: dict[str, Any] = run_python(PROGRAM, folder, **settings)
    return Run(**said | {"connections": [(host, port) for host, port in said["connections"]]})


def assert_otlp_trace(spans: list[dict[str, Any]], run: Run) -> None:
    by_name = {span["name"]: span for span in spans}
    assert by_name.keys() == {"POST /api/v1/valuation/run", "SELECT"}
    request, query = by_name["POST /api/v1/valuation/run"], by_name["SELECT"]
    assert (request["span_id"], query["span_id"]) == (run.request_id, run.query_id)
    assert {span["trace_id"] for span in spans} == {run.trace_id}
    assert request["parent_id"] is None
    assert query["parent_id"] == request["span_id"]
    assert (request["kind"], query["kind"]) == ("server", "client")
    assert {span["service"] for span in spans} == {"terrafusion-gateway"}
    assert query["attributes"] == {"db.system.name": "postgresql", "db.query.text": "SELECT 1"}


def assert_azure_trace(spans: list[dict[str, Any]], run: Run) -> None:
    by_type = {span["data"]["baseType"]: span for span in spans}
    assert len(spans) == 2
    request, query = by_type["RequestData"], by_type["RemoteDependencyData"]
    assert {span["iKey"] for span in spans} == {INSTRUMENTATION_KEY}
    assert {span["tags"]["ai.operation.id"] for span in spans} == {run.trace_id}
    assert {span["tags"]["ai.cloud.role"] for span in spans} == {"terrafusion.terrafusion-gateway"}
    assert request["data"]["baseData"]["name"] == "POST /api/v1/valuation/run"
    assert request["data"]["baseData"]["id"] == run.request_id
    assert "ai.operation.parentId" not in request["tags"]
    assert query["data"]["baseData"]["id"] == run.query_id
    assert query["data"]["baseData"]["data"] == "SELECT 1"
    assert query["tags"]["ai.operation.parentId"] == run.request_id


def test_spans_go_by_otlp(tmp_path: Path) -> None:
    with OtlpReceiver() as collector:
        run = run_program(tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)
        assert_otlp_trace(collector.spans, run)
        assert set(run.connections) == {("127.0.0.1", collector.port)}


def test_spans_go_to_azure_monitor_and_nothing_goes_elsewhere(tmp_path: Path) -> None:
    with AzureMonitorReceiver() as azure:
        run = run_program(tmp_path, APPLICATIONINSIGHTS_CONNECTION_STRING=azure.connection_string)
        assert_azure_trace(azure.spans, run)
        assert set(run.connections) == {("127.0.0.1", azure.port)}


def test_the_azure_exporter_does_nothing_on_its_own_account(tmp_path: Path) -> None:
    threads = run_python(THREADS, tmp_path, APPLICATIONINSIGHTS_CONNECTION_STRING=REGIONAL)
    assert threads == ["AzureMonitorTraceExporter Storage", "MainThread", "OtelBatchSpanRecordProcessor"]


def test_spans_go_to_both(tmp_path: Path) -> None:
    with OtlpReceiver() as collector, AzureMonitorReceiver() as azure:
        run = run_program(
            tmp_path,
            OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
            APPLICATIONINSIGHTS_CONNECTION_STRING=azure.connection_string,
        )
        assert_otlp_trace(collector.spans, run)
        assert_azure_trace(azure.spans, run)


def test_without_an_endpoint_ids_are_made_and_nothing_is_sent(tmp_path: Path) -> None:
    run = run_program(tmp_path)
    assert run.connections == []
    assert run.traceparent.split("-")[1:3] == [run.trace_id, run.query_id]
    assert run.trace_id != "0" * 32


def test_an_endpoint_that_is_away_does_not_harm_the_process(tmp_path: Path) -> None:
    with OtlpReceiver() as collector:
        url = collector.url  # nothing listens here once the block has ended
    run = run_program(tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=url, OTEL_EXPORTER_OTLP_TIMEOUT="1")
    assert ("127.0.0.1", int(url.rpartition(":")[2])) in run.connections
