"""Runs one synchronisation in a process of its own, and measures its resident memory from outside and inside."""

import asyncio
import json
import os
import subprocess
import sys
import time
from typing import Any

import psutil

from chassis.database import Database
from chassis.settings import REPOSITORY
from tests.support.measured_run import peak_mb
from tests.support.sync_jobs import SyncBench

_SAMPLE_SECONDS = 0.25
MEGABYTE = 1024 * 1024


def run_sampled(bench: SyncBench, mode: str) -> dict[str, Any]:
    """The pair's run by another process with the same settings: its result, seconds and memory.

    Raises:
        RuntimeError: the run did not succeed.
    """
    arguments = [bench.database.url, bench.county, bench.pair, str(bench.counties_dir), bench.storage, mode]
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.sync_process", *arguments],
        cwd=REPOSITORY,
        env=os.environ,
        stdout=subprocess.PIPE,
        text=True,
    )
    sampled_mb = _watch(process)
    assert process.stdout is not None
    printed = process.stdout.read().splitlines()
    if process.returncode or not printed:
        raise RuntimeError(f"{mode} ended with {process.returncode}")
    measured: dict[str, Any] = json.loads(printed[-1]) | {"sampled_mb": round(sampled_mb, 1)}
    if measured["status"] != "succeeded":
        raise RuntimeError(f"{mode}: {measured['error']}")
    return measured


def _watch(process: "subprocess.Popen[str]") -> float:
    """Megabytes that the process had resident at most, of some samples a second until it ends."""
    highest = 0
    watched = psutil.Process(process.pid)
    while process.poll() is None:
        try:
            highest = max(highest, watched.memory_info().rss)
        except psutil.NoSuchProcess:
            break
        time.sleep(_SAMPLE_SECONDS)
    process.wait()
    return highest / MEGABYTE


async def _run(*arguments: str) -> dict[str, Any]:
    url, county, pair, counties_dir, storage, mode = arguments
    database = Database(url, service="ingest")
    await database.open()
    bench = SyncBench(database, county, pair, counties_dir=type(REPOSITORY)(counties_dir), storage=storage)
    started = time.perf_counter()
    job = await bench.run(mode)
    seconds = time.perf_counter() - started
    await database.close()
    return {
        "mode": mode,
        "status": job["status"],
        "error": job["error"],
        "result": job["result"],
        "seconds": round(seconds, 1),
        "peak_mb": round(peak_mb(), 1),
    }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(_run(*sys.argv[1:])), default=str))
