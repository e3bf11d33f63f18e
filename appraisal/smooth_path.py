"""Smooths a path of monthly price levels as a line about which prices wander, and says how sure each level is.

The levels that least squares found are their truth plus an error of known covariance; the truth is a line plus
a random walk. How far prices wander from month to month is not chosen but averaged over, by its marginal
likelihood (a local level model with drift: Harvey 1989, chapter 4; the flat prior of a standard deviation:
Gelman 2006). Where sales are many a month keeps its level; where they are few it follows its neighbours.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from appraisal.arrays import Floats
from appraisal.month_levels import MonthLevels

LARGEST_STEP = 0.08  # of a month's wandering, in log price; 8 % a month is more than any market on record
STEPS = 31
_LEAST_VARIANCE = 1e-12  # of a level: prices are whole dollars, and equal ones leave no residual to measure by


@dataclass(frozen=True)
class WalkFit:
    """Generalised least squares at one size of the monthly step; `weight` is how likely that size is."""

    weight: float
    coefficient: Floats
    coefficient_covariance: Floats
    projection: Floats


def smooth_path(levels: MonthLevels) -> MonthLevels:
    """The levels with their sampling noise smoothed out, and the covariance of what is left to doubt."""
    if len(levels.level) < 2:
        return levels
    since = (levels.month - levels.base_month).astype(np.float64)
    fits = walk_fits(levels, since[:, None])
    noise = _noise(levels)
    paths = [levels.level - noise @ fit.projection @ levels.level for fit in fits]
    path = np.sum([fit.weight * at for fit, at in zip(fits, paths, strict=True)], axis=0)
    doubt = np.zeros_like(noise)
    for fit, at in zip(fits, paths, strict=True):
        doubt += fit.weight * (noise - noise @ fit.projection @ noise + np.outer(at - path, at - path))
    return MonthLevels(
        base_month=levels.base_month, month=levels.month, level=path, covariance=doubt, degrees=levels.degrees
    )


def walk_fits(levels: MonthLevels, mean_design: Floats) -> list[WalkFit]:
    """Fits of the levels to a mean plus a random walk, one per size of its step, weights adding to 1."""
    found = list(_fits(levels, mean_design))
    best = max(likelihood for likelihood, _ in found)
    share = np.array([np.exp(likelihood - best) * fit.weight for likelihood, fit in found])
    share /= share.sum()
    return [
        WalkFit(float(weight), fit.coefficient, fit.coefficient_covariance, fit.projection)
        for weight, (_, fit) in zip(share, found, strict=True)
    ]


def _fits(levels: MonthLevels, mean_design: Floats) -> Iterator[tuple[float, WalkFit]]:
    """The restricted log likelihood at each step size, and the fit; sizes are closer together near none."""
    root = np.linspace(0.0, 1.0, STEPS)
    walk = _walk_covariance(levels)
    for size, width in zip(LARGEST_STEP * root**2, np.maximum(root, root[1] / 4), strict=True):
        covariance = _noise(levels) + size**2 * walk
        inverse = np.linalg.inv(covariance)
        weighted = inverse @ mean_design
        information = mean_design.T @ weighted
        coefficient_covariance = np.asarray(np.linalg.inv(information), dtype=np.float64)
        projection = inverse - weighted @ coefficient_covariance @ weighted.T
        spread = np.linalg.slogdet(covariance)[1] + np.linalg.slogdet(information)[1]
        likelihood = -0.5 * float(spread + levels.level @ projection @ levels.level)
        coefficient = coefficient_covariance @ (weighted.T @ levels.level)
        yield likelihood, WalkFit(float(width), coefficient, coefficient_covariance, projection)


def _noise(levels: MonthLevels) -> Floats:
    return levels.covariance + _LEAST_VARIANCE * np.eye(len(levels.level))


def _walk_covariance(levels: MonthLevels) -> Floats:
    """Covariance of a random walk with unit steps that is 0 at the base month, before it and after it."""
    since = (levels.month - levels.base_month).astype(np.float64)
    nearer = np.minimum(np.abs(since)[:, None], np.abs(since)[None, :])
    same_side = np.sign(since)[:, None] == np.sign(since)[None, :]
    return np.where(same_side, nearer, 0.0)
