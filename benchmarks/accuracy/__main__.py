"""`python -m benchmarks.accuracy [king_county] [walk_forward] [lebanon]`: figures beside the goals.

A configuration that was scored before is not scored again: its figures are printed from the log.
"""

import sys
from collections.abc import Callable
from datetime import date
from typing import Any

from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from benchmarks.accuracy import data
from benchmarks.accuracy.scorings import enter, scored
from benchmarks.accuracy.walk_forward import walk_forward
from services.valuation.domain.backtest import backtest

KING_COUNTY_SPLIT, LEBANON_SPLIT = date(2015, 3, 1), date(2023, 1, 1)
Goals = tuple[tuple[str, str, float, float], ...]  # model, figure, least, most
KING_COUNTY_GOALS: Goals = (
    ("blend_uncalibrated", "cod", 0, 11.0),
    ("blend_uncalibrated", "mdape", 0, 7.5),
    ("blend_uncalibrated", "r2", 0.925, 1),
    ("blend", "prd", 0.98, 1.02),
    ("blend", "prb", -0.03, 0.03),
    ("blend", "vei", -5, 5),
    ("blend", "mki", 0.95, 1.05),
    ("blend", "cod", 0, 11.3),
    ("blend", "mdape", 0, 7.8),
    ("blend", "interval_coverage", 88, 93),
    ("blend", "train_seconds", 0, 60),
    ("blend", "peak_memory_mb", 0, 1024),
    ("comparables", "cod", 0, 12.2),
    ("reconciled", "cod", 0, 11.5),
)
WALK_FORWARD_GOALS: Goals = (
    ("blend_uncalibrated", "mdape", 0, 7.2),
    ("blend_uncalibrated", "median_ratio", 0.99, 1.01),
)


def king_county() -> dict[str, Any]:
    """The chronological protocol on King County."""
    told: dict[str, Any] = backtest(data.king_county(), KING_COUNTY_SPLIT).to_json()["models"]
    return told


def walk() -> dict[str, Any]:
    """King County week by week."""
    return walk_forward(data.king_county(), KING_COUNTY_SPLIT)


def lebanon() -> dict[str, Any]:
    """The chronological protocol on Lebanon."""
    told: dict[str, Any] = backtest(data.lebanon(), LEBANON_SPLIT).to_json()["models"]
    return told


TESTS: dict[str, tuple[Callable[[], dict[str, Any]], Goals]] = {
    "king_county": (king_county, KING_COUNTY_GOALS),
    "walk_forward": (walk, WALK_FORWARD_GOALS),
    "lebanon": (lebanon, ()),
}


def main(names: list[str]) -> None:
    """Score what is asked, by default everything."""
    for name in names or TESTS:
        score, goals = TESTS[name]
        models = scored(name)
        if models is None:
            with threadpool_limits(limits=1):
                models = score()
            enter(name, models)
        _print(name, models, goals)


def _print(name: str, models: dict[str, Any], goals: Goals) -> None:
    print(f"\n{name}")
    for model, figures in models.items():
        print(f"  {model:20}", "  ".join(f"{figure} {value:.4g}" for figure, value in figures.items()))
    for model, figure, least, most in goals:
        value = models[model][figure]
        verdict = "met" if least <= value <= most else "MISSED"
        print(f"  goal {model} {figure} {least} to {most}: {value:.4g} {verdict}")
    if name == "lebanon":
        share = models["blend"]["mdape"] / models["boosting_default"]["mdape"]
        print(
            f"  goal blend mdape at most 0.9 of boosting_default's: {share:.3f} {'met' if share <= 0.9 else 'MISSED'}"
        )


if __name__ == "__main__":
    main(sys.argv[1:])
