"""Seconds from a commit at the source to its envelope at a plain NATS subscriber, while a schedule polls.

A worker and a relay with the settings of an installation follow a table of so many rows, polled every few seconds;
rows are changed one at a time, at random moments. What is bounded is the 95th percentile: the interval and a second.
Prints one JSON document.
"""

import argparse
import asyncio
import json
import statistics
import time
from random import Random
from typing import Any

import psycopg
from nats.aio.msg import Msg

from benchmarks.sync_memory import COLUMNS, TABLE
from chassis import migrations
from chassis.bus import connect
from tests.support import servers
from tests.support.ingest_platform import IngestPlatform, ingest_platform
from tests.support.small_source import COUNTY, NO_BRAKE, small_pair, small_source
from tests.support.waiting import eventually

SECOND = 1.0
#: what tests shorten, as an installation has it
INSTALLED = {
    "TERRAFUSION_SWEEP_INTERVAL": "PT1S",
    "TERRAFUSION_SWEEP_AGE": "PT2S",
    "TERRAFUSION_SCHEDULE_INTERVAL": "PT0.5S",
    "TERRAFUSION_SCHEDULE_FILE_INTERVAL": "PT15S",
}


async def measure(rows: int, changes: int, interval_seconds: int) -> dict[str, Any]:
    """Follow, change, listen."""
    pair = small_pair(
        {"name": "lot", "key": ["lot_id"], "columns": COLUMNS, "links": {"parcel_id": "lot_id"}, "reader": "hash_diff"},
        following=NO_BRAKE | {"poll_every_seconds": interval_seconds},
    )
    with (
        servers.server_folder() as folder,
        servers.postgres_server() as server,
        servers.database(server) as (_, twin_url),
    ):
        migrations.upgrade(twin_url)
        ddl = TABLE.format(rows=rows)
        async with small_source(server, twin_url, folder, ddl=ddl, pair=pair) as small:  # noqa: SIM117 the platform reads its files
            async with ingest_platform(COUNTY, small.folder) as platform:
                seconds = await _listen(platform, small.url, rows=rows, changes=changes)
    percentile = statistics.quantiles(seconds, n=20)[-1]
    return {
        "name": "commit_to_nats",
        "rows": rows,
        "changes": len(seconds),
        "poll_interval_seconds": interval_seconds,
        "p50_seconds": round(statistics.median(seconds), 3),
        "p95_seconds": round(percentile, 3),
        "most_seconds": round(max(seconds), 3),
        "goal_p95_seconds_at_most": interval_seconds + SECOND,
        "met": percentile <= interval_seconds + SECOND,
    }


async def _listen(platform: IngestPlatform, source_url: str, *, rows: int, changes: int) -> list[float]:
    platform.more = INSTALLED
    platform.kill_relay()
    platform.start_relay()
    platform.start_worker()
    query = "SELECT FROM ingest.sync_operation"
    await eventually(_holds(platform, query), "the first load is applied", wait_seconds=600, pause_seconds=0.5)
    client = await connect(platform.nats.url, name="benchmark")
    committed: dict[str, float] = {}
    heard: dict[str, float] = {}

    async def take(message: Msg) -> None:
        after = json.loads(message.data)["after"]
        heard.setdefault(after["number"], time.perf_counter())

    await client.subscribe("cdc.>", cb=take)
    await asyncio.to_thread(_change, source_url, committed, rows=rows, changes=changes)

    async def is_heard() -> bool:
        return committed.keys() <= heard.keys()

    await eventually(is_heard, "every change is heard", wait_seconds=60, pause_seconds=0.1)
    await client.close()
    return [heard[mark] - at for mark, at in committed.items()]


def _holds(platform: IngestPlatform, query: str) -> Any:
    async def look() -> bool:
        return bool(await asyncio.to_thread(platform.rows, query))

    return look


def _change(url: str, committed: dict[str, float], *, rows: int, changes: int) -> None:
    """One row at a time, each with a mark of its own; the pauses make the moments of the poll random."""
    random = Random(0)
    with psycopg.connect(url, autocommit=True) as connection:
        for number in range(changes):
            time.sleep(random.uniform(0.1, 1.5))
            mark = f"change {number}"
            connection.execute("UPDATE dbo.lot SET number = %s WHERE lot_id = %s", (mark, random.randrange(rows) + 1))
            committed[mark] = time.perf_counter()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--changes", type=int, default=60)
    parser.add_argument("--interval-seconds", type=int, default=5)
    options = parser.parse_args()
    print(json.dumps(asyncio.run(measure(options.rows, options.changes, options.interval_seconds))))
