"""Every model: learns a known market, sees no sale after the valuation date, refuses too few sales."""

import os
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.valuation.domain.calibration import best_weights, learn_level, learn_precision
from services.valuation.domain.evaluation import evaluate
from services.valuation.domain.evidence import learnable_sales
from services.valuation.domain.models import MODELS, Estimates
from services.valuation.domain.properties import FloatArray, UseCodes
from services.valuation.domain.refusal import ValuationRefusedError
from services.valuation.domain.sales import Sales, TrainingSales, to_sales
from tests.support.planted_market import planted_sales
from tests.unit.valuation.conftest import VALUED_AT

pytestmark = pytest.mark.slow

EVERY = sorted(MODELS)


def test_registry_holds_the_models_that_can_be_asked_for() -> None:
    assert EVERY == ["blend", "boosting", "comparables", "hedonic", "kriging", "network", "reconciled"]


def test_no_sale_after_the_valuation_date_touches_a_value_of_any_model(frame: pl.DataFrame) -> None:
    at = date(2024, 6, 1)
    later = pl.col("sale_date") > at
    spoilt = frame.with_columns(
        sale_price_usd=pl.when(later).then(pl.col("sale_price_usd") * 50).otherwise("sale_price_usd")
    )
    assert spoilt.filter(later).height > 100
    subjects = to_sales(frame, UseCodes()).properties.take(np.arange(100))
    honest, tempted = (
        MODELS["blend"].fit(learnable_sales(to_sales(known, UseCodes()), at)[0])
        for known in (frame.filter(~later), spoilt)
    )
    assert {"blend", *honest.members} == set(MODELS)  # the blend is made of every other model
    for name, member in honest.members.items():
        np.testing.assert_array_equal(member.predict(subjects), tempted.members[name].predict(subjects))
    for told, again in zip(_told(honest.estimate(subjects)), _told(tempted.estimate(subjects)), strict=True):
        np.testing.assert_array_equal(told, again)


def _told(estimates: Estimates) -> list[FloatArray]:
    return [estimates.value_usd, estimates.low_usd, estimates.high_usd, estimates.confidence]


@pytest.mark.parametrize("name", EVERY)
def test_model_learns_the_planted_market(name: str, sold: Sales) -> None:
    accuracy = evaluate(sold, model=name, valuation_date=VALUED_AT)
    assert accuracy is not None
    assert accuracy.n >= 100
    assert accuracy.cod is not None
    assert accuracy.cod < 12  # the planted noise of 10 % alone gives 8
    assert 0.93 < accuracy.median_ratio < 1.04
    assert 75 < accuracy.interval_coverage <= 100  # 120 sales


@pytest.mark.parametrize("name", EVERY)
def test_intervals_hold_the_value_and_contributions_add_up_to_it(name: str, training: TrainingSales) -> None:
    estimates = MODELS[name].fit(training).estimate(training.properties.take(np.arange(80)))
    assert (estimates.low_usd < estimates.value_usd).all()
    assert (estimates.value_usd < estimates.high_usd).all()
    assert ((estimates.confidence >= 0) & (estimates.confidence <= 1)).all()
    total = np.sum(list(estimates.contributions.values()), axis=0)
    np.testing.assert_allclose(total, estimates.value_usd, atol=0.02)


_VALUE_IN_A_PROCESS_OF_ITS_OWN = """
import sys
from datetime import date
import numpy as np
from services.valuation.domain.evidence import learnable_sales
from services.valuation.domain.models import MODELS, Estimates
from services.valuation.domain.properties import FloatArray, UseCodes
from services.valuation.domain.sales import to_sales
from tests.support.planted_market import planted_sales
sales, _ = learnable_sales(to_sales(planted_sales(count=300), UseCodes()), date(2025, 1, 1))
estimates = MODELS["blend"].fit(sales).estimate(sales.properties)
columns = [estimates.value_usd, estimates.low_usd, estimates.high_usd, *estimates.contributions.values()]
sys.stdout.buffer.write(np.column_stack(columns).tobytes())
"""


