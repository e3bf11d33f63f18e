"""Seconds and memory of valuing a county with the production models, beside the goals of a revaluation.

A made-up market of 16,861 sales trains the set; so many parcels are valued batch by batch as a run does it, with
interval, grid of comparables and itemised contributions, in one thread and in two. Then one property at a time, warm.
What a run reads and stores is not in it. Prints one JSON document.
"""

import argparse
import json
import resource
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from services.valuation.domain.mass import CountyModel, fit_county, value_parcels
from services.valuation.domain.properties import KINDS, Properties, UseCodes, properties
from services.valuation.domain.sales import to_sales
from tests.support.planted_market import planted_sales

SALES, BATCH, ROLL = 16_861, 2_000, 500_000
GOALS = {"training_cpu_seconds": 60, "roll_seconds": 300, "one_property_p95_ms": 50, "peak_memory_mb": 4096}


def measure(parcels: int) -> dict[str, Any]:
    """Fit, value in batches, value one at a time."""
    started = time.process_time()
    sold = to_sales(planted_sales(count=SALES), UseCodes())
    model = fit_county(sold, kinds=KINDS, model="blend", comparables=5, valuation_date=date(2025, 1, 1))
    training = time.process_time() - started
    roll = properties(planted_sales(count=parcels, seed=2), use_codes=UseCodes())
    value_parcels(model, _batches(roll)[0])  # tables that are made once
    one, two = (_rate(model, roll, threads) for threads in (1, 2))
    found = {
        "training_cpu_seconds": round(training, 1),
        "parcels": parcels,
        "parcels_per_second": round(one),
        "parcels_per_second_in_two_threads": round(two),
        "roll_seconds": round(ROLL / one),
        "one_property_p95_ms": round(_one_at_a_time(model, roll), 1),
        "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }
    return {"name": "revaluation", **found, "goals_at_most": GOALS,
            "met": {name: found[name] <= goal for name, goal in GOALS.items()}}  # fmt: skip


def _batches(roll: Properties) -> list[Properties]:
    return [roll.take(np.arange(start, min(start + BATCH, len(roll)))) for start in range(0, len(roll), BATCH)]


def _rate(model: CountyModel, roll: Properties, threads: int) -> float:
    """Parcels a second."""
    value: Callable[[Properties], Any] = lambda batch: value_parcels(model, batch)  # noqa: E731
    started = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        valued = sum(len(done.values) for done in pool.map(value, _batches(roll)))
    assert valued > 0.99 * len(roll)
    return len(roll) / (time.perf_counter() - started)


def _one_at_a_time(model: CountyModel, roll: Properties) -> float:
    """The 95th percentile of milliseconds."""
    spent = []
    for row in range(100):
        started = time.perf_counter()
        value_parcels(model, roll.take(np.array([row])))
        spent.append(1_000 * (time.perf_counter() - started))
    return statistics.quantiles(spent, n=20)[-1]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parcels", type=int, default=20_000)
    with threadpool_limits(1):
        print(json.dumps(measure(parser.parse_args().parcels)))
