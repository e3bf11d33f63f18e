"""Real sales, by a fixed protocol: fitted before 2015-03-01, tested from then on, nothing trimmed."""

from datetime import date
from pathlib import Path

import polars as pl
import pytest
import yaml

from services.valuation.domain.backtest import backtest
from services.valuation.domain.evaluation import evaluate
from services.valuation.domain.sale_file import read_sales
from services.valuation.domain.sales import Sales
from tests.support.shared_data import shared_data

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]
SPLIT = date(2015, 3, 1)

FIELDS = Path(__file__).parents[3] / "benchmarks" / "accuracy" / "king_county_wa.yaml"


@pytest.fixture(scope="module")
def king_county() -> Sales:
    table = pl.read_csv(shared_data("king_county_wa/sales.csv"), infer_schema=False)
    fields = yaml.safe_load(FIELDS.read_text(encoding="utf-8"))
    read = read_sales(table, fields, ignore=fields.pop("ignore"))
    assert len(read.sales) == 21_613
    assert read.left_out == {}
    return read.sales


def test_the_production_models_reach_their_measured_accuracy(king_county: Sales) -> None:
    measured = backtest(king_county, SPLIT)
    assert (measured.train, measured.test) == (16_861, 4_752)
    blend, uncalibrated = measured.models["blend"], measured.models["blend_uncalibrated"]
    assert uncalibrated.cod is not None
    assert uncalibrated.cod < 11.4
    assert uncalibrated.mdape < 7.6
    assert blend.mdape < 7.8
    assert blend.prd is not None
    assert 0.98 < blend.prd < 1.022
    assert blend.prb is not None
    assert abs(blend.prb) < 0.03
    assert blend.vei is not None
    assert abs(blend.vei) < 5
    assert blend.mki is not None
    assert 0.945 < blend.mki < 1.05
    assert blend.interval_coverage is not None
    assert 88 <= blend.interval_coverage <= 93
    largest_cod = {"comparables": 12.3, "reconciled": 11.5, "kriging": 11.9, "boosting": 11.4, "hedonic": 13.7}
    for name, largest in largest_cod.items():
        assert (measured.models[name].cod or 100) < largest
    best_baseline = measured.models["boosting_default"]
    assert blend.mdape < 0.85 * best_baseline.mdape
    assert (best_baseline.cod or 0) > uncalibrated.cod + 1


def test_the_hold_out_of_a_run_tells_the_same_as_the_backtest(king_county: Sales) -> None:
    accuracy = evaluate(king_county, model="hedonic", valuation_date=date(2015, 5, 31), test_from=SPLIT)
    assert accuracy is not None
    assert (accuracy.trained_on, accuracy.n) == (16_861, 4_752)
    assert accuracy.cod is not None
    assert accuracy.cod < 13.7
    assert accuracy.interval_coverage > 84