def test_two_runs_on_the_same_sales_give_the_same_bytes() -> None:
    runs = [
        subprocess.run(
            [sys.executable, "-c", _VALUE_IN_A_PROCESS_OF_ITS_OWN],
            cwd=Path(__file__).parents[3],
            env={**os.environ, "PYTHONHASHSEED": seed, "OMP_NUM_THREADS": threads},
            capture_output=True,
            check=True,
        ).stdout
        for seed, threads in (("1", "1"), ("2", "2"))
    ]
    assert len(runs[0]) > 300 * 8 * 4
    assert runs[0] == runs[1]


@pytest.mark.parametrize("count", [0, 1, 29])
def test_too_few_sales_are_refused_with_counts(count: int, sold: Sales) -> None:
    with pytest.raises(ValuationRefusedError) as refusal:
        learnable_sales(sold.take(np.arange(count)), VALUED_AT)
    assert refusal.value.code == "too_few_sales"
    assert refusal.value.details == {
        "sales": count,
        "needed": 30,
        "parcels": count,
        "parcels_needed": 15,
        "sales_after_valuation_date": 0,
    }


@pytest.mark.parametrize("name", EVERY)
def test_thirty_sales_are_enough(name: str) -> None:
    few = to_sales(planted_sales(count=30), UseCodes())
    value = MODELS[name].fit(learnable_sales(few, VALUED_AT)[0]).predict(few.properties)
    assert np.isfinite(value).all()
    assert (value > 0).all()


@pytest.mark.parametrize("name", EVERY)
def test_unseen_places_and_unknown_characteristics_still_get_finite_values(
    name: str, frame: pl.DataFrame, training: TrainingSales
) -> None:
    strange = frame.head(4).with_columns(
        neighborhood=pl.Series(["nowhere", None, "N1", "N2"]),
        longitude=pl.Series([None, -100.0, None, -119.2]),
        building_class=pl.Series([None, "unheard of", "5", "5"]),
        bedrooms=pl.Series([None, 33.0, 3.0, 3.0]),
        land_area_sqft=pl.Series([None, 1e9, 1e4, 1e4]),
        living_area_sqft=pl.Series([2_000.0, 2_000.0, 2_000.0, 400_000.0]),
    )
    estimates = MODELS[name].fit(training).estimate(to_sales(strange, UseCodes()).properties)
    assert np.isfinite(estimates.value_usd).all()
    assert (estimates.value_usd > 0).all()
    assert (estimates.value_usd < 5 * training.price_usd.max()).all()
    assert estimates.confidence[3] < estimates.confidence[2]  # far larger than anything sold


@settings(max_examples=12, deadline=None)
@given(st.floats(-1.0, 1.5), st.integers(1, 10_000))
def test_planted_trend_carries_prices_to_the_valuation_date(monthly_percent: float, seed: int) -> None:
    sold = to_sales(planted_sales(monthly_percent=monthly_percent, seed=seed, mix_drift=0.3), UseCodes())
    sales, time = learnable_sales(sold, VALUED_AT)
    assert time.monthly_trend_percent == pytest.approx(monthly_percent, abs=0.25)
    months = (np.datetime64(VALUED_AT) - sales.sale_date).astype(float) / 30.4375
    planted = np.log1p(monthly_percent / 100) * months
    assert np.abs(sales.log_time_adjustment - planted).mean() < 0.05


@pytest.mark.parametrize("parcels", [1, 14])
def test_sales_of_few_parcels_say_nothing_of_a_market(parcels: int) -> None:
    with pytest.raises(ValuationRefusedError) as raised:
        learnable_sales(sold_over_and_over(parcels), VALUED_AT)
    assert (raised.value.code, raised.value.details["parcels"]) == ("too_few_sales", parcels)
    assert len(learnable_sales(sold_over_and_over(15), VALUED_AT)[0]) == 60


def sold_over_and_over(parcels: int) -> Sales:
    sales = planted_sales(count=60)
    return to_sales(sales.with_columns(parcel_id=pl.format("p{}", pl.int_range(pl.len()).mod(parcels))), UseCodes())


