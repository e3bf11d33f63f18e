"""Chasing is found where it was planted, and not where values are merely good or merely bad."""

import numpy as np
import pytest

from appraisal.errors import ValueNotPositiveError
from appraisal.sales_chasing import ChasingTest, cdf_gap, concentration, sold_unsold_change, split_sample

SALES = 2_000
SEEDS = range(8)


def honest(seed: int, spread: float = 0.12, count: int = SALES) -> np.ndarray:
    return np.exp(np.random.default_rng(seed).standard_t(5, count) * spread)


def chased(seed: int, share: float, spread: float, at: np.ndarray | None = None) -> np.ndarray:
    random = np.random.default_rng(seed + 1_000)
    ratio = honest(seed)
    moved = random.random(SALES) < share
    moved &= np.ones(SALES, dtype=bool) if at is None else at
    return np.where(moved, np.exp(random.normal(0, spread, SALES)), ratio)


def suspicious(tests: list[ChasingTest]) -> int:
    return sum(bool(test.is_suspicious) for test in tests)


@pytest.mark.parametrize("spread", [0.05, 0.12, 0.3])
def test_honest_ratios_are_not_suspected(spread: float) -> None:
    ratios = [honest(seed, spread) for seed in SEEDS]
    assert suspicious([concentration(ratio) for ratio in ratios]) == 0
    assert suspicious([cdf_gap(ratio) for ratio in ratios]) == 0
    days = np.arange(SALES) - SALES / 2
    assert suspicious([split_sample(ratio, days) for ratio in ratios]) == 0


def test_values_set_near_their_prices_are_found_by_their_concentration() -> None:
    tests = [concentration(chased(seed, 0.25, 0.006)) for seed in SEEDS]
    assert suspicious(tests) == len(SEEDS)
    for test in tests:
        assert test.figures["excess_share"] == pytest.approx(0.22, abs=0.06)


def test_values_set_to_their_prices_are_a_jump() -> None:
    tests = [cdf_gap(chased(seed, 0.08, 0.0003)) for seed in SEEDS]
    assert suspicious(tests) == len(SEEDS)
    assert all(test.figures["at_ratio"] == pytest.approx(1, abs=0.003) for test in tests)


def test_chasing_is_found_at_another_level_of_assessment() -> None:
    ratio = 0.7 * chased(3, 0.25, 0.004)
    assert concentration(ratio, level=0.7).is_suspicious
    assert not concentration(ratio, level=1.0).is_suspicious


def test_sales_before_the_roll_that_fit_better_than_later_ones_are_found() -> None:
    days = np.arange(SALES) - SALES / 2
    tests = [split_sample(chased(seed, 0.5, 0.01, at=days <= 0), days) for seed in SEEDS]
    assert suspicious(tests) == len(SEEDS)
    drift = np.exp(np.where(days > 0, 0.08, 0.0))  # a market that rose after the roll is no chasing
    assert suspicious([split_sample(honest(seed) / drift, days) for seed in SEEDS]) == 0


def test_sold_properties_whose_values_moved_otherwise_are_found() -> None:
    random = np.random.default_rng(7)
    unsold, sold = np.exp(random.normal(0.03, 0.05, 5_000)), np.exp(random.normal(0.03, 0.05, 400))
    assert sold_unsold_change(sold, unsold).is_suspicious is False
    found = sold_unsold_change(sold * 1.06, unsold)
    assert found.is_suspicious
    assert found.figures["difference"] == pytest.approx(0.06, abs=0.01)


def test_a_stratum_that_rose_and_sold_more_is_no_chasing() -> None:
    random = np.random.default_rng(8)
    unsold_place, sold_place = np.repeat(["A", "B"], [4_000, 500]), np.repeat(["A", "B"], [60, 300])
    rise = {"A": 0.0, "B": 0.2}
    unsold = np.exp([rise[p] + random.normal(0, 0.04) for p in unsold_place])
    sold = np.exp([rise[p] + random.normal(0, 0.04) for p in sold_place])
    assert sold_unsold_change(sold, unsold).is_suspicious
    within = sold_unsold_change(sold, unsold, sold_stratum=sold_place, unsold_stratum=unsold_place)
    assert within.is_suspicious is False


def test_too_few_say_so() -> None:
    few = honest(1, count=29)
    told = [concentration(few), cdf_gap(few), split_sample(few, np.arange(29) - 14), sold_unsold_change(few, few)]
    assert [test.is_suspicious for test in told] == [None] * 4
    assert {test.reason for test in told} == {"too_few_sales", "too_few_properties"}


def test_what_is_no_ratio_is_refused() -> None:
    with pytest.raises(ValueNotPositiveError):
        concentration([1.0, float("inf")])
