"""PostgreSQL, NATS, the relay and ingest workers as processes of their own, any of which may be killed or stopped."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import psutil
import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from chassis import migrations
from chassis.bus import connect
from chassis.embedded.nats_server import EmbeddedNats
from chassis.embedded.postgres import EmbeddedPostgres
from chassis.requests import job_requested
from chassis.streams import apply_streams
from tests.support.crash_platform import LEASE, WAITS
from tests.support.jobs import stream_messages
from tests.support.killed_ingest import Point
from tests.support.processes import REPOSITORY, is_gone, wait_until
from tests.support.servers import server_folder

ENDED = ("succeeded", "failed", "cancelled")
#: a worker that stands still within a transaction loses it after so long, where some worker is to stand still
TRANSACTION_SILENCE = "PT1S"


@dataclass(frozen=True)
class Heard:
    """A message of the bus."""

    stream: str
    subject: str
    headers: Mapping[str, str]
    body: Any

    @property
    def id(self) -> str:
        return self.headers["ce-id"]


class IngestPlatform:
    """All that following a pair needs, on folders and ports of its own; the source is elsewhere."""

    def __init__(
        self, folder: Path, *, county: str, counties_dir: Path, nats_settings: Mapping[str, str] | None = None
    ) -> None:
        self.folder, self.county, self.counties_dir = folder, county, counties_dir
        self.postgres = EmbeddedPostgres(folder / "postgres")
        self.nats = EmbeddedNats(folder / "nats", settings=nats_settings)
        self.environment: dict[str, str] = {}
        self.more: dict[str, str] = {}
        """What relay and workers get beside that; takes effect with their next start."""
        self.relay: subprocess.Popen[bytes] | None = None
        self.nursery: subprocess.Popen[str] | None = None
        self.workers: dict[str, int] = {}

    async def start(self) -> None:
        """Start the servers on empty folders, and the relay."""
        await asyncio.to_thread(self.postgres.start)
        await asyncio.to_thread(self.nats.start)
        await asyncio.to_thread(migrations.upgrade, self.postgres.url)
        await apply_streams(self.nats.url, ack_wait=LEASE)
        self.environment = {
            **WAITS,
            "TERRAFUSION_JOB_ATTEMPTS": "100000",
            "TERRAFUSION_SWEEP_INTERVAL": "PT0.1S",
            "TERRAFUSION_SWEEP_AGE": "PT0.3S",
            "TERRAFUSION_SCHEDULE_INTERVAL": "PT0.2S",
            "TERRAFUSION_SCHEDULE_FILE_INTERVAL": "PT1S",
            "TERRAFUSION_OPERATIONAL_DB_URL": self.postgres.url,
            "TERRAFUSION_NATS_URL": self.nats.url,
            "TERRAFUSION_STORAGE_URL": f"file://{self.folder}/storage",
            "TERRAFUSION_COUNTIES_DIR": str(self.counties_dir),
            "TERRAFUSION_SECRET_KEY": "not-a-secret-not-a-secret-not-a-secret",
        }
        self.start_relay()
        self._start_nursery()

    def _start_nursery(self) -> None:
        self.nursery = subprocess.Popen(
            [sys.executable, "-m", "tests.support.killed_ingest"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY,
        )  # fmt: skip

    def stop(self) -> None:
        """End every process by its id."""
        for name in list(self.workers):
            self.kill_worker(name)
        for process in (self.nursery, self.relay):
            if process is not None:
                process.kill()
                process.communicate()
        self.nats.stop()
        self.postgres.stop()

    def start_relay(self) -> None:
        """Start the relay."""
        with (self.folder / "relay.log").open("ab") as log:
            self.relay = subprocess.Popen(
                [sys.executable, "-m", "chassis.run", "relay"],
                stdout=log, stderr=log, cwd=REPOSITORY, env=os.environ | self.environment | self.more,
            )  # fmt: skip

    def kill_relay(self) -> None:
        """SIGKILL the relay."""
        assert self.relay is not None
        self.relay.kill()
        self.relay.wait()

    def start_worker(self, name: str = "ingest", point: Point | None = None) -> int:
        """Fork a worker; answers its process id."""
        assert self.nursery is not None
        assert self.nursery.stdin is not None
        assert self.nursery.stdout is not None
        source = {key: value for key, value in os.environ.items() if key.startswith("TERRAFUSION_SOURCE_")}
        if point is not None and point.signal == "SIGSTOP":
            self.more["TERRAFUSION_TRANSACTION_SILENCE"] = TRANSACTION_SILENCE
        environment = self.environment | source | self.more
        asked = {
            "environment": environment,
            "log": str(self.folder / f"{name}.log"),
            "point": point.model_dump() if point else None,
        }
        self.nursery.stdin.write(json.dumps(asked) + "\n")
        self.nursery.stdin.flush()
        pid = self.workers[name] = int(self.nursery.stdout.readline())
        return pid

    def signal_worker(self, name: str, number: signal.Signals) -> None:
        """Send a signal to a worker that may have gone."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.workers[name], number)

    def kill_worker(self, name: str = "ingest") -> None:
        """SIGKILL a worker and wait until it has gone."""
        self.signal_worker(name, signal.SIGKILL)
        pid = self.workers.pop(name)
        wait_until(lambda: is_gone(pid), f"worker {pid} is gone")

    def is_worker_gone(self, name: str = "ingest") -> bool:
        return is_gone(self.workers[name])

    def is_worker_stopped(self, name: str = "ingest") -> bool:
        """Whether it stands still."""
        with contextlib.suppress(psutil.NoSuchProcess):
            return bool(psutil.Process(self.workers[name]).status() == psutil.STATUS_STOPPED)
        return False

    def resident_mb(self) -> dict[str, float]:
        """The memory of workers and relay."""
        assert self.relay is not None
        found = {}
        for name, pid in {**self.workers, "relay": self.relay.pid}.items():
            with contextlib.suppress(psutil.NoSuchProcess):
                found[name] = psutil.Process(pid).memory_info().rss / 2**20
        return found

    def submit(self, job_id: UUID, *, pair: str, mode: str = "incremental", **more: Any) -> UUID:
        """Ask for a job as the gateway does; the relay sends the command."""
        parameters = {"pair": pair, "mode": mode, **more}
        with psycopg.connect(self.postgres.url, row_factory=dict_row) as connection:
            row = connection.execute(
                "INSERT INTO chassis.job (county, id, kind, parameters, request_digest, requested_by)"
                " VALUES (%s, %s, 'sync', %s, 'x', 'tester') RETURNING *",
                (self.county, job_id, Jsonb(parameters)),
            ).fetchone()
            message = job_requested(row, service="gateway", first=True)
            connection.execute(
                "INSERT INTO chassis.outbox (id, county, subject, headers, body) VALUES (%s, %s, %s, %s, %s)",
                (message.id, message.county, message.subject, Jsonb(message.headers), message.body),
            )
        return job_id

    def rows(self, query: str, *arguments: Any) -> list[dict[str, Any]]:
        """Rows as the operational database has them, once it answers."""
        deadline = time.monotonic() + 60
        while True:
            try:
                with psycopg.connect(self.postgres.url, connect_timeout=5, row_factory=dict_row) as connection:
                    return connection.execute(query.encode(), arguments or None).fetchall()
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def job(self, job_id: UUID) -> dict[str, Any]:
        """A job's row."""
        (row,) = self.rows("SELECT * FROM chassis.job WHERE id = %s", job_id)
        return row

    def wait_for(self, job_id: UUID, *statuses: str, wait_seconds: float = 90) -> dict[str, Any]:
        """Wait until a job has one of the statuses; without any, until it has ended."""
        wanted = statuses or ENDED
        wait_until(lambda: self.job(job_id)["status"] in wanted, f"job {job_id} is {wanted}", wait_seconds=wait_seconds)
        return self.job(job_id)

    def settle(self, *, wait_seconds: float = 60) -> None:
        """Wait until the bus has everything."""
        wait_until(
            lambda: not self.rows("SELECT FROM chassis.outbox"), "the outbox is empty", wait_seconds=wait_seconds
        )

    async def heard(self) -> list[Heard]:
        """What was published of rows and of the record, in the streams' order."""
        client = await connect(self.nats.url, name="test")
        try:
            return [
                Heard(stream, message.subject, message.headers or {}, json.loads(message.data or b"null"))
                for stream in ("CHANGES", "FACTS")
                for message in await stream_messages(client.jetstream(), stream, ">")
            ]
        finally:
            await client.close()

    def show_logs(self) -> None:
        """Print what the processes said last; pytest shows it where a test fails."""
        for path in sorted(self.folder.glob("*.log")):
            print(f"--- {path.name}", *path.read_text().splitlines()[-25:], sep="\n")  # noqa: T201


@asynccontextmanager
async def ingest_platform(county: str, counties_dir: Path, **more: Any) -> AsyncIterator[IngestPlatform]:
    """A platform on a new folder; its processes' logs are shown where a test fails."""
    with server_folder() as folder:
        platform = IngestPlatform(folder, county=county, counties_dir=counties_dir, **more)
        try:
            await platform.start()
            yield platform
        except BaseException:
            platform.show_logs()
            raise
        finally:
            platform.stop()
