"""Seconds and memory of revaluing a county with the production models, beside the goals of a revaluation.

A made-up market of 16,861 sales trains the set, with the hold-out that a run's model card needs; so many parcels are
valued as a run does it, with interval, grid of comparables and itemised contributions, by one process and by two, and
stored in a real PostgreSQL as the run's last unit of work stores them. Then one property at a time, warm. Reading the
record is not in it. Prints one JSON document; `roll_seconds` is that of 500,000 parcels at the measured rates.
"""

import argparse
import asyncio
import json
import statistics
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from datetime import date
from typing import Any, BinaryIO

import numpy as np
import psutil
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from chassis import migrations
from chassis.database import Database
from chassis.embedded.postgres import EmbeddedPostgres
from chassis.jobs import RunningJob
from contracts.api.valuation import ValuationParameters
from contracts.subjects import JobKind
from services.valuation import queries, valuing
from services.valuation.domain.mass import CountyModel, fit_county, value_parcels
from services.valuation.domain.properties import KINDS, Properties, UseCodes, properties
from services.valuation.domain.runs import RunRules
from services.valuation.domain.sales import to_sales
from services.valuation.run_plan import RunPlan
from tests.support.planted_market import planted_sales
from tests.support.servers import server_folder

SALES, ROLL, COUNTY = 16_861, 500_000, "benton"
DRAWN = 20_000  # parcels that are made up; a larger roll has each several times
GOALS = {"training_cpu_seconds": 60, "roll_seconds": 300, "one_property_p95_ms": 50, "peak_memory_mb": 4096}


async def measure(parcels: int) -> dict[str, Any]:
    """Fit, value by one process and by two, store, value one at a time."""
    sold = to_sales(planted_sales(count=SALES), UseCodes())
    started, began = time.process_time(), time.perf_counter()
    model = fit_county(sold, kinds=KINDS, model="blend", comparables=5, valuation_date=date(2025, 1, 1))
    training, fitting = time.process_time() - started, time.perf_counter() - began
    roll = _roll(parcels)
    with tempfile.TemporaryFile() as values:
        one = await _rate(model, roll.take(np.arange(min(len(roll), DRAWN))), 1, values)
        values.seek(0)
        values.truncate()
        with _peak_memory_mb() as memory:
            two = await _rate(model, roll, 2, values)
        stored = await _store(values, len(roll))
    found = {
        "training_cpu_seconds": round(training, 1),
        "training_seconds": round(fitting, 1),
        "parcels": len(roll),
        "parcels_per_second": round(one),
        "parcels_per_second_by_two_processes": round(two),
        "parcels_stored_per_second": round(stored),
        "roll_seconds": round(ROLL / two + ROLL / stored),
        "one_property_p95_ms": round(_one_at_a_time(model, roll), 1),
        "peak_memory_mb": round(memory[0]),
    }
    return {"name": "revaluation", **found, "goals_at_most": GOALS,
            "met": {name: found[name] <= goal for name, goal in GOALS.items()}}  # fmt: skip


def _roll(parcels: int) -> Properties:
    drawn = properties(planted_sales(count=min(parcels, DRAWN), seed=2), use_codes=UseCodes())
    roll = drawn.take(np.arange(parcels) % len(drawn))
    roll.parcel_id[:] = [f"r{row:07d}" for row in range(parcels)]
    return roll


async def _rate(model: CountyModel, roll: Properties, processes: int, values: BinaryIO) -> float:
    """Parcels a second, valued and encoded; starting the processes is part of it."""
    parameters = ValuationParameters.model_validate({"scope": {"all": True}})
    plan = RunPlan(RunRules(parameters.factors, parameters.caps, parameters.review), "roll", {}, [])
    nothing: Any = None
    job = RunningJob(nothing, uuid.uuid4(), COUNTY, JobKind.VALUATION, 1, "benchmark", None)
    started, valued = time.perf_counter(), 0
    batches = valuing.batches_of(roll, plan)
    async with aclosing(valuing.valued_batches(job, model, batches, processes=processes)) as found:
        async for batch in found:
            values.write(batch.lines.lines)
            valued += batch.lines.valued
    assert valued > 0.99 * len(roll)
    return len(roll) / (time.perf_counter() - started)


async def _store(values: BinaryIO, parcels: int) -> float:
    """Parcels a second."""
    values.seek(0)
    with server_folder() as folder, EmbeddedPostgres(folder / "postgres") as postgres:
        await asyncio.to_thread(migrations.upgrade, postgres.url)
        database = Database(postgres.url, service="valuation")
        await database.open()
        started = time.perf_counter()
        async with database.begin(COUNTY) as unit:
            await queries.save_values(unit.connection, COUNTY, uuid.uuid4(), values)
        rate = parcels / (time.perf_counter() - started)
        await database.close()
    return rate


@contextmanager
def _peak_memory_mb() -> Iterator[list[float]]:
    """The most memory that this process and its children had at once."""
    most, ended = [0.0], threading.Event()

    def look() -> None:
        while not ended.wait(0.2):
            family = [psutil.Process(), *psutil.Process().children(recursive=True)]
            most[0] = max(most[0], sum(_resident_mb(process) for process in family))

    watching = threading.Thread(target=look)
    watching.start()
    try:
        yield most
    finally:
        ended.set()
        watching.join()


def _resident_mb(process: psutil.Process) -> float:
    try:
        return float(process.memory_info().rss) / 2**20
    except psutil.NoSuchProcess:
        return 0.0


def _one_at_a_time(model: CountyModel, roll: Properties) -> float:
    """The 95th percentile of milliseconds."""
    spent = []
    for row in range(200):
        started = time.perf_counter()
        value_parcels(model, roll.take(np.array([row])))
        spent.append(1_000 * (time.perf_counter() - started))
    return statistics.quantiles(spent, n=20)[-1]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parcels", type=int, default=40_000)
    with threadpool_limits(1):
        print(json.dumps(asyncio.run(measure(parser.parse_args().parcels))))
