"""Kriging by neighbours: finds what place hides, is blind to a parcel's own sales, learns by a true gradient."""

import numpy as np
import pytest
from scipy.optimize import check_grad

from services.valuation.domain.boosting import fit_boosting
from services.valuation.domain.comparables import PARTICULAR, fit_comparables
from services.valuation.domain.evidence import Groundwork, learn_groundwork
from services.valuation.domain.kernel import Kernel
from services.valuation.domain.kernel_learning import _groups, _objective, _start
from services.valuation.domain.kriging import MINIMUM_SALES, Kriging, fit_kriging
from services.valuation.domain.neighbors import nearest
from services.valuation.domain.network import Learned, fit_network
from services.valuation.domain.sales import TrainingSales

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def kriging(groundwork: Groundwork) -> Kriging:
    made = groundwork.kriging
    assert made is not None
    return made


def test_a_price_surface_that_no_characteristic_tells_is_found(training: TrainingSales) -> None:
    sold = training.properties
    wave = 0.3 * np.sin(300 * sold.longitude) * np.cos(300 * sold.latitude)
    hidden = TrainingSales(**{**vars(training), "price_usd": training.price_usd * np.exp(wave)})
    known, unseen = np.arange(len(training)) % 5 != 0, np.arange(len(training)) % 5 == 0
    groundwork = learn_groundwork(hidden.take(known))
    foretold, deviation = groundwork.foretell(sold.take(unseen))
    left = hidden.take(unseen).log_price - groundwork.hedonic.predict(sold.take(unseen))
    assert np.corrcoef(foretold, left)[0, 1] > 0.6
    assert np.std(left - foretold) < 0.85 * np.std(left)
    assert (deviation > 0).all()


def test_a_parcels_own_sales_say_nothing_of_it(training: TrainingSales, kriging: Kriging) -> None:
    sold = training.properties.take(np.array([7]))
    dearer = fit_kriging(training, kriging.hedonic, kriging.kernel)
    assert dearer is not None
    dearer.evidence.left[7] += 0.2
    assert dearer.foretell(sold)[0] == kriging.foretell(sold)[0]
    other = training.properties.take(np.array([8]))
    dearer.evidence.left[:] += 0.2
    assert dearer.foretell(other)[0] > kriging.foretell(other)[0]


def test_the_gradient_of_what_is_learned_is_true(kriging: Kriging) -> None:
    evidence = kriging.evidence
    rows = np.arange(0, 120, 3)
    beside = nearest(kriging.kernel, evidence.coordinates, evidence.coordinates[rows], 12, own=rows)
    assert (beside != rows[:, None]).all()
    start = _start(evidence, evidence.coordinates.shape[1])
    groups = _groups(evidence, np.column_stack([rows, beside]))
    error = check_grad(lambda at: _objective(at, groups)[0], lambda at: _objective(at, groups)[1], start)
    assert error < 1e-4


def test_covariance_is_symmetric_and_largest_at_the_sale_itself(kriging: Kriging) -> None:
    kernel: Kernel = kriging.kernel
    points = kriging.evidence.coordinates[None, :30]
    covariance = kernel.covariance(points, points)[0]
    np.testing.assert_allclose(covariance, covariance.T, atol=1e-12)
    np.testing.assert_allclose(np.diag(covariance), kernel.amplitudes.sum(), rtol=1e-4)
    assert np.linalg.eigvalsh(covariance).min() > -1e-9


def test_neighbors_are_different_sales_and_all_where_they_are_few(kriging: Kriging) -> None:
    found = kriging.neighborhood.search(kriging.evidence.coordinates[:50], 40)
    assert all(len(set(row)) == 40 for row in found.tolist())
    everyone = kriging.neighborhood.search(kriging.evidence.coordinates[:2], 10_000)
    assert everyone.shape == (2, len(kriging.sales))


def test_too_few_sales_fall_back_on_the_surroundings(training: TrainingSales) -> None:
    few = learn_groundwork(training.take(np.arange(MINIMUM_SALES - 1)))
    assert few.kriging is None
    foretold, _ = few.foretell(training.properties)
    np.testing.assert_array_equal(foretold, few.surroundings.level(training.properties))
    assert fit_boosting(few).trees is None


def test_no_property_is_no_error(groundwork: Groundwork) -> None:
    nobody = groundwork.sales.properties.take(np.zeros(0, dtype=np.int64))
    assert fit_boosting(groundwork).predict(nobody).shape == (0,)
    assert groundwork.foretell(nobody)[0].shape == (0,)


def test_a_reconciled_grid_adds_up_and_stays_near_its_model(groundwork: Groundwork) -> None:
    boosting = fit_boosting(groundwork)
    learned = Learned(boosting, fit_network(boosting))
    found = fit_comparables(groundwork, 5, learned)
    subjects = groundwork.sales.properties.take(np.arange(60))
    grid = found.grid(subjects)
    assert (grid.price_cents + grid.adjustment_cents.sum(axis=2) == grid.adjusted_cents).all()
    assert grid.lines[-1] == PARTICULAR
    apart = np.log(grid.indicated_usd / learned.predict(subjects))
    plain = np.log(fit_comparables(groundwork, 5).grid(subjects).indicated_usd / learned.predict(subjects))
    assert np.abs(apart).mean() < np.abs(plain).mean()
    assert np.abs(apart).max() < 0.15
