"""Rows a second of a full synchronisation, against COPY into a staging table and an upsert of the same rows.

Both start from empty tables, on the same server in the same run; the limit reads nothing, judges nothing, builds no
canonical record and publishes nothing. Prints one JSON document.
"""

import asyncio
import io
import json
import os
import sys
import time
from typing import Any

from chassis import migrations
from chassis.database import Database
from services.ingest.synthetic.county import synthesize
from tests.support import servers
from tests.support.sync_jobs import SyncBench

GOAL = 0.35
COUNTY, PAIR = "synthetic_wa", "synthetic_wa_pacs"
LIMIT_TABLE = """
CREATE TABLE public.limit_row (
  county text, pair text, source_table text, key text, digest text NOT NULL, image jsonb NOT NULL,
  PRIMARY KEY (county, pair, source_table, key))
"""
LIMIT_UPSERT = """
INSERT INTO public.limit_row SELECT * FROM limit_stage ON CONFLICT (county, pair, source_table, key)
DO UPDATE SET digest = excluded.digest, image = excluded.image WHERE limit_row.digest IS DISTINCT FROM excluded.digest
"""


async def measure(parcels: int) -> dict[str, Any]:
    """Synchronise a synthetic county once, then copy and upsert what was landed."""
    with (
        servers.postgres_server() as server,
        servers.database(server) as (_, url),
        servers.database(server) as (_, source),
    ):
        migrations.upgrade(url)
        await asyncio.to_thread(synthesize, source, county=COUNTY, parcels=parcels, seed=1)
        os.environ[f"TERRAFUSION_SOURCE_{PAIR.upper()}_URL"] = source
        database = Database(url, service="ingest")
        await database.open()
        try:
            bench = SyncBench(database, COUNTY, PAIR)
            started = time.perf_counter()
            job = await bench.run("full")
            seconds = time.perf_counter() - started
            assert job["status"] == "succeeded", job["error"]
            started = time.perf_counter()
            again = await bench.run("incremental")
            again_seconds = time.perf_counter() - started
            limit = await measure_limit(bench)
        finally:
            await database.close()
    rows = job["result"]["rows_read"]
    rate = rows / seconds
    return {
        "name": "full_sync",
        "rows": rows,
        "rows_per_second": round(rate),
        "limit_rows_per_second": round(limit),
        "ratio": round(rate / limit, 3),
        "goal": GOAL,
        "unchanged_rows_per_second": round(again["result"]["rows_read"] / again_seconds),
    }


async def measure_limit(bench: SyncBench) -> float:
    """Rows a second of COPY to a staging table and one upsert."""
    connection = await bench.superuser()
    try:
        buffer = io.BytesIO()
        await connection.copy_from_query(
            "SELECT county, pair, source_table, key, digest, image FROM ingest.source_row", output=buffer, format="csv"
        )
        await connection.execute(LIMIT_TABLE)
        buffer.seek(0)
        started = time.perf_counter()
        async with connection.transaction():
            await connection.execute("CREATE TEMP TABLE limit_stage (LIKE public.limit_row) ON COMMIT DROP")
            await connection.copy_to_table("limit_stage", source=buffer, format="csv")
            status: str = await connection.execute(LIMIT_UPSERT)
        return int(status.rsplit(" ", 1)[1]) / (time.perf_counter() - started)
    finally:
        await connection.close()


if __name__ == "__main__":
    print(json.dumps(asyncio.run(measure(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000))))
