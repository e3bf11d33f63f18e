"""Job submissions a second through the gateway against a bare endpoint that writes the same two rows.

Both run under uvicorn in a process of their own, on one PostgreSQL and one NATS server of their own; the same
generator loads them in alternating rounds. The gateway has row-level security, tokens, validation, idempotency,
tracing with an exporter's span processor, and publishes every command; the bare endpoint does nothing of that.
"""

import argparse
import asyncio
import json
import os
import secrets
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import psutil

from benchmarks.http_load import load, request_bytes
from chassis.embedded.nats_server import EmbeddedNats
from chassis.embedded.ports import free_port
from chassis.embedded.postgres import EmbeddedPostgres
from chassis.migrations import upgrade
from chassis.streams import apply_streams
from services.gateway.accounts import ensure_administrator

REPOSITORY = Path(__file__).resolve().parent.parent
GOAL = 0.5
COUNTY_FILE = """\
county: bench
name: Bench County
state: WA
epsg: 2927
time_zone: America/Los_Angeles
sale_validity: {qualified_codes: ["1"]}
"""
BODY = json.dumps({"county": "bench", "parameters": {"segments": ["1010"]}}).encode()


class _SpanSink(BaseHTTPRequestHandler):
    """Takes the spans that the gateway exports, so that exporting is part of the measurement."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 the base class' name
        """Say nothing."""


@contextmanager
def _server(arguments: list[str], *, port: int, environment: dict[str, str]) -> Iterator[int]:
    process = subprocess.Popen(
        [sys.executable, *arguments], cwd=REPOSITORY, env={**os.environ, **environment}, stdout=subprocess.DEVNULL
    )
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/openapi.json", timeout=2)
                break
            except OSError:
                time.sleep(0.1)
        yield process.pid
    finally:
        process.terminate()
        process.wait(20)


def _token(port: int, password: str) -> str:
    body = json.dumps({"username": "bench", "password": password}).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}/auth/login", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as response:
        return str(json.load(response)["access_token"])


def _cpu_seconds(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


async def measure(targets: dict[str, tuple[int, int, bytes]], options: argparse.Namespace) -> dict[str, object]:
    """Alternate rounds; the medians of both, and of the ratios of each pair of rounds."""
    rates: dict[str, list[float]] = {"ours": [], "bare": []}
    processor: dict[str, list[float]] = {"ours": [], "bare": []}
    for number in range(options.rounds + 1):
        for name, (pid, port, request) in targets.items():
            before = _cpu_seconds(pid)
            rate, latencies = await load(
                port, request, status=202, connections=options.connections, seconds=options.seconds
            )
            await asyncio.sleep(1)  # let the publisher empty its queue
            if number:  # the first round warms up
                rates[name].append(rate)
                processor[name].append(1000 * (_cpu_seconds(pid) - before) / len(latencies))
    found = {name: statistics.median(values) for name, values in rates.items()}
    return {
        "name": "job submissions a second",
        "ours": round(found["ours"], 1),
        "limit": round(found["bare"], 1),
        "ratio": round(statistics.median(a / b for a, b in zip(rates["ours"], rates["bare"], strict=True)), 3),
        "goal": GOAL,
        "processor_milliseconds": {name: round(statistics.median(v), 3) for name, v in processor.items()},
        "rounds": {name: [round(value) for value in values] for name, values in rates.items()},
    }


def main() -> None:
    """Run both servers and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--no-export", action="store_true", help="make spans but export none")
    parser.add_argument("--sampled", type=float, help="record this share of the traces, as production would")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="tf-bench-"))
    folder.chmod(0o711)
    sink = ThreadingHTTPServer(("127.0.0.1", 0), _SpanSink)
    Thread(target=sink.serve_forever, daemon=True).start()
    try:
        with EmbeddedPostgres(folder / "postgres") as postgres, EmbeddedNats(folder / "nats") as nats:
            result = _run(folder, postgres.create_database("bench"), nats.url, options, sink.server_port)
    finally:
        sink.shutdown()
        shutil.rmtree(folder, ignore_errors=True)
    traced = "none exported" if options.no_export else f"{(options.sampled or 1) * 100:g} % of traces exported"
    print(json.dumps({**result, "name": f"{result['name']}, {traced}"}))


def _run(folder: Path, url: str, nats_url: str, options: argparse.Namespace, sink_port: int) -> dict[str, object]:
    upgrade(url)
    asyncio.run(apply_streams(nats_url))
    password = secrets.token_urlsafe(12)
    asyncio.run(ensure_administrator(url, "bench", password))
    (folder / "counties" / "bench").mkdir(parents=True)
    (folder / "counties" / "bench" / "county.yaml").write_text(COUNTY_FILE)
    ours, bare = free_port(), free_port()
    environment = {
        "TERRAFUSION_OPERATIONAL_DB_URL": url,
        "TERRAFUSION_NATS_URL": nats_url,
        "TERRAFUSION_SECRET_KEY": secrets.token_urlsafe(32),
        "TERRAFUSION_STORAGE_URL": f"file://{folder}/storage",
        "TERRAFUSION_COUNTIES_DIR": str(folder / "counties"),
        "TERRAFUSION_HTTP_PORT": str(ours),
        "PYTHONPATH": str(REPOSITORY),
    }
    if not options.no_export:
        environment["OTEL_EXPORTER_OTLP_ENDPOINT"] = f"http://127.0.0.1:{sink_port}"
    if options.sampled is not None:
        environment["OTEL_TRACES_SAMPLER"] = "parentbased_traceidratio"
        environment["OTEL_TRACES_SAMPLER_ARG"] = str(options.sampled)
    bare_command = ["-m", "uvicorn", "benchmarks.bare_submit:app", "--port", str(bare)]
    bare_command += ["--log-level", "warning", "--no-access-log"]
    with (
        _server(["-m", "chassis.run", "gateway"], port=ours, environment=environment) as our_pid,
        _server(bare_command, port=bare, environment=environment) as bare_pid,
    ):
        token = {"Authorization": f"Bearer {_token(ours, password)}"}
        our_request = request_bytes("POST", "/api/v1/market/run", port=ours, body=BODY, headers=token)
        bare_request = request_bytes("POST", "/run", port=bare, body=BODY)
        targets = {"bare": (bare_pid, bare, bare_request), "ours": (our_pid, ours, our_request)}
        return asyncio.run(measure(targets, options))


if __name__ == "__main__":
    main()
