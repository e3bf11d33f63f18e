"""Rows compared a second where nothing changed: by digests of ranges at a database, and by reading a file again.

The database is a synthetic county, followed as its mapping says. The file is written anew each time with its rows in
another order, so that all of it is read, judged and compared row by row. Medians of the rounds; a round is the whole
run, from its start to its success. Prints one JSON document.
"""

import argparse
import asyncio
import csv
import json
import os
import statistics
import time
from pathlib import Path
from typing import Any

from benchmarks.sync_world import logging_server, succeed, world
from chassis import migrations
from tests.support import servers
from tests.support.pair_benches import pair_bench
from tests.support.small_source import COUNTY, small_pair, write_county
from tests.support.sync_jobs import SyncBench

GOAL_ROWS_PER_SECOND = 100_000
COLUMNS = {
    "lot_id": "integer", "number": "text", "amount": "decimal", "note": "text", "use_cd": "text", "hood_cd": "text",
    "land_val": "decimal", "imprv_val": "decimal", "size_acres": "decimal", "year_built": "integer",
}  # fmt: skip
FILE_PAIR = small_pair(
    {"name": "lot", "file": "lots.csv", "key": ["lot_id"], "columns": COLUMNS, "links": {"parcel_id": "lot_id"}},
    reader="hash_diff",
) | {"connector": "files", "source_schema": "files"}


async def by_digests(parcels: int, rounds: int) -> dict[str, Any]:
    """A county that was loaded, looked through again."""
    async with world(parcels) as made, made.bench() as bench:
        await succeed(bench, "incremental")
        return await _again(bench, rounds)


async def by_reading(rows: int, rounds: int) -> dict[str, Any]:
    """A file that was loaded, read again with its rows in another order every time."""
    with servers.server_folder() as folder, logging_server() as server, servers.database(server) as (_, url):
        migrations.upgrade(url)
        counties = write_county(folder / "counties", FILE_PAIR)
        _write(folder, rows, turn=0)
        async with pair_bench(
            url, county=COUNTY, pair=FILE_PAIR["pair"], source_url=str(folder), folder=folder, counties_dir=counties
        ) as bench:
            await succeed(bench, "incremental")
            return await _again(bench, rounds, before=lambda turn: _write(folder, rows, turn=turn))


async def _again(bench: SyncBench, rounds: int, before: Any = None) -> dict[str, Any]:
    rates, compared = [], 0
    for turn in range(1, rounds + 2):
        if before is not None:
            before(turn)
        started = time.perf_counter()
        result = await succeed(bench, "incremental")
        seconds = time.perf_counter() - started
        assert result["changes"] == 0
        compared = result["rows_read"]
        if turn > 1:  # the first round warms up
            rates.append(compared / seconds)
    return {"rows_compared": compared, "rows_per_second": round(statistics.median(rates))}


def _write(folder: Path, rows: int, *, turn: int) -> None:
    """The same rows, beginning at another place."""
    with (folder / "lots.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for place in range(rows):
            n = (place + turn) % rows
            writer.writerow((n, f"L-{n}", n % 900_000, f"LOT {n % 97} BLK {n % 13}", "SFR", f"H{n % 60}",
                             n % 300_000, n % 600_000, n % 1000 / 100, 1900 + n % 125))  # fmt: skip


async def measure(parcels: int, file_rows: int, rounds: int) -> dict[str, Any]:
    """Both."""
    os.environ.setdefault("TERRAFUSION_SECRET_KEY", "only-for-measuring-" * 2)
    found = {"digests": await by_digests(parcels, rounds), "file": await by_reading(file_rows, rounds)}
    met = {name: one["rows_per_second"] >= GOAL_ROWS_PER_SECOND for name, one in found.items()}
    return {"name": "unchanged_sync", **found, "goal_rows_per_second": GOAL_ROWS_PER_SECOND, "met": met}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parcels", type=int, default=20_000)
    parser.add_argument("--file-rows", type=int, default=400_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    print(json.dumps(asyncio.run(measure(options.parcels, options.file_rows, options.rounds))))
