"""Learns the covariance from the sales: each of a sample is foretold by its neighbours.

The likelihood of sales given their neighbours (Vecchia, 1988) with its exact gradient, by L-BFGS. A prior
keeps rates that the sales say little about near a usual one.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from services.valuation.domain.kernel import PLACE, TIME, WIDE_LIKENESS, Axes, Kernel
from services.valuation.domain.neighbors import nearest
from services.valuation.domain.properties import FloatArray, IntArray

SAMPLE, NEIGHBORS, ROUNDS, STEPS = 2_400, 30, 2, 25
USUAL_RATE = 0.3  # within a factor of e for two in three: a prior that counts the less, the more sales there are
BLOCK = 100
SEED = 0


@dataclass(frozen=True)
class Evidence:
    """Coordinates, what the regression leaves of log price, and how much noisier than usual each sale is."""

    coordinates: FloatArray
    left: FloatArray
    noisier: FloatArray


def learn_kernel(axes: Axes, evidence: Evidence) -> Kernel:
    """The covariance that foretells sales best; the same sales give the same one."""
    count, dimensions = evidence.coordinates.shape
    rows = np.sort(np.random.default_rng(SEED).choice(count, min(SAMPLE, count), replace=False))
    found = _start(evidence, dimensions)
    low = np.full(len(found), np.log(1e-3))
    low[:4] = found[:4] - 8.0
    high = np.full(len(found), np.log(50.0))
    high[:4] = found[:4] + 3.0
    for _ in range(ROUNDS):
        beside = nearest(to_kernel(axes, found), evidence.coordinates, evidence.coordinates[rows], NEIGHBORS, own=rows)
        solved = minimize(
            _objective,
            found,
            args=(_groups(evidence, np.column_stack([rows, beside])),),
            jac=True,
            method="L-BFGS-B",
            bounds=np.column_stack([low, high]),
            options={"maxiter": STEPS},
        )
        found = solved.x
    return to_kernel(axes, found)


def to_kernel(axes: Axes, logs: FloatArray) -> Kernel:
    """The covariance of logarithms: three amplitudes, noise, rates, rate of place, rate over a wide area."""
    values = np.exp(logs)
    return Kernel(axes, values[:3], float(values[3]), values[4:-2], float(values[-2]), float(values[-1]))


def _start(evidence: Evidence, dimensions: int) -> FloatArray:
    spread = np.log(max(float(np.var(evidence.left)), 1e-8))
    amplitudes = [spread - 1.2, spread - 1.5, spread - 1.5, spread - 1.2]
    rates = [np.log(1 / 8), np.log(1 / 8), np.log(0.7), *[np.log(0.35)] * (dimensions - 3)]
    return np.array([*amplitudes, *rates, np.log(1 / 1.5), np.log(1 / 25)])


@dataclass(frozen=True)
class _Group:
    """Sales with those beside each: what is left, how noisy, and the squared distances of every two of them.

    One row per coordinate, one column per pair.
    """

    left: FloatArray
    noisier: FloatArray
    squares: FloatArray


def _groups(evidence: Evidence, rows: IntArray) -> list[_Group]:
    first, second = np.triu_indices(rows.shape[1], 1)
    groups = []
    for start in range(0, len(rows), BLOCK):
        group = rows[start : start + BLOCK]
        points = evidence.coordinates[group].transpose(2, 0, 1)
        squares = (points[..., first] - points[..., second]) ** 2
        groups.append(_Group(evidence.left[group], evidence.noisier[group], squares.reshape(len(points), -1)))
    return groups


def _objective(logs: FloatArray, groups: list[_Group]) -> tuple[float, FloatArray]:
    total, gradient, count = 0.0, np.zeros_like(logs), sum(len(group.left) for group in groups)
    for group in groups:
        loss, slope = _block(logs, group)
        total += loss
        gradient += slope
    unusual = logs[4:] - np.log(USUAL_RATE)
    gradient /= count
    gradient[4:] += unusual / count
    return (total + 0.5 * float(unusual @ unusual)) / count, gradient


def _block(logs: FloatArray, group: _Group) -> tuple[float, FloatArray]:
    """Loss and gradient of the first of each row of sales, foretold by the others."""
    sales, count = group.left.shape
    first, second = np.triu_indices(count, 1)
    every = np.arange(count)
    mixing = _mixing(logs)
    reach = np.sqrt(mixing @ group.squares + 1e-12)
    parts = np.exp(logs[:3, None] - reach)
    amplitudes, noise = np.exp(logs[:3]), np.exp(logs[3]) * group.noisier
    covariance = np.empty((sales, count, count))
    covariance[:, first, second] = covariance[:, second, first] = parts.sum(axis=0).reshape(sales, -1)
    covariance[:, every, every] = amplitudes.sum() + noise
    loss, slope = _foretell(covariance, group.left)
    of_pair, of_itself = (slope[:, first, second] + slope[:, second, first]).ravel(), slope[:, every, every]
    by_part = parts * of_pair
    gradient = np.zeros_like(logs)
    gradient[:3] = by_part.sum(axis=1) + amplitudes * of_itself.sum()
    gradient[3] = np.sum(of_itself * noise)
    by_mixing = -(by_part / reach) @ group.squares.T * mixing
    gradient[4:-2] = by_mixing[0]
    gradient[4 + TIME : -2] += by_mixing[2, TIME:]
    gradient[-2], gradient[-1] = by_mixing[1].sum(), by_mixing[2, PLACE].sum()
    return loss, gradient


def _mixing(logs: FloatArray) -> FloatArray:
    """What a squared distance in each coordinate (columns) counts in each of the three covariances (rows)."""
    rates = np.exp(2 * logs[4:-2])
    mixing = np.zeros((3, len(rates)))
    mixing[0] = rates
    mixing[1, PLACE] = np.exp(2 * logs[-2])
    mixing[2, PLACE], mixing[2, TIME:] = np.exp(2 * logs[-1]), WIDE_LIKENESS * rates[TIME:]
    return mixing


def _foretell(covariance: FloatArray, left: FloatArray) -> tuple[float, FloatArray]:
    """Negative log likelihood of each first sale given the others, and its slope by every covariance."""
    inner, across = covariance[:, 1:, 1:], covariance[:, 0, 1:]
    solved = np.linalg.solve(inner, np.stack([left[:, 1:], across], axis=-1))
    pull, weight = solved[..., 0], solved[..., 1]
    error = left[:, 0] - (across * pull).sum(axis=1)
    variance = covariance[:, 0, 0] - (across * weight).sum(axis=1)
    by_mean, by_variance = -error / variance, 0.5 * (1 / variance - error**2 / variance**2)
    slope = np.zeros_like(covariance)
    slope[:, 0, 0] = by_variance
    slope[:, 0, 1:] = by_mean[:, None] * pull - 2 * by_variance[:, None] * weight
    mixed = -by_mean[:, None] * pull + by_variance[:, None] * weight
    slope[:, 1:, 1:] = weight[:, :, None] * mixed[:, None, :]
    return 0.5 * float(np.sum(np.log(variance) + error**2 / variance)), slope
