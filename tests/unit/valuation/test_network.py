"""Neural networks of log price: their slopes are true, the same sales give the same bytes, far off they hold back."""

from dataclasses import replace

import numpy as np
import pytest

from services.valuation.domain.boosting import fit_boosting
from services.valuation.domain.evidence import Groundwork, learn_groundwork
from services.valuation.domain.kriging import MINIMUM_SALES
from services.valuation.domain.network import USUAL, Network, fit_network
from services.valuation.domain.network_training import BEND, FEWEST, _slopes, _start, forward, trained
from services.valuation.domain.properties import FloatArray
from services.valuation.domain.sales import TrainingSales

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def network(groundwork: Groundwork) -> Network:
    return fit_network(fit_boosting(groundwork))


def _loss(parts: list[FloatArray], inputs: FloatArray, goal: FloatArray) -> float:
    layers = tuple(zip(parts[::2], parts[1::2], strict=True))
    error = forward(layers, inputs) - goal
    return float(np.mean(BEND**2 * (np.sqrt(1 + (error / BEND) ** 2) - 1)))


def test_the_slope_of_the_loss_is_true() -> None:
    draw = np.random.default_rng(1)
    inputs, goal = draw.normal(size=(20, 5)), draw.normal(size=20)
    parts = [part.astype(float) + 0.1 for part in _start(draw, 5)]
    told = _slopes(parts, inputs, goal)  # type: ignore[arg-type]  # in double precision, to be compared
    for part, slope in zip(parts, told, strict=True):
        at = tuple(draw.integers(size) for size in part.shape)
        before, step = part[at], 1e-5
        part[at] = before + step
        above = _loss(parts, inputs, goal)
        part[at] = before - step
        below = _loss(parts, inputs, goal)
        part[at] = before
        assert slope[at] == pytest.approx((above - below) / (2 * step), rel=1e-3, abs=1e-8)


def test_a_bend_is_learned_and_one_wrong_goal_hardly_moves_it() -> None:
    draw = np.random.default_rng(2)
    inputs = draw.uniform(-2, 2, size=(1_000, 2)).astype(np.float32)
    goal = (np.abs(inputs[:, 0]) - inputs[:, 1]).astype(np.float32)
    wrong = goal.copy()
    wrong[3] += 1_000
    for told in (goal, wrong):
        error = forward(trained(inputs, told, 0), inputs.astype(float)) - goal
        assert np.delete(np.abs(error), 3).mean() < 0.15


@pytest.mark.parametrize("count", [1, FEWEST - 1, FEWEST, FEWEST + 1])
def test_however_few_rows_train_a_network(count: int) -> None:
    inputs = np.linspace(-1, 1, 3 * count, dtype=np.float32).reshape(count, 3)
    told = forward(trained(inputs, inputs[:, 0], 0), inputs.astype(float))
    assert np.isfinite(told).all()


def test_the_same_sales_give_the_same_networks(network: Network, groundwork: Groundwork) -> None:
    again = fit_network(fit_boosting(groundwork))
    subjects = groundwork.sales.properties.take(np.arange(50))
    assert network.predict(subjects).tobytes() == again.predict(subjects).tobytes()


def test_a_property_is_told_alone_as_among_many(network: Network, groundwork: Groundwork) -> None:
    subjects = groundwork.sales.properties.take(np.arange(50))
    alone = np.concatenate([network.predict(subjects.take(np.array([row]))) for row in range(50)])
    np.testing.assert_allclose(alone, network.predict(subjects), rtol=1e-10)


def test_networks_leave_the_regression_no_farther_than_usual(network: Network, groundwork: Groundwork) -> None:
    sold = groundwork.sales.properties
    free = replace(network, reach=np.inf).added_by_networks(sold)
    assert network.reach == pytest.approx(USUAL * 1.4826 * np.median(np.abs(free)), rel=0.25)
    subjects = sold.take(np.arange(200))
    huge = replace(subjects, living_area_sqft=subjects.living_area_sqft * 100, land_area_sqft=np.full(200, np.nan))
    added = network.added_by_networks(huge)
    assert np.isfinite(added).all()
    assert np.abs(added).max() <= network.reach


def test_without_enough_sales_there_are_no_networks(training: TrainingSales) -> None:
    few = learn_groundwork(training.take(np.arange(MINIMUM_SALES - 1)))
    network = fit_network(fit_boosting(few))
    assert network.networks == ()
    foretold, _ = few.foretell(training.properties)
    expected = np.exp(few.hedonic.predict(training.properties) + foretold)
    np.testing.assert_allclose(network.predict(training.properties), expected, rtol=1e-12)


def test_no_property_is_no_error(network: Network, groundwork: Groundwork) -> None:
    nobody = groundwork.sales.properties.take(np.zeros(0, dtype=np.int64))
    assert network.predict(nobody).shape == (0,)
