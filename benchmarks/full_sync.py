"""Rows a second of a first synchronisation, against COPY into a staging table and an upsert of the same rows.

Both begin with empty tables on the same server and alternate; medians of the rounds. The limit reads nothing, judges
nothing, builds no record, tells nothing. Ratios of rows a second to the limit's:

* `ratio`: the whole run (read, map, judge, land, record, outbox, ledger) by the clock;
* `postgres_ratio`: the statements that write, by the durations that the operational server logs of them: COPY to the
  stage, landing, COPY and saving of the record, outbox, commits; the limit's are its COPY, upsert and commit;
* `postgres_all_ratio`: every statement of the run, so also reading rows back for the record, statistics, counting;
* `processor_ratio`: processor seconds of all of the operational server, the steadiest on a machine that is not quiet;
* `ratio_with_complete_certificate`: mode `full`, which reads the source once more to certify every row.

Prints one JSON document.
"""

import argparse
import asyncio
import io
import json
import statistics
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

from benchmarks.sync_world import World, database_name, succeed, world
from tests.support.sync_jobs import SyncBench

GOAL = {"ratio": 0.35, "postgres_ratio": 0.6}
LIMIT_TABLE = """\
CREATE TABLE public.limit_row (
  county text, pair text, source_table text, key text, digest text NOT NULL, image text NOT NULL,
  PRIMARY KEY (county, pair, source_table, key));
"""
LIMIT_UPSERT = """\
INSERT INTO public.limit_row SELECT * FROM limit_stage ON CONFLICT (county, pair, source_table, key)
DO UPDATE SET digest = excluded.digest, image = excluded.image WHERE limit_row.digest IS DISTINCT FROM excluded.digest
"""


WRITING = {
    "copy_to_stage": ('COPY "incoming"', 'COPY "limit_stage"'),
    "land": ("INSERT INTO ingest.source_row", "INSERT INTO public.limit_row"),
    "record_copy": ('COPY "stage_',),
    "record_save": tuple(f"INSERT INTO ingest.{name}" for name in ("parcel", "owner", "sale", "neighborhood")),
    "outbox": ("INSERT INTO chassis.outbox",),
    "commit": ("COMMIT",),
}
OTHER = {
    "record_read": ("COPY (SELECT",),
    "statistics": ("ANALYZE", "SELECT ingest.analyze"),
    "truncate": ("TRUNCATE",),
}


@dataclass(frozen=True, slots=True)
class Spent:
    """Seconds of one measurement."""

    rows: int
    seconds: float
    processor_seconds: float
    statements: Counter[str]

    @property
    def postgres_seconds(self) -> float:
        """Of every statement."""
        return sum(self.statements.values())

    @property
    def writing_seconds(self) -> float:
        """Of those that write what was read."""
        found = self.parts()
        return sum(found.get(part, 0) for part in WRITING)

    def parts(self) -> dict[str, float]:
        """The statements' seconds by what they are for."""
        found: Counter[str] = Counter()
        for sql, seconds in self.statements.items():
            named = (part for part, starts in (WRITING | OTHER).items() if sql.startswith(starts))
            found[next(named, "other")] += seconds
        return {part: round(seconds, 3) for part, seconds in found.most_common()}


async def measure(parcels: int, rounds: int) -> dict[str, Any]:
    """Synchronise a synthetic county and copy and upsert what was landed, in turn."""
    found: dict[str, list[Spent]] = {"load": [], "limit": [], "certified": []}
    async with world(parcels) as made:
        for number in range(rounds + 1):
            if not number:  # the first round warms up
                async with made.bench() as bench:
                    await _synchronize(made, bench, "incremental")
                continue
            async with made.bench() as bench:
                found["load"].append(await _synchronize(made, bench, "incremental"))
                found["limit"].append(await _limit(made, bench))
            async with made.bench() as bench:
                found["certified"].append(await _synchronize(made, bench, "full"))
    return summary(**found)


def summary(load: list[Spent], limit: list[Spent], certified: list[Spent]) -> dict[str, Any]:
    """Medians over the rounds, and how a run's time at the server divides."""
    ours, least = _per_row(load), _per_row(limit)
    ratios = {name: round(least[name] / ours[name], 3) for name in ours}
    met = ratios["seconds"] >= GOAL["ratio"] and ratios["writing_seconds"] >= GOAL["postgres_ratio"]
    return {
        "name": "full_sync",
        "rows": load[-1].rows,
        "rows_per_second": round(1 / ours["seconds"]),
        "limit_rows_per_second": round(1 / least["seconds"]),
        "ratio": ratios["seconds"],
        "postgres_ratio": ratios["writing_seconds"],
        "postgres_all_ratio": ratios["postgres_seconds"],
        "processor_ratio": ratios["processor_seconds"],
        "ratio_with_complete_certificate": round(least["seconds"] / _per_row(certified)["seconds"], 3),
        "goal": GOAL,
        "met": met,
        "postgres_seconds_by_part": load[-1].parts(),
    }


def _per_row(measured: list[Spent]) -> dict[str, float]:
    names = ("seconds", "writing_seconds", "postgres_seconds", "processor_seconds")
    return {name: statistics.median(getattr(spent, name) / spent.rows for spent in measured) for name in names}


async def _synchronize(made: World, bench: SyncBench, mode: str) -> Spent:
    server = made.operational
    server.log.start()
    before, started = server.processor_seconds(), time.perf_counter()
    result = await succeed(bench, mode)
    seconds = time.perf_counter() - started
    spent = server.log.seconds(database_name(bench))
    processor = server.processor_seconds() - before
    return Spent(result["rows_read"], seconds, processor, spent)


async def _limit(made: World, bench: SyncBench) -> Spent:
    """COPY to a staging table and one upsert of what the run landed."""
    server, connection = made.operational, await bench.superuser()
    try:
        buffer = io.BytesIO()
        await connection.copy_from_query(
            "SELECT county, pair, source_table, key, digest, image FROM ingest.source_row", output=buffer, format="csv"
        )
        await connection.execute(LIMIT_TABLE)
        buffer.seek(0)
        server.log.start()
        before, started = server.processor_seconds(), time.perf_counter()
        async with connection.transaction():
            await connection.execute("CREATE TEMP TABLE limit_stage (LIKE public.limit_row) ON COMMIT DROP")
            await connection.copy_to_table("limit_stage", source=buffer, format="csv")
            status: str = await connection.execute(LIMIT_UPSERT)
        seconds = time.perf_counter() - started
        spent = server.log.seconds(database_name(bench))
        processor = server.processor_seconds() - before
        return Spent(int(status.rsplit(" ", 1)[1]), seconds, processor, spent)
    finally:
        await connection.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parcels", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    print(json.dumps(asyncio.run(measure(options.parcels, options.rounds))))
