"""A cycle over 300 tables in which nothing changed: its seconds, and how often the source is asked.

Every statement that the source's server logs of the cycle counts, but for those that open, set and end transactions;
of these the ones that ask tables' rows are the query round. Medians of the cycles. Prints one JSON document.
"""

import argparse
import asyncio
import json
import os
import re
import statistics
import time
from typing import Any

from benchmarks.sync_world import logging_server, succeed
from chassis import migrations
from tests.support import servers
from tests.support.small_source import small_pair, small_source

GOAL_SECONDS = 0.5
TABLES = 300


def table_ddl(number: int, rows: int) -> str:
    """A table of a few columns and rows, without a marker."""
    return (
        f"CREATE TABLE dbo.idle_{number} (id integer PRIMARY KEY, number varchar(50), amount numeric(14,2),"
        f" note varchar(200)); INSERT INTO dbo.idle_{number} SELECT n, 'N' || n, n, md5(n::text)"
        f" FROM generate_series(1, {rows}) n;"
    )


def mapping(number: int) -> dict[str, Any]:
    """How that table is followed."""
    columns = {"id": "integer", "number": "text", "amount": "decimal", "note": "text"}
    links = {"links": {"parcel_id": "id"}} if not number else {}
    return {"name": f"idle_{number}", "key": ["id"], "columns": columns, "reader": "hash_diff", **links}


async def measure(rows: int, cycles: int) -> dict[str, Any]:
    """Load all tables, then look at them again and again."""
    os.environ.setdefault("TERRAFUSION_SECRET_KEY", "only-for-measuring-" * 2)
    ddl = "".join(table_ddl(number, rows) for number in range(TABLES))
    pair = small_pair(*(mapping(number) for number in range(TABLES)))
    with (
        servers.server_folder() as folder,
        logging_server() as source,
        logging_server() as operational,
        servers.database(operational) as (_, url),
    ):
        migrations.upgrade(url)
        async with small_source(source, url, folder, ddl=ddl, pair=pair) as small:
            database = small.url.rsplit("/", 1)[1]
            await succeed(small.bench, "incremental")
            await succeed(small.bench, "incremental")  # warms up
            seconds = []
            for _ in range(cycles):
                source.log.start()
                started = time.perf_counter()
                result = await succeed(small.bench, "incremental")
                seconds.append(time.perf_counter() - started)
            asked = source.log.statements(database)
    median = statistics.median(seconds)
    rounds = sum(bool(re.search(r'FROM "?dbo"?\.', sql)) for sql in asked)
    return {
        "name": "idle_tables",
        "tables": TABLES,
        "rows_compared": result["rows_read"],
        "query_rounds_over_tables": rounds,
        "statements_at_the_source": len(asked),
        "seconds": round(median, 3),
        "goal_seconds_at_most": GOAL_SECONDS,
        "met": median <= GOAL_SECONDS and rounds == 1,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100, help="rows of each table")
    parser.add_argument("--cycles", type=int, default=10)
    options = parser.parse_args()
    print(json.dumps(asyncio.run(measure(options.rows, options.cycles))))
