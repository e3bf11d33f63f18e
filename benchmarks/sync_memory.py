"""Resident memory of the ingest process at its highest: a table loaded, all of its rows changed at once, verified.

Each run is a process of its own; its memory is what the kernel noted of it at most, and samples from outside
beside it. The table has twelve columns and every row of it becomes a parcel. The goal is for five million rows
(`--rows 5000000`, which takes long); fewer show that it does not grow with them. Prints one JSON document.
"""

import argparse
import asyncio
import json
from typing import Any

from benchmarks.sync_process import run_sampled
from chassis import migrations
from tests.support import servers
from tests.support.small_source import NO_BRAKE, small_pair, small_source

GOAL_MB = 512
TABLE = """
CREATE TABLE dbo.lot (
  lot_id integer PRIMARY KEY, number varchar(50), amount numeric(14,2), note varchar(200), use_cd char(5),
  hood_cd varchar(10), land_val numeric(14,2), imprv_val numeric(14,2), size_acres numeric(14,4), year_built integer,
  is_exempt boolean, changed_at timestamp(3));
INSERT INTO dbo.lot
  SELECT n, 'L-' || n, n % 900000, 'LOT ' || n % 97 || ' BLK ' || n % 13 || ' ' || md5(n::text), 'SFR', 'H' || n % 60,
    n % 300000, n % 600000, n % 1000 / 100.0, 1900 + n % 125, n % 50 = 0, timestamp '2026-01-01' + n * interval '1 s'
  FROM generate_series(1, {rows}) AS n ORDER BY n;
"""
COLUMNS = {
    "lot_id": "integer",
    "number": "text",
    "amount": "decimal",
    "note": "text",
    "use_cd": "text",
    "hood_cd": "text",
    "land_val": "decimal",
    "imprv_val": "decimal",
    "size_acres": "decimal",
    "year_built": "integer",
    "is_exempt": "boolean",
    "changed_at": "timestamp",
}
CHANGE = "UPDATE dbo.lot SET amount = amount + 1, note = 'LOT ' || md5(note)"
PAIR = small_pair(
    {"name": "lot", "key": ["lot_id"], "columns": COLUMNS, "links": {"parcel_id": "lot_id"}, "reader": "hash_diff"},
    following=NO_BRAKE,
)


async def measure(rows: int) -> dict[str, Any]:
    """Load, change all, verify."""
    with (
        servers.server_folder() as folder,
        servers.postgres_server() as server,
        servers.database(server) as (_, url),
    ):
        migrations.upgrade(url)
        async with small_source(server, url, folder, ddl=TABLE.format(rows=rows), pair=PAIR) as small:
            runs = {"first_load": run_sampled(small.bench, "full")}
            small.execute(CHANGE)
            runs["mass_update"] = run_sampled(small.bench, "incremental")
            runs["unchanged"] = run_sampled(small.bench, "incremental")
            runs["verify"] = run_sampled(small.bench, "verify")
    assert all(runs[name]["result"]["changes"] == rows for name in ("first_load", "mass_update"))
    peak_mb = max(run["peak_mb"] for run in runs.values())
    shown = ("peak_mb", "sampled_mb", "seconds")
    return {
        "name": "sync_memory",
        "rows": rows,
        "peak_mb": peak_mb,
        "goal_mb_at_most": GOAL_MB,
        "met": peak_mb <= GOAL_MB,
        "runs": {name: {key: run[key] for key in shown} for name, run in runs.items()},
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    print(json.dumps(asyncio.run(measure(parser.parse_args().rows))))
