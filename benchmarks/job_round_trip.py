"""An empty job from its POST to its success, through the gateway and the chassis against a bare pair of processes.

Both pairs run at the same time on one PostgreSQL and one NATS server, and are loaded in alternating rounds: one job
after the other for the latencies, then several in flight for the rate. A job has succeeded when its event is heard.
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
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nats
import psutil
from nats.js.api import ConsumerConfig

from benchmarks.round_trip_processes import BARE_STREAM
from benchmarks.submit_jobs import BODY, COUNTY_FILE, REPOSITORY
from chassis.embedded.nats_server import EmbeddedNats
from chassis.embedded.ports import free_port
from chassis.embedded.postgres import EmbeddedPostgres
from chassis.migrations import upgrade
from chassis.streams import apply_streams
from services.gateway.accounts import ensure_administrator

GOAL = {"p50_at_most": 1.5, "p95_at_most": 1.5, "jobs_per_second_at_least": 0.8}
Post = Callable[[], Awaitable[str]]


class Side:
    """One pair of processes, as its client sees it."""

    def __init__(self, port: int, path: str, headers: dict[str, str], pids: list[int]) -> None:
        self.pids = pids
        self.port = port
        lines = [f"POST {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", "Content-Type: application/json"]
        lines += [f"Content-Length: {len(BODY)}", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
        self.request = "\r\n".join(lines).encode() + BODY
        self.succeeded: dict[str, float] = {}
        self.waiting: dict[str, asyncio.Future[None]] = {}

    async def hear(self, message: Any) -> None:
        """A success."""
        job = json.loads(message.data)["job_id"]
        self.succeeded[job] = time.perf_counter()
        if waiter := self.waiting.pop(job, None):
            waiter.set_result(None)

    async def client(self) -> "Connection":
        """A connection of its own."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        return Connection(self, reader, writer)

    def cpu_seconds(self) -> tuple[float, float]:
        """Processor time that the gateway and the worker have used."""
        gateway, worker = (psutil.Process(pid).cpu_times() for pid in self.pids)
        return gateway.user + gateway.system, worker.user + worker.system


class Connection:
    """Asks for one job after the other."""

    def __init__(self, side: Side, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.side, self.reader, self.writer = side, reader, writer

    async def round_trip(self) -> float:
        """Seconds from the POST to the success of a job."""
        started = time.perf_counter()
        self.writer.write(self.side.request)
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = next(int(x.split(b":")[1]) for x in head.split(b"\r\n") if x.lower().startswith(b"content-length"))
        body = await self.reader.readexactly(length)
        if b" 202 " not in head.split(b"\r\n", 1)[0]:
            raise AssertionError(body.decode())
        job = json.loads(body)["id"]
        if job not in self.side.succeeded:
            waiter = self.side.waiting[job] = asyncio.get_running_loop().create_future()
            await asyncio.wait_for(waiter, 30)
        return self.side.succeeded.pop(job) - started


async def one_by_one(side: Side, seconds: float) -> list[float]:
    """Latencies of jobs that have the platform for themselves."""
    connection = await side.client()
    until = time.perf_counter() + seconds
    latencies = []
    while time.perf_counter() < until:
        latencies.append(await connection.round_trip())
    connection.writer.close()
    return latencies


async def many(side: Side, seconds: float, in_flight: int) -> float:
    """Jobs a second with so many in flight."""
    connections = [await side.client() for _ in range(in_flight)]
    started = time.perf_counter()

    async def go_on(connection: Connection) -> int:
        done = 0
        while time.perf_counter() < started + seconds:
            await connection.round_trip()
            done += 1
        connection.writer.close()
        return done

    done = sum(await asyncio.gather(*(go_on(connection) for connection in connections)))
    return done / (time.perf_counter() - started)


async def measure(sides: dict[str, Side], nats_url: str, options: argparse.Namespace) -> dict[str, Any]:
    """Alternate rounds; medians over the rounds."""
    client = await nats.connect(nats_url)
    await client.subscribe("job.market.succeeded.*", cb=sides["ours"].hear)
    await client.subscribe("bare.succeeded.*", cb=sides["bare"].hear)
    rounds: dict[str, list[dict[str, float]]] = {name: [] for name in sides}
    for number in range(options.rounds + 1):
        for name, side in sides.items():
            latencies = sorted(await one_by_one(side, options.seconds))
            before = side.cpu_seconds()
            rate = await many(side, options.seconds, options.in_flight)
            await asyncio.sleep(0.5)  # let publishers empty their queues
            if number:  # the first round warms up
                spent = [after - first for first, after in zip(before, side.cpu_seconds(), strict=True)]
                rounds[name].append(
                    {
                        "p50_ms": 1000 * statistics.median(latencies),
                        "p95_ms": 1000 * latencies[int(len(latencies) * 0.95)],
                        "jobs_per_second": rate,
                        "gateway_processor_ms": 1000 * spent[0] / (rate * options.seconds),
                        "worker_processor_ms": 1000 * spent[1] / (rate * options.seconds),
                    }
                )
    await client.close()
    return summary(rounds)


def summary(rounds: dict[str, list[dict[str, float]]]) -> dict[str, Any]:
    """Ours, the limit, and their ratios."""
    medians = {
        side: {name: statistics.median(r[name] for r in found) for name in found[0]} for side, found in rounds.items()
    }
    ours, bare = medians["ours"], medians["bare"]
    ratios = {name: round(ours[name] / bare[name], 3) for name in ours}
    met = (
        ratios["p50_ms"] <= GOAL["p50_at_most"]
        and ratios["p95_ms"] <= GOAL["p95_at_most"]
        and ratios["jobs_per_second"] >= GOAL["jobs_per_second_at_least"]
    )
    figures = {name: round(value, 2) for name, value in ours.items()}
    limits = {f"limit_{name}": round(value, 2) for name, value in bare.items()}
    return {"name": "job round trip", **figures, **limits, "ratios": ratios, "goal": GOAL, "met": met}


@contextmanager
def serving(arguments: list[str], *, port: int, path: str, environment: dict[str, str]) -> Iterator[int]:
    """A process that answers on its port."""
    process = subprocess.Popen(
        [sys.executable, *arguments], cwd=REPOSITORY, env={**os.environ, **environment}, stdout=subprocess.DEVNULL
    )
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=2)
                break
            except urllib.error.HTTPError:
                break
            except OSError:
                time.sleep(0.1)
        yield process.pid
    finally:
        process.terminate()
        process.wait(30)


