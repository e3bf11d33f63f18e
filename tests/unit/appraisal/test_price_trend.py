"""A planted trend is found again, whatever the mix of what sold does."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from appraisal.errors import (
    LengthMismatchError,
    NotNumericError,
    TooFewSalesError,
    TrendNotIdentifiedError,
    ValueNotPositiveError,
)
from appraisal.price_trend import indicator_columns, month_number, price_trend, time_factor


def market(
    n: int, monthly_percent: float, *, seed: int, noise: float = 0.12
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Prices, months and controls; larger houses in dearer places sell more and more often as time goes."""
    generator = np.random.default_rng(seed)
    month = generator.integers(600, 636, n)
    dear = generator.random(n) < 0.2 + 0.6 * (month - 600) / 36
    log_area = np.log(1_800) + 0.25 * dear + generator.normal(0, 0.25, n)
    place = np.where(dear, "hill", np.where(generator.random(n) < 0.5, "flats", "river"))
    log_price = 5 + 0.9 * log_area + 0.4 * dear + (month - 600) * np.log1p(monthly_percent / 100)
    price = np.exp(log_price + generator.normal(0, noise, n))
    return price, month, np.column_stack([log_area, indicator_columns(place)])


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(st.floats(min_value=-2, max_value=2), st.integers(min_value=0, max_value=1_000))
def test_a_planted_trend_is_recovered_though_the_mix_changes(monthly_percent: float, seed: int) -> None:
    price, month, controls = market(2_000, monthly_percent, seed=seed)
    trend = price_trend(price, month, controls)
    assert trend.monthly_trend_percent == pytest.approx(monthly_percent, abs=0.15)
    low, high = trend.monthly_trend_percent_interval
    assert low < trend.monthly_trend_percent < high
    assert high - low < 0.2


def test_without_controls_the_change_of_mix_is_taken_for_a_trend() -> None:
    price, month, controls = market(3_000, 0.0, seed=3)
    assert price_trend(price, month).monthly_trend_percent > 0.5
    assert abs(price_trend(price, month, controls).monthly_trend_percent) < 0.1


def test_the_index_follows_the_trend_and_its_intervals_hold_it() -> None:
    price, month, controls = market(6_000, 1.0, seed=4)
    trend = price_trend(price, month, controls)
    assert trend.base_month == 600
    assert trend.months[0].index == 100.0
    assert [entry.month for entry in trend.months] == list(range(600, 636))
    held = 0
    for entry in trend.months[1:]:
        assert entry.index is not None
        assert entry.interval is not None
        truth = 100 * 1.01 ** (entry.month - 600)
        assert entry.index == pytest.approx(truth, rel=0.06)
        held += entry.interval[0] <= truth <= entry.interval[1]
    assert held >= 30  # of 35 at 95 %, all against the same base month


def test_the_trend_equals_ordinary_least_squares_in_one_piece() -> None:
    price, month, controls = market(200, 0.7, seed=5)
    design = np.column_stack([np.ones(200), month - 600, controls])
    coefficients, squares, _, _ = np.linalg.lstsq(design, np.log(price), rcond=None)
    trend = price_trend(price, month, controls, confidence=0.95)
    assert trend.monthly_trend_percent == pytest.approx(100 * np.expm1(coefficients[1]), rel=1e-9)
    error = np.sqrt(squares[0] / (200 - design.shape[1]) * np.linalg.inv(design.T @ design)[1, 1])
    low, high = np.log1p(np.array(trend.monthly_trend_percent_interval) / 100)
    assert (high - low) / 2 / error == pytest.approx(stats.t.ppf(0.975, 195), rel=1e-9)


def test_collinear_and_constant_controls_change_nothing() -> None:
    price, month, controls = market(500, 0.5, seed=6)
    redundant = np.column_stack([controls, controls[:, 0] * 2 + 1, np.full(500, 0.1), controls.sum(axis=1)])
    plain, crowded = price_trend(price, month, controls), price_trend(price, month, redundant)
    assert crowded.monthly_trend_percent == pytest.approx(plain.monthly_trend_percent, rel=1e-8)
    assert crowded.monthly_trend_percent_interval == pytest.approx(plain.monthly_trend_percent_interval)
    assert [entry.index for entry in crowded.months] == pytest.approx([entry.index for entry in plain.months])


@settings(max_examples=20, deadline=None)
@given(st.floats(min_value=0.01, max_value=100), st.integers(min_value=-500, max_value=500))
def test_units_of_price_and_where_months_start_do_not_matter(factor: float, shift: int) -> None:
    price, month, controls = market(120, 0.5, seed=7)
    before, after = price_trend(price, month, controls), price_trend(price * factor, month + shift, controls)
    assert after.monthly_trend_percent == pytest.approx(before.monthly_trend_percent, rel=1e-6)


def test_months_with_few_sales_are_counted_but_not_indexed() -> None:
    generator = np.random.default_rng(8)
    month = np.array([1] * 2 + [2] * 40 + [3] * 40 + [4] * 3)
    trend = price_trend(np.exp(generator.normal(12, 0.1, 85)), month)
    assert trend.base_month == 2
    assert [(entry.month, entry.sales, entry.index is None) for entry in trend.months] == [
        (1, 2, True),
        (2, 40, False),
        (3, 40, False),
        (4, 3, True),
    ]
    json.dumps(trend.to_json(), allow_nan=False)


def test_a_month_that_a_control_marks_has_no_index_but_the_others_have() -> None:
    price, month, _ = market(2_000, 0.5, seed=9)
    trend = price_trend(price, month, (month == 610).astype(float))
    by_month = {entry.month: entry for entry in trend.months}
    assert by_month[610].index is None
    assert by_month[611].index is not None


def test_refusals() -> None:
    price, month, controls = market(100, 0.5, seed=10)
    with pytest.raises(TooFewSalesError):
        price_trend(price[:29], month[:29])
    with pytest.raises(TooFewSalesError):
        price_trend(price, month, np.random.default_rng(0).normal(size=(100, 99)))
    with pytest.raises(TrendNotIdentifiedError):
        price_trend(price, np.full(100, 600))
    with pytest.raises(TrendNotIdentifiedError):
        price_trend(price, month, month * 2.0)
    with pytest.raises(LengthMismatchError):
        price_trend(price, month[:50], controls)
    with pytest.raises(NotNumericError):
        price_trend(price, month + 0.5)
    with pytest.raises(NotNumericError):
        price_trend(price, month, np.where(np.arange(100) == 3, np.nan, 1.0))
    with pytest.raises(ValueNotPositiveError):
        price_trend(-price, month)


def test_month_numbers_count_calendar_months() -> None:
    assert month_number(["1970-01-31", "1971-01-01", "2024-02-29"]).tolist() == [0, 12, 649]
    with pytest.raises(NotNumericError):
        month_number(["2024-01-01", "NaT"])


def test_time_factor_compounds_forward_and_back() -> None:
    assert time_factor(1.0, [0, 12, -1]).tolist() == pytest.approx([1, 1.01**12, 1 / 1.01])


def test_indicator_columns_leave_out_the_commonest_and_pool_the_rare() -> None:
    columns = indicator_columns(["b"] * 6 + ["a"] * 5 + ["c"] * 2 + ["d"] * 5)
    assert columns.shape == (18, 2)
    assert columns.sum(axis=0).tolist() == [5, 5]
    assert columns[:6].sum() == 0
    assert columns[6, 0] == 1
    assert columns[11:13].sum() == 0
