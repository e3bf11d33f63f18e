"""Properties that hold of any ratio study, and what is refused."""

import json
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appraisal.errors import (
    AppraisalError,
    ArgumentOutOfRangeError,
    LengthMismatchError,
    NotNumericError,
    TooFewSalesError,
    ValueNotPositiveError,
)
from appraisal.ratio_study import STATISTICS, RatioStudy, ratio_study, study_by_group

usd = st.integers(min_value=10_000, max_value=5_000_000)
ratios = st.floats(min_value=0.2, max_value=3.0)
sales = st.lists(st.tuples(usd, ratios), min_size=3, max_size=80, unique_by=lambda sale: sale[0])


def columns(drawn: list[tuple[int, float]]) -> tuple[np.ndarray, np.ndarray]:
    price = np.array([price for price, _ in drawn], dtype=float)
    return price * np.array([ratio for _, ratio in drawn]), price


def few(estimate: np.ndarray, price: np.ndarray) -> RatioStudy:
    return ratio_study(estimate, price, resamples=20)


def assert_alike(one: RatioStudy, other: RatioStudy) -> None:
    """Equal but for the last digits, which the order of a summation changes."""
    for field in fields(RatioStudy):
        this, that = getattr(one, field.name), getattr(other, field.name)
        assert (this is None) == (that is None), field.name
        assert this is None or this == pytest.approx(that, rel=1e-6, abs=1e-6), field.name