def token(port: int, password: str) -> str:
    """A token of the benchmark's administrator."""
    body = json.dumps({"username": "bench", "password": password}).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}/auth/login", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as response:
        return str(json.load(response)["access_token"])


async def prepare_bus(nats_url: str) -> None:
    """Our streams, and one for the bare pair."""
    await apply_streams(nats_url)
    client = await nats.connect(nats_url)
    jetstream = client.jetstream()
    await jetstream.add_stream(name=BARE_STREAM, subjects=["bare.*.*"])
    config = ConsumerConfig(durable_name="bare", filter_subject="bare.requested.*", ack_wait=30)
    await jetstream.add_consumer(BARE_STREAM, config)
    await client.close()


def run(folder: Path, postgres: EmbeddedPostgres, nats_url: str, options: argparse.Namespace) -> dict[str, Any]:
    """Start both pairs and measure them."""
    ours_url, bare_url = (postgres.create_database(name) for name in ("ours", "bare"))
    for url in (ours_url, bare_url):
        upgrade(url)
    asyncio.run(prepare_bus(nats_url))
    password = secrets.token_urlsafe(12)
    asyncio.run(ensure_administrator(ours_url, "bench", password))
    (folder / "counties" / "bench").mkdir(parents=True)
    (folder / "counties" / "bench" / "county.yaml").write_text(COUNTY_FILE)
    ports = [free_port() for _ in range(4)]
    environment = {
        "TERRAFUSION_OPERATIONAL_DB_URL": ours_url,
        "BARE_DB_URL": bare_url,
        "TERRAFUSION_NATS_URL": nats_url,
        "TERRAFUSION_SECRET_KEY": secrets.token_urlsafe(32),
        "TERRAFUSION_STORAGE_URL": f"file://{folder}/storage",
        "TERRAFUSION_COUNTIES_DIR": str(folder / "counties"),
        "TERRAFUSION_HTTP_PORT": str(ports[0]),
    }
    module = ["-m", "benchmarks.round_trip_processes"]
    worker = [*module, "chassis_worker", str(ports[1])]
    bare = [[*module, name, str(port)] for name, port in (("bare_gateway", ports[2]), ("bare_worker", ports[3]))]
    with (
        serving(["-m", "chassis.run", "gateway"], port=ports[0], path="/health", environment=environment) as gateway,
        serving(worker, port=ports[1], path="/health", environment=environment) as our_worker,
        serving(bare[0], port=ports[2], path="/", environment=environment) as bare_gateway,
        serving(bare[1], port=ports[3], path="/", environment=environment) as bare_worker,
    ):
        headers = {"Authorization": f"Bearer {token(ports[0], password)}"}
        sides = {
            "ours": Side(ports[0], "/api/v1/market/run", headers, [gateway, our_worker]),
            "bare": Side(ports[2], "/run", {}, [bare_gateway, bare_worker]),
        }
        return asyncio.run(measure(sides, nats_url, options))


def main() -> None:
    """Run both pairs and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--in-flight", type=int, default=16)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="tf-bench-"))
    folder.chmod(0o711)
    try:
        with EmbeddedPostgres(folder / "postgres") as postgres, EmbeddedNats(folder / "nats") as bus:
            result = run(folder, postgres, bus.url, options)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
