"""Pairs of sales find the planted market, whatever was sold, and flips do not pass for one that rises."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appraisal.errors import ArgumentOutOfRangeError, LengthMismatchError, TooFewSalesError, ValueNotPositiveError
from appraisal.repeat_sales import RepeatSalesIndex, repeat_sales_index

MONTHS = 24
Pairs = tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def pairs(
    count: int = 1_500, *, seed: int = 1, monthly: float = 0.006, jump: float = 0.0, wandering: float = 0.0
) -> Pairs:
    """Two prices of each house; `wandering` is how far a house strays from the market a month."""
    generator = np.random.default_rng(seed)
    first = generator.integers(0, MONTHS - 1, count)
    second = first + 1 + generator.integers(0, MONTHS - 1 - first)
    price = np.exp(generator.normal(12.5, 0.5, count))
    noise = generator.normal(0, 0.08, count) + generator.normal(0, wandering, count) * np.sqrt(second - first)
    return (price, price * np.exp(monthly * (second - first) + jump + noise)), (first + 600, second + 600)


def truth(month: int, found: RepeatSalesIndex, monthly: float = 0.006) -> float:
    return 100 * float(np.exp(monthly * (month - found.base_month)))


@settings(max_examples=15, deadline=None)
@given(st.floats(-0.01, 0.015), st.floats(-0.1, 0.4), st.integers(0, 1_000))
def test_planted_trend_and_jump_are_found(monthly: float, jump: float, seed: int) -> None:
    found = repeat_sales_index(*pairs(seed=seed, monthly=monthly, jump=jump))
    assert found.monthly_trend_percent == pytest.approx(100 * np.expm1(monthly), abs=0.25)
    assert found.jump_percent == pytest.approx(100 * np.expm1(jump), abs=4)
    last = found.months[-1]
    assert last.index == pytest.approx(truth(last.month, found, monthly), rel=0.06)


def test_without_the_constant_flips_pass_for_a_rising_market() -> None:
    given_pairs = pairs(monthly=0.0, jump=0.3, seed=2)
    assert repeat_sales_index(*given_pairs, with_jump=False).months[-1].index > 125
    assert repeat_sales_index(*given_pairs).months[-1].index == pytest.approx(100, abs=5)


def test_equal_weights_are_ordinary_least_squares() -> None:
    prices, months = pairs(400, seed=3)
    months = (months[0], months[0] + 3)  # every pair as far apart: nothing to weigh by
    found = repeat_sales_index(prices, months, with_jump=False)
    names = np.unique(np.concatenate(months))
    design = (months[1][:, None] == names[1:]).astype(float) - (months[0][:, None] == names[1:])
    levels = np.linalg.lstsq(design, np.log(prices[1] / prices[0]), rcond=None)[0]
    by_month = {month.month: month.index for month in found.unsmoothed if month.index is not None}
    connected = {int(name): 100 * float(np.exp(level)) for name, level in zip(names[1:], levels, strict=True)}
    told = [name for name in by_month if name != found.base_month]
    assert len(told) >= 5
    assert all((name - found.base_month) % 3 == 0 for name in told), "only months that pairs tie to the base are told"
    assert [by_month[name] for name in told] == pytest.approx([connected[name] for name in told], rel=1e-6)


@pytest.mark.slow
def test_intervals_cover_as_declared_where_far_pairs_wander() -> None:
    held = raw_held = counted = trends = 0
    for seed in range(60):
        found = repeat_sales_index(*pairs(500, seed=seed, jump=0.1, wandering=0.03))
        for month, alone in zip(found.months, found.unsmoothed, strict=True):
            if month.interval is None or alone.interval is None:
                continue
            planted = truth(month.month, found)
            held += month.interval[0] <= planted <= month.interval[1]
            raw_held += alone.interval[0] <= planted <= alone.interval[1]
            counted += 1
        low, high = found.monthly_trend_percent_interval or (np.nan, np.nan)
        trends += low <= 100 * np.expm1(0.006) <= high
    assert held / counted > 0.91
    assert raw_held / counted == pytest.approx(0.95, abs=0.04)
    assert trends >= 52  # of 60 at 95 %


@pytest.mark.slow
def test_weights_by_the_months_between_make_the_index_more_exact() -> None:
    """Against equal weights, by the spread of the last level over many markets."""
    weighted, equal = [], []
    for seed in range(60):
        prices, months = pairs(400, seed=seed, wandering=0.06)
        found = repeat_sales_index(prices, months, with_jump=False)
        names = np.arange(601, 600 + MONTHS)
        design = (months[1][:, None] == names).astype(float) - (months[0][:, None] == names)
        levels = np.linalg.lstsq(design, np.log(prices[1] / prices[0]), rcond=None)[0]
        weighted.append(np.log(found.unsmoothed[5].index / 100))
        equal.append(levels[4])
    assert np.std(weighted) < np.std(equal)


def test_months_with_few_pairs_are_silent() -> None:
    prices, months = pairs(200, seed=4)
    found = repeat_sales_index(prices, months)
    for month in found.months:
        assert (month.index is None) == (month.sales < 5)


def test_refusals() -> None:
    (first, second), (early, late) = pairs(100, seed=5)
    with pytest.raises(TooFewSalesError):
        repeat_sales_index((first[:29], second[:29]), (early[:29], late[:29]))
    with pytest.raises(TooFewSalesError):
        repeat_sales_index((first[:40], second[:40]), (np.arange(40), np.arange(40) + 100))
    with pytest.raises(ArgumentOutOfRangeError):
        repeat_sales_index((first, second), (early, early))
    with pytest.raises(ArgumentOutOfRangeError):
        repeat_sales_index((first, second), (early + 0.5, late + 0.5))
    with pytest.raises(LengthMismatchError):
        repeat_sales_index((first, second[:50]), (early, late))
    with pytest.raises(ValueNotPositiveError):
        repeat_sales_index((first, second * 0), (early, late))


def test_pairs_that_all_gain_the_same_leave_nothing_to_doubt() -> None:
    prices, months = pairs(200, seed=6)
    found = repeat_sales_index((prices[0], prices[0] * 1.0), months)
    assert all(month.index == pytest.approx(100) for month in found.months if month.index is not None)
    assert found.monthly_trend_percent == pytest.approx(0, abs=1e-9)
