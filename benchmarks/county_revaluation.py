"""A whole county revalued as its office would do it: one job, from the record in PostgreSQL to the stored roll.

A made-up county of so many parcels with 16,861 sales lies in the record; the valuation service runs as a process of
its own, and one `valuation` job of everything is asked for on the bus. Prints one JSON document: seconds from the
worker's claim to the job's success (reading, training with its hold-out, valuing with interval, grid and itemised
contributions, storing) and the most memory that the service's processes had at once.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import psutil

from chassis import migrations
from chassis.database import asyncpg_url
from chassis.embedded.postgres import EmbeddedPostgres
from chassis.settings import REPOSITORY
from chassis.streams import apply_streams
from tests.support.jobs import COUNTY, Office
from tests.support.planted_market import planted_sales
from tests.support.planted_record import fill_record
from tests.support.servers import nats_server, server_folder

SALES, ROLL = 16_861, 500_000
GOALS = {"job_seconds": 300, "peak_memory_mb": 4096}
UNSOLD = """
INSERT INTO ingest.parcel (county, parcel_id, tax_year, supplement, pair, is_current, is_active, use_code, neighborhood,
    building_class, condition, living_area_sqft, land_area_sqft, bedrooms, bathrooms, stories, longitude, latitude,
    land_value_usd, improvement_value_usd, total_value_usd, year_built)
SELECT county, parcel_id || '-' || copy, tax_year, supplement, pair, is_current, is_active, use_code, neighborhood,
    building_class, condition, living_area_sqft * (1 + copy / 200.0), land_area_sqft, bedrooms, bathrooms, stories,
    longitude + 0.0001 * copy, latitude, land_value_usd, improvement_value_usd, total_value_usd, year_built
FROM ingest.parcel, generate_series(1, $1::int) AS copy
WHERE county = $2 AND is_active AND living_area_sqft IS NOT NULL
LIMIT $3
"""


async def measure(parcels: int) -> dict[str, Any]:
    """Fill the record, ask for the job, wait and watch."""
    with server_folder() as folder, nats_server() as bus, EmbeddedPostgres(folder / "postgres") as postgres:
        await asyncio.to_thread(migrations.upgrade, postgres.url)
        await apply_streams(bus.url)
        await _fill(postgres.url, parcels)
        async with Office.open(postgres.url, bus.url) as office:
            job_id = await office.submit("valuation", scope={"all": True})
            worker = _start_worker(postgres.url, bus.url, folder)
            try:
                phases, memory_mb = await _watch(office, job_id, worker)
            finally:
                worker.terminate()
                worker.wait()
            job = await office.job(job_id)
            size = await office.fetchval("SELECT pg_total_relation_size('valuation.parcel_value')")
    assert job["status"] == "succeeded", job["error"]
    seconds = (job["finished_at"] - job["started_at"]).total_seconds()
    found = {
        "parcels": parcels,
        "parcels_valued": job["result"]["parcels_valued"],
        "parcels_refused": job["result"]["parcels_refused"],
        "job_seconds": round(seconds),
        "seconds_until": phases,
        "stored_mb": round(size / 2**20),
        "peak_memory_mb": round(memory_mb),
    }
    met = {name: found[name] <= goal for name, goal in GOALS.items()} if parcels >= ROLL else None
    return {"name": "county_revaluation", **found, "goals_at_most_of_500000": GOALS, "met": met}


async def _fill(url: str, parcels: int) -> None:
    await fill_record(url, COUNTY, planted_sales(count=min(SALES, parcels)))
    connection = await asyncpg.connect(asyncpg_url(url))
    try:
        held = await connection.fetchval("SELECT count(*) FROM ingest.parcel WHERE county = $1 AND is_active", COUNTY)
        await connection.execute(UNSOLD, parcels // held + 1, COUNTY, max(parcels - held, 0))
        await connection.execute("VACUUM ANALYZE ingest.parcel")
    finally:
        await connection.close()


def _start_worker(database_url: str, nats_url: str, folder: Path) -> "subprocess.Popen[bytes]":
    environment = os.environ | {
        "TERRAFUSION_OPERATIONAL_DB_URL": database_url,
        "TERRAFUSION_NATS_URL": nats_url,
        "TERRAFUSION_STORAGE_URL": f"file://{folder}/storage",
        "TERRAFUSION_HTTP_PORT": "0",
        "TERRAFUSION_LOG_LEVEL": "WARNING",
    }
    return subprocess.Popen([sys.executable, "-m", "chassis.run", "valuation"], cwd=REPOSITORY, env=environment)


async def _watch(office: Office, job_id: UUID, worker: "subprocess.Popen[bytes]") -> tuple[dict[str, int], float]:
    """Seconds since the claim at which each phase was first seen, and the most memory in MB."""
    phases: dict[str, int] = {}
    most_mb, claimed = 0.0, 0.0
    while True:
        job = await office.job(job_id)
        if job["status"] in {"running", "succeeded", "failed"} and not claimed:
            claimed = time.monotonic()
        told = job["progress"] or {}
        seen = "valued" if told and told["done"] == told["total"] else told.get("message")
        if seen:
            phases.setdefault(seen, round(time.monotonic() - claimed))
        most_mb = max(most_mb, _family_mb(worker.pid))
        if job["status"] not in {"queued", "running"}:
            return phases, most_mb
        await asyncio.sleep(0.25)


def _family_mb(pid: int) -> float:
    total = 0.0
    for process in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True)):
        try:
            total += process.memory_info().rss / 2**20
        except psutil.NoSuchProcess:
            continue
    return total


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parcels", type=int, default=ROLL)
    print(json.dumps(asyncio.run(measure(parser.parse_args().parcels))))
