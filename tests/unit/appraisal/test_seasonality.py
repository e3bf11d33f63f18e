"""A planted season is found, and none is claimed where prices only wander."""

import numpy as np
import pytest
from scipy import stats

from appraisal.errors import TooFewSalesError
from appraisal.price_index import price_index
from appraisal.seasonality import Seasonality, seasonality
from tests.support.simulated_market import FIRST_MONTH, MONTHS, simulated_market

EVERY = np.arange(FIRST_MONTH, FIRST_MONTH + MONTHS)


def seasons(path: str, *, seed: int, sales: int = 3_000) -> Seasonality:
    market = simulated_market(path, sales=sales, seed=seed)
    return seasonality(price_index(market.price, market.month, market.controls).levels, enough=EVERY)


def test_a_planted_season_is_found_with_its_size_and_month() -> None:
    found = seasons("season", seed=1, sales=8_000)
    assert found.p_value < 0.001
    planted = 3 * np.sin(2 * np.pi * np.arange(12) / 12)
    for effect, truth in zip(found.effects, planted, strict=True):
        assert effect.effect_percent == pytest.approx(truth, abs=1.5)
        assert effect.interval[0] < effect.effect_percent < effect.interval[1]
    assert sum(np.log1p(effect.effect_percent / 100) for effect in found.effects) == pytest.approx(0, abs=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("path", ["line", "turn", "walk", "break"])
def test_no_season_is_claimed_more_often_than_the_test_says(path: str) -> None:
    false_alarms = sum(seasons(path, seed=seed).p_value < 0.05 for seed in range(60))
    assert false_alarms <= 8  # 3 expected at most; more than 8 has a chance below one in a hundred


def test_the_p_value_is_that_of_fishers_distribution() -> None:
    found = seasons("season", seed=2, sales=500)
    assert found.p_value == pytest.approx(stats.f.sf(found.f_statistic, 11, MONTHS - 1 - 12), rel=1e-9)


def test_a_calendar_month_known_once_is_refused() -> None:
    market = simulated_market("line", sales=2_000, seed=3)
    rows = market.month < FIRST_MONTH + 23
    levels = price_index(market.price[rows], market.month[rows], market.controls[rows]).levels
    with pytest.raises(TooFewSalesError):
        seasonality(levels, enough=EVERY)
