"""A platform of real processes, each of which can be killed at any moment and started again."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg

from chassis import migrations
from chassis.bus import connect
from chassis.embedded.nats_server import EmbeddedNats
from chassis.embedded.postgres import EmbeddedPostgres
from chassis.outbox import new_id
from chassis.streams import apply_streams
from tests.support.crash_service import COUNTY, EFFECT_TABLE, KIND
from tests.support.jobs import stream_messages
from tests.support.processes import REPOSITORY, wait_until
from tests.support.servers import server_folder

LEASE = timedelta(seconds=2)
COMMANDS = {
    "relay": ["-m", "chassis.run", "relay"],
    "worker_1": ["-m", "tests.support.crash_service", "worker"],
    "worker_2": ["-m", "tests.support.crash_service", "worker"],
    "submitter": ["-m", "tests.support.crash_service", "submitter"],
}
#: Waits short enough to see a recovery within a test.
WAITS = {
    "TERRAFUSION_JOB_LEASE": "PT2S",
    "TERRAFUSION_JOB_RETRY_DELAY": "PT0.2S",
    "TERRAFUSION_JOB_ATTEMPTS": "30",
    "TERRAFUSION_SWEEP_INTERVAL": "PT0.3S",
    "TERRAFUSION_SWEEP_AGE": "PT1S",
    "TERRAFUSION_RECONCILE_INTERVAL": "PT2S",
    "TERRAFUSION_RECONCILE_SILENCE": "PT6S",
    "TERRAFUSION_HTTP_PORT": "0",
}


class CrashPlatform:
    """PostgreSQL (with fsync), NATS, the relay, two workers and a submitter."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.postgres = EmbeddedPostgres(folder / "postgres")
        self.nats = EmbeddedNats(folder / "nats")
        self.processes: dict[str, subprocess.Popen[str]] = {}
        self.asked: dict[UUID, dict[str, Any]] = {}
        self.answered: set[UUID] = set()

    def start(self) -> None:
        """Start everything on empty folders."""
        self.postgres.start()
        self.nats.start()
        migrations.upgrade(self.postgres.url)
        asyncio.run(apply_streams(self.nats.url, ack_wait=LEASE))
        with psycopg.connect(self.postgres.url, autocommit=True) as connection:
            connection.execute(EFFECT_TABLE)
        for name in COMMANDS:
            self.start_process(name)

    def stop(self) -> None:
        """End every process by its id."""
        for name in list(self.processes):
            self.kill_process(name)
        self.nats.stop()
        self.postgres.stop()

    def show_logs(self) -> None:
        """Print what the processes said last; pytest shows it where a test fails."""
        for name in COMMANDS:
            lines = (self.folder / f"{name}.log").read_text().splitlines()
            print(f"--- {name}", *lines[-15:], sep="\n")  # noqa: T201

    def start_process(self, name: str) -> None:
        """Start one of our own processes; the submitter is told again what it has not answered."""
        environment = os.environ | WAITS
        environment["TERRAFUSION_OPERATIONAL_DB_URL"] = self.postgres.url
        environment["TERRAFUSION_NATS_URL"] = self.nats.url
        environment["TERRAFUSION_STORAGE_URL"] = f"file://{self.folder}/storage"
        pipe = subprocess.PIPE if name == "submitter" else subprocess.DEVNULL
        with (self.folder / f"{name}.log").open("a") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, *COMMANDS[name]],
                stdin=pipe,
                stdout=pipe if name == "submitter" else log,
                stderr=log,
                text=True,
                cwd=REPOSITORY,
                env=environment,
            )
        if name == "submitter":
            threading.Thread(target=self._listen, args=[self.processes[name]], daemon=True).start()
            for job_id in self.asked.keys() - self.answered:
                self._tell(job_id)

    def kill_process(self, name: str) -> None:
        """SIGKILL one of our own processes."""
        process = self.processes.pop(name, None)
        if process is not None:
            process.kill()
            process.wait()
            if process.stdin is not None:
                with contextlib.suppress(BrokenPipeError):  # what it had not read yet
                    process.stdin.close()

    def crash(self, name: str) -> None:
        """Kill a process or a server and start it again, on the same folder and port."""
        if name in COMMANDS:
            self.kill_process(name)
            self.start_process(name)
            return
        server = self.nats if name == "nats" else self.postgres
        server.kill()
        server.start()

    def revive(self) -> None:
        """Start again what has died by itself."""
        for name in COMMANDS:
            process = self.processes.get(name)
            if process is None or process.poll() is not None:
                self.crash(name)

    def submit(self, **parameters: Any) -> UUID:
        """Ask for a job; whoever submits is told until it has answered."""
        job_id = new_id()
        self.asked[job_id] = parameters
        self._tell(job_id)
        return job_id

    def _tell(self, job_id: UUID) -> None:
        stdin = self.processes["submitter"].stdin
        assert stdin is not None
        try:
            stdin.write(json.dumps({"id": str(job_id), **self.asked[job_id]}) + "\n")
            stdin.flush()
        except (BrokenPipeError, ValueError):
            return  # it has died; the next one is told

    def _listen(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with process.stdout as lines:
            for line in lines:
                self.answered.add(UUID(line.strip()))

    def query(self, statement: str, *arguments: Any) -> list[tuple[Any, ...]]:
        """Rows as the database has them, once it answers."""
        deadline = time.monotonic() + 60
        while True:
            try:
                with psycopg.connect(self.postgres.url, connect_timeout=5) as connection:
                    return connection.execute(statement, arguments or None).fetchall()
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def statuses(self) -> dict[UUID, str]:
        """Each job's status."""
        return dict(self.query("SELECT id, status FROM chassis.job"))

    def wait_for(self, job_id: UUID, status: str) -> None:
        """Wait until a job has a status."""
        wait_until(lambda: self.statuses().get(job_id) == status, f"job {job_id} is {status}", wait_seconds=90)

    def owner_of(self, job_id: UUID) -> str:
        """The name of the process that runs a job."""
        ((owner,),) = self.query("SELECT owner FROM chassis.job WHERE id = %s", job_id)
        pid = int(owner.rpartition(":")[2])
        return next(name for name, process in self.processes.items() if process.pid == pid)

    def settle(self) -> None:
        """Wait until nothing is on its way any more."""
        wait_until(lambda: not self.query("SELECT FROM chassis.outbox"), "the outbox is empty", wait_seconds=60)
        wait_until(lambda: asyncio.run(self._is_idle()), "no message waits", wait_seconds=60)

    async def _is_idle(self) -> bool:
        client = await connect(self.nats.url, name="test")
        try:
            info = await client.jetstream().consumer_info("JOBS", KIND)
        finally:
            await client.close()
        return not info.num_pending and not info.num_ack_pending

    def check(self, jobs: set[UUID]) -> None:
        """Every job ended exactly once, and nothing was lost on the way."""
        self.settle()
        statuses = self.statuses()
        assert {job: statuses.get(job) for job in jobs} == dict.fromkeys(jobs, "succeeded")
        effects = Counter(job for (job,) in self.query("SELECT job_id FROM crash.effect"))
        assert {job: effects[job] for job in jobs} == dict.fromkeys(jobs, 1)
        facts, letters = asyncio.run(self._bus())
        for job in jobs:
            assert len(facts[job, "requested"]) >= 1, f"{job} was never asked for on the bus"
            assert len(facts[job, "started"]) >= 1, f"{job} never said that it started"
            assert len(facts[job, "succeeded"]) == 1, f"{job} succeeded {len(facts[job, 'succeeded'])} times on the bus"
            assert not facts[job, "failed"] | facts[job, "cancelled"]
        assert letters == 0

    async def _bus(self) -> tuple["Facts", int]:
        """The ids of the events of each job and fact, and how many dead letters there are."""
        client = await connect(self.nats.url, name="test")
        try:
            messages = await stream_messages(client.jetstream(), "JOBS", f"job.{KIND}.*.{COUNTY}")
            letters = (await client.jetstream().stream_info("DEADLETTER")).state.messages
        finally:
            await client.close()
        facts = Facts()
        for message in messages:
            headers = message.headers or {}
            facts[UUID(headers["ce-subject"]), message.subject.split(".")[2]].add(headers["ce-id"])
        return facts, letters


class Facts(dict[tuple[UUID, str], set[str]]):
    """Event ids by job and fact; a job without one has none."""

    def __missing__(self, key: tuple[UUID, str]) -> set[str]:
        return self.setdefault(key, set())


@contextmanager
def crash_platform() -> Iterator[CrashPlatform]:
    """A platform on a new folder; its processes' logs are shown where a test fails."""
    with server_folder() as folder:
        platform = CrashPlatform(folder)
        try:
            platform.start()
            yield platform
            platform.show_logs()
        finally:
            platform.stop()


def kill_self_after(process: subprocess.Popen[str]) -> None:
    """Wait until a process has killed itself."""
    process.wait(60)
    assert process.returncode == -signal.SIGKILL
