"""How near the models come to what the sales' noise allows, on the synthetic county's own price process.

    python -m benchmarks.noise_floor [--parcels 200000] [--models blend hedonic ...] [--without-attributes]

Fitted on the county's qualified sales of homes (51,331 of 200,000 parcels), they value homes that never sold, whose
true value the county's maker knows. Beside the error against that value stands the error against prices with a
sale's noise, and the floor: what the true values themselves are off those prices. Garages and fireplaces, which move
the planted price, are attributes of the record, chosen and read as a run does; `--without-attributes` keeps them back.
"""

import argparse
import json
import resource
import time
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from services.ingest.synthetic.prices import MONTHLY_TREND_PERCENT, PRICE_NOISE_SD
from services.valuation.domain.evidence import learnable_sales
from services.valuation.domain.hedonic import LOCATION
from services.valuation.domain.models import MODELS, FittedModel
from services.valuation.domain.properties import FloatArray
from tests.support.planted_county import NOTED, VALUED_AT, PlantedCounty, planted_county

GOALS: dict[str, tuple[float, float]] = {
    "interval_coverage": (88, 93),
    "blend_above_floor_percent": (0, 10),
    "trend_off_percentage_points": (0, 0.1),
    "neighborhood_correlation": (0.95, 1),
}


def measure(county: PlantedCounty, names: list[str]) -> dict[str, Any]:
    """Fit each model, value the unsold homes, and hold both against the truth."""
    started = time.process_time()
    sales, adjustment = learnable_sales(county.sold, VALUED_AT)
    carrying = time.process_time() - started
    models: dict[str, dict[str, float]] = {}
    for name in names:
        started = time.process_time()
        fitted = MODELS[name].fit(sales)
        spent = round(time.process_time() - started + carrying, 1)
        models[name] = {**judge(fitted, county), "train_cpu_seconds": spent, "peak_memory_mb": _peak_mb()}
    trend = adjustment.monthly_trend_percent or 0.0
    found = {
        "interval_coverage": [told["interval_coverage"] for told in models.values()],
        "blend_above_floor_percent": [told["above_floor_percent"] for name, told in models.items() if name == "blend"],
        "trend_off_percentage_points": [round(abs(trend - MONTHLY_TREND_PERCENT), 3)],
        "neighborhood_correlation": [round(recovered(fitted, county), 3)],
    }
    return {
        "name": "noise_floor",
        "sales": len(sales),
        "valued": len(county.unsold),
        "noise_sd": PRICE_NOISE_SD,
        "floor_mdape": round(mdape(county.true_usd, county.price_usd), 2),
        "models": models,
        "monthly_trend_percent": round(trend, 3),
        **found,
        "goals": GOALS,
        "met": {name: all(low <= told <= high for told in found[name]) for name, (low, high) in GOALS.items()},
    }


def judge(fitted: FittedModel, county: PlantedCounty) -> dict[str, float]:
    """Percent: the error against true values and against prices, how far above the floor, and the coverage."""
    estimates = fitted.estimate(county.unsold)
    error = mdape(estimates.value_usd, county.price_usd)
    inside = (estimates.low_usd <= county.price_usd) & (county.price_usd <= estimates.high_usd)
    return {
        "mdape_of_true_value": round(mdape(estimates.value_usd, county.true_usd), 2),
        "mdape_of_price": round(error, 2),
        "above_floor_percent": round(100 * (error / mdape(county.true_usd, county.price_usd) - 1), 1),
        "interval_coverage": round(100 * float(inside.mean()), 1),
    }


def mdape(value_usd: FloatArray, truth_usd: FloatArray) -> float:
    """The median absolute error, percent."""
    return 100 * float(np.median(np.abs(value_usd / truth_usd - 1)))


def recovered(fitted: FittedModel, county: PlantedCounty) -> float:
    """How the levels that the regression gives the neighbourhoods correlate with those planted."""
    level = fitted.comparables.groundwork.hedonic.contributions(county.unsold)[LOCATION]
    names, groups = np.unique(county.unsold.neighborhood.astype(str), return_inverse=True)
    mean = np.bincount(groups, level) / np.bincount(groups)
    return float(np.corrcoef(mean, [county.neighborhood_effects[name] for name in names])[0, 1])


def _peak_mb() -> int:
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def main() -> None:
    """Print one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parcels", type=int, default=200_000)
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=list(MODELS))
    parser.add_argument("--without-attributes", action="store_true")
    asked = parser.parse_args()
    with threadpool_limits(1):
        county = planted_county(parcels=asked.parcels, attributes=() if asked.without_attributes else NOTED)
        print(json.dumps(measure(county, asked.models)))


if __name__ == "__main__":
    main()
