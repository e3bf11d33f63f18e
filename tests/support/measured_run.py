"""Runs a synchronisation in a process of its own and tells how much memory that took at most."""

import asyncio
import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from chassis.database import Database
from tests.support.sync_jobs import SyncBench


@dataclass(frozen=True)
class Measured:
    """How a run ended."""

    status: str
    changes: int
    rows_read: int
    peak_mb: float
    """The resident memory of the process at its highest."""


def run_measured(bench: SyncBench, mode: str, *, wait_seconds: float = 600) -> Measured:
    """The pair's run, by another process with the same settings."""
    arguments = [bench.database.url, bench.county, bench.pair, str(bench.counties_dir), bench.storage, mode]
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.measured_run", *arguments],
        capture_output=True,
        text=True,
        timeout=wait_seconds,
        check=False,
        cwd=Path(__file__).resolve().parents[2],
        env=os.environ,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return Measured(**json.loads(done.stdout.splitlines()[-1]))


async def _run(*arguments: str) -> Measured:
    url, county, pair, counties_dir, storage, mode = arguments
    database = Database(url, service="ingest")
    await database.open()
    bench = SyncBench(database, county, pair, counties_dir=Path(counties_dir), storage=storage)
    job = await bench.run(mode)
    operation = await bench.fetch("SELECT rows_read FROM ingest.sync_operation WHERE id = $1", bench.jobs[-1])
    await database.close()
    assert job["status"] == "succeeded", job["error"]
    return Measured(job["status"], job["result"]["changes"], operation[0]["rows_read"], peak_mb())


def peak_mb() -> float:
    """Of this program alone: what `getrusage` says is inherited from the process that started it."""
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM:"))


if __name__ == "__main__":
    print(json.dumps(asdict(asyncio.run(_run(*sys.argv[1:])))))  # noqa: T201  # read by the process that started this
