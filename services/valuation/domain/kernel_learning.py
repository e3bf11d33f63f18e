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

SAMPLE, NEIGHBORS, ROUNDS, STEPS = 1_200, 30, 2, 20
USUAL_RATE, PRIOR = 0.3, 0.002
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
            args=(evidence, rows, beside),
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


def _objective(logs: FloatArray, evidence: Evidence, rows: IntArray, beside: IntArray) -> tuple[float, FloatArray]:
    total, gradient = 0.0, np.zeros_like(logs)
    for start in range(0, len(rows), BLOCK):
        group = np.column_stack([rows[start : start + BLOCK], beside[start : start + BLOCK]])
        loss, slope = _block(logs, evidence, group)
        total += loss
        gradient += slope
    unusual = logs[4:] - np.log(USUAL_RATE)
    gradient /= len(rows)
    gradient[4:] += 2 * PRIOR * unusual
    return total / len(rows) + PRIOR * float(unusual @ unusual), gradient


@dataclass(frozen=True)
class _Parts:
    """The three covariances of a block, and the distances that they fall with."""

    alike: FloatArray
    place: FloatArray
    wide: FloatArray
    reach: tuple[FloatArray, FloatArray, FloatArray]


def _block(logs: FloatArray, evidence: Evidence, group: IntArray) -> tuple[float, FloatArray]:
    """Loss and gradient of the first of each row of sales, foretold by the others."""
    points = evidence.coordinates[group]
    squares = (points[:, :, None, :] - points[:, None, :, :]) ** 2
    parts = _parts(logs, squares)
    every = np.arange(group.shape[1])
    noise = np.exp(logs[3]) * evidence.noisier[group]
    covariance = parts.alike + parts.place + parts.wide
    covariance[:, every, every] += noise
    loss, slope = _foretell(covariance, evidence.left[group])
    gradient = np.zeros_like(logs)
    gradient[:3] = [np.sum(slope * part) for part in (parts.alike, parts.place, parts.wide)]
    gradient[3] = np.sum(slope[:, every, every] * noise)
    gradient[4:] = _rate_slopes(logs, slope, squares, parts)
    return loss, gradient


def _parts(logs: FloatArray, squares: FloatArray) -> _Parts:
    rates = np.exp(2 * logs[4:-2])
    apart = squares[..., PLACE].sum(axis=-1)
    unlike = squares[..., TIME:] @ rates[TIME:]
    near = squares[..., PLACE] @ rates[PLACE]
    reach = (
        np.sqrt(near + unlike + 1e-12),
        np.sqrt(apart * np.exp(2 * logs[-2]) + 1e-12),
        np.sqrt(WIDE_LIKENESS * unlike + apart * np.exp(2 * logs[-1]) + 1e-12),
    )
    alike, place, wide = (np.exp(logs[at] - reach[at]) for at in range(3))
    return _Parts(alike, place, wide, reach)


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


def _rate_slopes(logs: FloatArray, slope: FloatArray, squares: FloatArray, parts: _Parts) -> FloatArray:
    rates = np.exp(2 * logs[4:-2])
    alike, place, wide = (
        -slope * part / reach for part, reach in zip((parts.alike, parts.place, parts.wide), parts.reach, strict=True)
    )
    dimensions = squares.shape[-1]
    flat = squares.reshape(-1, dimensions)
    by_rate = (alike.ravel() @ flat) * rates
    by_rate[TIME:] += WIDE_LIKENESS * (wide.ravel() @ flat[:, TIME:]) * rates[TIME:]
    apart = squares[..., PLACE].sum(axis=-1)
    by_place = np.sum(place * apart) * np.exp(2 * logs[-2])
    by_wide = np.sum(wide * apart) * np.exp(2 * logs[-1])
    return np.array([*by_rate, by_place, by_wide])