def test_sales_of_one_month_are_not_adjusted_and_the_reason_is_kept() -> None:
    sold = to_sales(planted_sales(count=60, days=20), UseCodes())
    sales, time = learnable_sales(sold, VALUED_AT)
    assert time.reason == "trend_not_identified"
    assert (sales.log_time_adjustment == 0).all()


def test_a_trend_is_carried_on_ever_more_slowly_and_not_beyond_three_years() -> None:
    sold = to_sales(planted_sales(monthly_percent=1.2, noise=0.05), UseCodes())
    _, time = learnable_sales(sold, VALUED_AT)
    sold_on = np.array(["2024-12-15"], dtype="datetime64[D]")
    later = [np.array(VALUED_AT + timedelta(days=days), dtype="datetime64[D]") for days in (180, 360, 540, 1500, 3000)]
    half_year, year, longer, far, farther = (float(time.log_adjustment(sold_on, at)[0]) for at in later)
    assert 0.02 < half_year < 0.09
    assert half_year > year - half_year > longer - year > 0
    assert far == farther


def test_a_flat_market_is_carried_on_flat() -> None:
    _, time = learnable_sales(to_sales(planted_sales(monthly_percent=0.0), UseCodes()), VALUED_AT)
    carried = time.log_adjustment(np.array(["2024-12-15"], "datetime64[D]"), np.array("2026-01-01", "datetime64[D]"))
    assert abs(carried[0]) < 0.03


def test_hold_out_is_the_newest_fifth_and_trained_on_older_sales_only(sold: Sales) -> None:
    accuracy = evaluate(sold, model="hedonic", valuation_date=VALUED_AT)
    assert accuracy is not None
    assert accuracy.n + accuracy.trained_on == len(sold)
    assert accuracy.n == (sold.sale_date >= np.datetime64(accuracy.test_from)).sum()
    assert accuracy.n == pytest.approx(len(sold) / 5, rel=0.05)


@given(st.lists(st.floats(0.02, 0.5), min_size=3, max_size=3), st.integers(0, 1_000))
def test_blend_weights_add_up_to_one_exactly_enough(noise: list[float], seed: int) -> None:
    draw = np.random.default_rng(seed)
    price = np.exp(draw.normal(12, 0.5, 80))
    weights = best_weights(price[:, None] * np.exp(draw.normal(0, noise, (80, 3))), price)
    assert weights.sum() == pytest.approx(1.0, abs=1e-12)  # rounded weights once moved every value by 2.6 %
    assert (weights >= 0).all()


def test_level_correction_moves_the_median_ratio_towards_one() -> None:
    draw = np.random.default_rng(3)
    price = np.exp(draw.normal(12, 0.5, 2_000))
    value = 0.9 * price * np.exp(draw.normal(0, 0.1, 2_000))
    corrected = learn_level(value, price).apply(value)
    assert np.median(corrected / price) == pytest.approx(1.0, abs=0.015)


def test_intervals_cover_nine_in_ten_and_are_wider_where_it_is_harder() -> None:
    draw = np.random.default_rng(4)
    difficulty = np.column_stack([np.ones(4_000), draw.uniform(0, 1, 4_000)])
    price = np.exp(draw.normal(12, 0.5, 4_000))
    value = price * np.exp(draw.normal(0, 0.05 + 0.2 * difficulty[:, 1]))
    precision = learn_precision(value[:2_000], price[:2_000], difficulty[:2_000])
    scale = precision.scale(difficulty[2_000:])
    low, high = precision.interval(value[2_000:], scale)
    covered = (low <= price[2_000:]) & (price[2_000:] <= high)
    assert covered.mean() == pytest.approx(0.9, abs=0.025)
    hard = difficulty[2_000:, 1] > 0.8
    width = np.log(high / low)
    assert width[hard].mean() > 1.5 * width[~hard].mean()
    confidence = precision.confidence(scale)
    near = np.abs(value[2_000:] / price[2_000:] - 1) < 0.1
    assert confidence.mean() == pytest.approx(near.mean(), abs=0.03)