def market(n: int, *, seed: int = 5, noise: float = 0.15, slope: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Sales whose estimates err by a known noise and change by `slope` as the price doubles."""
    generator = np.random.default_rng(seed)
    price = np.exp(generator.normal(12.8, 0.5, n))
    ratio = 1 + slope * np.log2(price / np.exp(12.8)) + generator.normal(0, noise, n)
    return price * ratio, price


@pytest.mark.slow
@given(sales, st.floats(min_value=0.05, max_value=20))
def test_uniformity_does_not_depend_on_the_level(drawn: list[tuple[int, float]], factor: float) -> None:
    estimate, price = columns(drawn)
    before, after = few(estimate, price), few(estimate * factor, price)
    for name in ("cod", "prd", "prb", "mki"):
        assert getattr(after, name) == pytest.approx(getattr(before, name), rel=1e-7, abs=1e-7)
    for name in ("median", "mean", "weighted_mean"):
        assert getattr(after, name) == pytest.approx(factor * getattr(before, name), rel=1e-9)


@pytest.mark.slow
@given(sales, st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_matter(drawn: list[tuple[int, float]], random: object) -> None:
    before = few(*columns(drawn))
    random.shuffle(drawn)  # type: ignore[attr-defined]
    after = few(*columns(drawn))
    assert_alike(after, before)


@given(sales)
def test_statistics_are_ordered_as_they_must_be(drawn: list[tuple[int, float]]) -> None:
    estimate, price = columns(drawn)
    ratio, study = estimate / price, few(estimate, price)
    assert study.median is not None
    assert study.mean is not None
    assert study.weighted_mean is not None
    assert study.cod is not None
    assert study.cod >= 0
    assert study.prd == pytest.approx(study.mean / study.weighted_mean)
    for level in (study.median, study.mean, study.weighted_mean):
        assert ratio.min() * (1 - 1e-12) <= level <= ratio.max() * (1 + 1e-12)
    for name in ("median", "mean", "weighted_mean", "prb"):
        value, interval = getattr(study, name), getattr(study, f"{name}_interval")
        assert interval is None or interval[0] <= value <= interval[1]


@given(sales)
def test_json_holds_every_key_and_no_nan(drawn: list[tuple[int, float]]) -> None:
    found = json.loads(json.dumps(few(*columns(drawn)).to_json(), allow_nan=False))
    assert set(found) == {"n", *STATISTICS, *(f"{name}_interval" for name in STATISTICS)}


@pytest.mark.slow
@given(sales, st.integers(min_value=2, max_value=6))
def test_a_study_of_every_sale_repeated_keeps_its_point_statistics(drawn: list[tuple[int, float]], times: int) -> None:
    estimate, price = columns(drawn)
    once, repeated = few(estimate, price), few(np.tile(estimate, times), np.tile(price, times))
    for name in ("median", "mean", "weighted_mean", "cod", "prd", "prb", "mki"):
        assert getattr(repeated, name) == pytest.approx(getattr(once, name), rel=1e-7, abs=1e-7)


@settings(max_examples=20)
@given(st.floats(min_value=0.3, max_value=2.0), st.integers(min_value=20, max_value=200))
def test_one_ratio_throughout_is_perfect_uniformity(ratio: float, n: int) -> None:
    price = np.linspace(100_000, 900_000, n)
    study = few(ratio * price, price)
    assert study.cod == pytest.approx(0, abs=1e-9)
    assert study.prd == pytest.approx(1)
    assert study.prb == pytest.approx(0, abs=1e-9)
    assert study.mki == pytest.approx(1)
    assert study.vei == pytest.approx(0, abs=1e-9)


def test_a_planted_slope_is_recovered_as_prb_and_every_index_says_regressive() -> None:
    study = ratio_study(*market(5_000, slope=-0.08, noise=0.02))
    assert study.prb_interval is not None
    assert study.prb == pytest.approx(-0.08, abs=0.01)
    assert study.prb_interval[1] < 0
    assert study.prd_interval is not None
    assert study.prd_interval[0] > 1
    assert study.mki_interval is not None
    assert study.mki_interval[1] < 1
    assert study.vei_interval is not None
    assert study.vei_interval[1] < 0


@pytest.mark.slow
def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    truth = ratio_study(*market(200_000, seed=1), resamples=1)
    covered = dict.fromkeys(STATISTICS, 0)
    for seed in range(200):
        study = ratio_study(*market(120, seed=1_000 + seed), resamples=200)
        for name in STATISTICS:
            low, high = getattr(study, f"{name}_interval")
            covered[name] += low <= getattr(truth, name) <= high
    assert min(covered.values()) >= 174, covered  # 190 of 200 at 95 %, less three standard errors and bias


def test_the_same_seed_gives_the_same_intervals_and_another_seed_others() -> None:
    estimate, price = market(300)
    assert ratio_study(estimate, price, seed=7) == ratio_study(estimate, price, seed=7)
    assert ratio_study(estimate, price, seed=7).cod_interval != ratio_study(estimate, price, seed=8).cod_interval


def test_higher_confidence_gives_wider_intervals() -> None:
    estimate, price = market(300)
    narrow, wide = ratio_study(estimate, price, confidence=0.90), ratio_study(estimate, price, confidence=0.99)
    for name in STATISTICS:
        (low, high), (lower, higher) = (getattr(study, f"{name}_interval") for study in (narrow, wide))
        assert lower < low < high < higher


def test_block_boundaries_do_not_change_a_bootstrap(monkeypatch: pytest.MonkeyPatch) -> None:
    estimate, price = market(100)
    whole = ratio_study(estimate, price, resamples=100)
    monkeypatch.setattr("appraisal.bootstrap.CELLS_PER_BLOCK", 700)
    in_blocks = ratio_study(estimate, price, resamples=100)
    assert_alike(in_blocks, whole)


def test_too_few_sales_for_a_statistic_give_null() -> None:
    two = ratio_study([90_000, 210_000], [100_000, 200_000]).to_json()
    assert two["n"] == 2
    assert two["median"] == pytest.approx(0.975)
    for name in ("prb", "prb_interval", "vei", "median_interval", "cod_interval", "mki_interval"):
        assert two[name] is None
    nineteen, twenty = (ratio_study(*market(n)) for n in (19, 20))
    assert nineteen.vei is None
    assert twenty.vei is not None


def test_sales_of_one_price_say_nothing_of_vertical_equity() -> None:
    study = ratio_study(np.linspace(80_000, 120_000, 30), np.full(30, 100_000.0))
    assert study.mki is None
    assert study.mki_interval is None
    assert study.cod is not None
    same = ratio_study(np.full(30, 90_000.0), np.full(30, 100_000.0)).to_json()
    assert same["prb"] is None
    assert same["vei"] is None
    json.dumps(same, allow_nan=False)


def test_a_group_of_one_sale_has_a_level_and_no_more() -> None:
    groups = study_by_group([90, 80, 100], [100, 100, 100], ["north", "north", "south"])
    assert groups["south"].n == 1
    assert groups["south"].median == 1.0
    assert groups["south"].cod is None
    assert groups["south"].mean_interval is None
    assert groups["north"].cod is not None


@pytest.mark.parametrize("bad", [0.0, -1.0, float("nan"), float("inf"), None])
@pytest.mark.parametrize("side", ["estimate", "sale_price"])
def test_a_value_not_above_zero_is_refused_with_its_row(bad: float | None, side: str) -> None:
    given_columns: dict[str, list[float | None]] = {"estimate": [1.0] * 5, "sale_price": [1.0] * 5}
    given_columns[side][3] = bad
    with pytest.raises(ValueNotPositiveError, match=f"{side} must be a number above zero; row 4") as caught:
        ratio_study(given_columns["estimate"], given_columns["sale_price"])  # type: ignore[arg-type]
    assert caught.value.code == "value_not_positive"
    assert caught.value.row == 3


def test_other_bad_input_is_refused_by_code() -> None:
    for make, error, code in (
        (lambda: ratio_study([], []), TooFewSalesError, "too_few_sales"),
        (lambda: ratio_study([1.0], [1.0]), TooFewSalesError, "too_few_sales"),
        (lambda: study_by_group([], [], []), TooFewSalesError, "too_few_sales"),
        (lambda: ratio_study([1.0, 2.0], [1.0]), LengthMismatchError, "length_mismatch"),
        (lambda: ratio_study([[1.0, 2.0]], [[1.0, 2.0]]), LengthMismatchError, "length_mismatch"),
        (lambda: study_by_group([1, 2], [1, 2], ["a"]), LengthMismatchError, "length_mismatch"),
        (lambda: ratio_study(["a", "b"], [1.0, 2.0]), NotNumericError, "not_numeric"),
        (lambda: ratio_study([1, 2], [1, 2], confidence=95), ArgumentOutOfRangeError, "argument_out_of_range"),
        (lambda: ratio_study([1, 2], [1, 2], resamples=0), ArgumentOutOfRangeError, "argument_out_of_range"),
    ):
        with pytest.raises(error) as caught:
            make()
        assert isinstance(caught.value, AppraisalError)
        assert caught.value.code == code


def test_vei_is_below_zero_where_the_top_is_assessed_lower() -> None:
    price = np.linspace(100_000, 1_000_000, 60)
    study = ratio_study(price * np.linspace(1.1, 0.9, 60), price)
    assert study.vei is not None
    assert study.vei < -5
    assert study.prd is not None
    assert study.prd > 1
