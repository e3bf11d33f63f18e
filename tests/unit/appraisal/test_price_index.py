"""The smooth index is nearer to what was planted than the months by themselves, and its intervals hold it."""

import numpy as np
import pytest

from appraisal.errors import ArgumentOutOfRangeError, TooFewSalesError, ValueNotPositiveError
from appraisal.price_index import PriceIndex, price_index
from tests.support.simulated_market import FIRST_MONTH, PATHS, SimulatedMarket, simulated_market


def index_of(market: SimulatedMarket, **settings: float) -> PriceIndex:
    return price_index(market.price, market.month, market.controls, **settings)


def misses(market: SimulatedMarket, index: PriceIndex) -> tuple[float, float, int, int]:
    """Squared misses of the smooth and the unsmoothed index, intervals that hold the truth, and how many there are."""
    smooth = alone = 0.0
    held = counted = 0
    for month, raw in zip(index.months, index.unsmoothed, strict=True):
        if month.interval is None or month.index is None or raw.index is None:
            continue
        truth = market.planted_index(month.month, index.base_month)
        smooth += np.log(month.index / truth) ** 2
        alone += np.log(raw.index / truth) ** 2
        held += month.interval[0] <= truth <= month.interval[1]
        counted += 1
    return smooth, alone, held, counted


@pytest.mark.slow
@pytest.mark.parametrize("sales", [300, 3_000])
@pytest.mark.parametrize("path", list(PATHS))
def test_intervals_cover_as_declared_and_smoothing_helps(path: str, sales: int) -> None:
    found = []
    for seed in range(30):
        market = simulated_market(path, sales=sales, seed=seed)
        found.append(misses(market, index_of(market)))
    smooth, alone, held, counted = (float(column.sum()) for column in np.array(found).T)
    assert smooth < alone
    assert held / counted > 0.91  # declared 95 %; the months of a market share their base month's error
    assert counted > 600


@pytest.mark.slow
def test_intervals_of_half_confidence_are_not_wide_for_safety() -> None:
    held = counted = 0.0
    for seed in range(40):
        market = simulated_market("walk", sales=1_500, seed=seed)
        found = misses(market, index_of(market, confidence=0.5))
        held, counted = held + found[2], counted + found[3]
    assert 0.38 < held / counted < 0.68


def test_many_sales_keep_each_month_and_few_follow_their_neighbours() -> None:
    many = simulated_market("break", sales=40_000, seed=1, noise=0.05)
    index = index_of(many)
    for month, alone in zip(index.months, index.unsmoothed, strict=True):
        assert month.index == pytest.approx(alone.index, rel=0.004)
    few = simulated_market("line", sales=400, seed=1)
    smooth, alone_miss, held, counted = misses(few, index_of(few))
    assert smooth < alone_miss / 3
    assert held > 0.8 * counted


def test_the_base_month_is_100_and_thin_months_are_silent() -> None:
    market = simulated_market("turn", sales=900, seed=3)
    rows = (market.month != FIRST_MONTH + 10) | (np.cumsum(market.month == FIRST_MONTH + 10) <= 4)
    thinned = SimulatedMarket(market.price[rows], market.month[rows], market.controls[rows], market.log_level)
    index = index_of(thinned)
    by_month = {month.month: month for month in index.months}
    assert (by_month[FIRST_MONTH].index, by_month[FIRST_MONTH].interval) == (100.0, None)
    silent = by_month[FIRST_MONTH + 10]
    assert (silent.sales, silent.index, silent.interval) == (4, None, None)
    assert by_month[FIRST_MONTH + 11].index is not None


def test_two_months_are_compared_without_smoothing() -> None:
    generator = np.random.default_rng(4)
    month = np.repeat([600, 601], 40)
    index = price_index(np.exp(12 + 0.02 * (month - 600) + generator.normal(0, 0.01, 80)), month)
    assert index.months == index.unsmoothed
    assert index.months[1].index == pytest.approx(102, abs=1)


def test_prices_without_noise_are_found_exactly() -> None:
    month = np.repeat(np.arange(600, 606), 10)
    index = price_index(np.exp(12 + 0.01 * (month - 600)), month)
    assert index.months[-1].index == pytest.approx(100 * np.exp(0.05))


def test_refusals() -> None:
    market = simulated_market("line", sales=100, seed=5)
    with pytest.raises(TooFewSalesError):
        price_index(market.price[:29], market.month[:29])
    with pytest.raises(TooFewSalesError):
        price_index(market.price[:36], np.arange(36))
    with pytest.raises(TooFewSalesError):
        price_index(market.price, market.month, np.eye(100))
    with pytest.raises(ValueNotPositiveError):
        price_index(np.where(np.arange(100) == 7, np.inf, market.price), market.month)
    with pytest.raises(ArgumentOutOfRangeError):
        price_index(market.price, market.month, confidence=1.0)
