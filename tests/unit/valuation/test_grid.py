"""The adjustment grid: exact to the cent, stable, itemised by what the market pays."""

from typing import Any

import hypothesis.extra.numpy as arrays
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.valuation.domain.comparables import fit_comparables
from services.valuation.domain.documents import comparable_sales
from services.valuation.domain.evidence import Groundwork, learn_groundwork
from services.valuation.domain.grid import WEIGHT_UNITS, Grid, adjust
from services.valuation.domain.sales import TrainingSales


@st.composite
def grids(draw: st.DrawFn) -> Grid:
    shape = (draw(st.integers(1, 4)), draw(st.integers(1, 6)))
    lines = draw(st.integers(1, 5))
    floats = st.floats
    price = draw(arrays.arrays(float, shape, elements=floats(1_000, 5e7)))
    log_lines = draw(arrays.arrays(float, (*shape, lines), elements=floats(-1, 1)))
    weight = draw(arrays.arrays(float, shape, elements=floats(1e-3, 400)))
    return adjust(
        row=np.zeros(shape, dtype=np.int64),
        lines=tuple(f"line{n}" for n in range(lines)),
        price_usd=price.round(2),
        log_lines=log_lines,
        weight=weight,
        dissimilarity=np.zeros(shape),
        aspects={},
    )


@given(grids())
def test_price_plus_adjustments_is_the_adjusted_price_to_the_cent(grid: Grid) -> None:
    assert (grid.price_cents + grid.adjustment_cents.sum(axis=2) == grid.adjusted_cents).all()


@given(grids())
def test_weights_add_up_to_one_and_weighted_prices_to_the_indicated_value(grid: Grid) -> None:
    assert (grid.weight_units.sum(axis=1) == WEIGHT_UNITS).all()
    assert (grid.weight_units >= 0).all()
    weighted = [
        sum(int(w) * int(a) for w, a in zip(*pair, strict=True))
        for pair in zip(grid.weight_units, grid.adjusted_cents, strict=True)
    ]
    assert all(
        abs(total - WEIGHT_UNITS * int(value)) <= WEIGHT_UNITS // 2
        for total, value in zip(weighted, grid.indicated_cents, strict=True)
    )


@given(st.floats(1_000, 5e7), st.lists(st.floats(-1, 1), min_size=1, max_size=6))
def test_dollars_of_the_lines_tell_the_product_of_the_factors(price: float, lines: list[float]) -> None:
    grid = adjust(
        row=np.zeros((1, 1), dtype=np.int64),
        lines=tuple(map(str, range(len(lines)))),
        price_usd=np.array([[price]]),
        log_lines=np.array([[lines]]),
        weight=np.ones((1, 1)),
        dissimilarity=np.zeros((1, 1)),
        aspects={},
    )
    assert grid.indicated_usd[0] == pytest.approx(price * np.exp(sum(lines)), abs=0.01 * (len(lines) + 2))
    signs = zip(grid.adjustment_cents[0, 0], lines, strict=True)
    assert all(cents == 0 or (cents > 0) == (line > 0) for cents, line in signs)


def answers(groundwork: Groundwork, count: int = 5) -> list[list[dict[str, Any]]]:
    found = fit_comparables(groundwork, count)
    subjects = groundwork.sales.properties.take(np.arange(50))
    return comparable_sales(found, subjects, found.grid(subjects))


def test_documents_reconcile_with_the_predicted_value(groundwork: Groundwork) -> None:
    subjects = groundwork.sales.properties.take(np.arange(50))
    predicted = fit_comparables(groundwork, 5).predict(subjects)
    for comparables, value in zip(answers(groundwork), predicted, strict=True):
        for comparable in comparables:
            told = comparable["sale_price_usd"] + sum(comparable["adjustments_usd"].values())
            assert round(told, 2) == comparable["adjusted_price_usd"]
        indicated = sum(c["weight"] * c["adjusted_price_usd"] for c in comparables)
        assert indicated == pytest.approx(value, abs=0.0051)


def test_a_parcel_is_never_its_own_comparable(groundwork: Groundwork) -> None:
    subjects = groundwork.sales.properties.parcel_id[:50]
    for parcel, comparables in zip(subjects, answers(groundwork), strict=True):
        assert len(comparables) == 5
        assert parcel not in {comparable["parcel_id"] for comparable in comparables}


def test_order_of_the_sales_does_not_matter(training: TrainingSales, groundwork: Groundwork) -> None:
    shuffled = training.take(np.random.default_rng(5).permutation(len(training)))
    subjects = training.properties.take(np.arange(50))
    first = fit_comparables(groundwork, 5).predict(subjects)
    again = fit_comparables(learn_groundwork(shuffled), 5).predict(subjects)
    np.testing.assert_allclose(again, first, rtol=1e-9)


def test_one_wrong_price_moves_few_values_and_none_far(training: TrainingSales, groundwork: Groundwork) -> None:
    price = training.price_usd.copy()
    price[100] *= 10
    wrong = TrainingSales(**{**vars(training), "price_usd": price})
    subjects = training.properties.take(np.delete(np.arange(len(training)), 100))
    before = fit_comparables(groundwork, 5).predict(subjects)
    after = fit_comparables(learn_groundwork(wrong), 5).predict(subjects)
    change = np.abs(after / before - 1)
    assert np.quantile(change, 0.95) < 0.02
    assert change.max() < 0.25


def test_more_alike_comes_first_and_weighs_more(groundwork: Groundwork) -> None:
    grid = fit_comparables(groundwork, 8).grid(groundwork.sales.properties.take(np.arange(50)))
    assert (np.diff(grid.dissimilarity, axis=1) >= -1e-9).all()
    assert (np.diff(grid.weight_units[:, 1:], axis=1) <= 1).all()
    parts = np.sqrt(sum(aspect**2 for aspect in grid.aspects.values()))
    np.testing.assert_allclose(parts, grid.dissimilarity)


def test_location_and_time_always_stand_among_the_adjustments(groundwork: Groundwork) -> None:
    for comparables in answers(groundwork, 2):
        assert all({"location", "time"} <= set(comparable["adjustments_usd"]) for comparable in comparables)
