"""How the members of a blend are weighed, its level set, and how far off its values usually are.

All of it is learned from folds in time order inside the training sales: each fold's sales are valued by
members fitted on older sales only.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations

import numpy as np

from appraisal.ratio_statistics import prb_of
from services.valuation.domain.properties import FloatArray, IntArray

COVERAGE = 0.90
NEAR = 0.10  # confidence is the chance of a value within 10 % of the price
WEIGHT_STEPS = 20
STEPS_MOVED = (4, 2, 1)  # from member to member, first many at once: as good as trying every mix
PRIOR_SALES = 200  # of evidence for equal weights, level 1 and no stretch
LARGEST_STRETCH = 0.05
FARTHEST_LOG = 5.0  # of an interval's end: 148 times the value, beyond which it says nothing anyway
SMALLEST_SCALE = 0.25  # of the usual one: no parcel is surer than that


@dataclass(frozen=True)
class Level:
    """Corrects values to a median ratio of 1 and stretches them about their middle for vertical equity."""

    middle: float = 0.0
    factor: float = 0.0
    stretch: float = 1.0

    def apply(self, value_usd: FloatArray) -> FloatArray:
        """Values at level."""
        log_value = np.log(value_usd)
        corrected: FloatArray = np.exp(self.factor + self.middle + self.stretch * (log_value - self.middle))
        return corrected


@dataclass(frozen=True)
class Precision:
    """Split-conformal precision: how large errors are for a parcel as hard to value as this one."""

    coefficients: FloatArray
    reach: float
    scaled_errors: FloatArray

    def scale(self, difficulty: FloatArray) -> FloatArray:
        """Usual absolute log error, by difficulty."""
        usual: FloatArray = np.maximum(difficulty @ self.coefficients, SMALLEST_SCALE * self.coefficients[0])
        return usual

    def interval(self, value_usd: FloatArray, scale: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Low and high end of the 90 % interval, USD."""
        factor = np.exp(np.minimum(self.reach * scale, FARTHEST_LOG))
        return value_usd / factor, value_usd * factor

    def confidence(self, scale: FloatArray) -> FloatArray:
        """Share of fold errors within 10 % at this scale: the chance that the value is so near."""
        near = np.log1p(NEAR) / scale
        found = np.searchsorted(self.scaled_errors, near, side="right")
        return np.asarray(found / (len(self.scaled_errors) + 1.0), dtype=float)


def best_weights(member_usd: FloatArray, price_usd: FloatArray) -> FloatArray:
    """Weights of the members (columns), in steps of 0.05 and 1 in sum, with the least mean absolute log error.

    Errors are taken about each mix's own median, as the level is set afterwards. Few sales cannot tell
    members apart: the weights are drawn towards equal ones as if by `PRIOR_SALES` sales.
    """
    count = member_usd.shape[1]
    steps = np.full(count, WEIGHT_STEPS // count)
    steps[: WEIGHT_STEPS - steps.sum()] += 1
    least = _mix_loss(member_usd, price_usd, steps)
    for moved in STEPS_MOVED:
        while True:
            moves = [(_mix_loss(member_usd, price_usd, after), *after) for after in _moves(steps, moved)]
            if not moves or min(moves)[0] >= least - 1e-9:
                break
            least, *best = min(moves)
            steps = np.array(best)
    weights = steps / WEIGHT_STEPS
    share = len(price_usd) / (len(price_usd) + PRIOR_SALES)
    shrunken: FloatArray = share * weights + (1 - share) / len(weights)
    return np.asarray(shrunken / shrunken.sum(), dtype=float)


def _mix_loss(member_usd: FloatArray, price_usd: FloatArray, steps: IntArray) -> float:
    error = np.log(member_usd @ (steps / WEIGHT_STEPS) / price_usd)
    return float(np.mean(np.abs(error - np.median(error))))


def _moves(steps: IntArray, moved: int) -> Iterator[IntArray]:
    """Every way to give so many steps of one member to another."""
    for giver, taker in permutations(range(len(steps)), 2):
        if steps[giver] >= moved:
            after = steps.copy()
            after[giver] -= moved
            after[taker] += moved
            yield after


def learn_level(value_usd: FloatArray, price_usd: FloatArray) -> Level:
    """The level correction; of the stretch that would bring the PRB to 0, half, and no more than 5 %."""
    middle = float(np.median(np.log(value_usd)))
    low, high = 1.0, 1.0 + 4 * LARGEST_STRETCH
    for _ in range(20):
        stretch = (low + high) / 2
        bias, _ = prb_of(Level(middle, 0.0, stretch).apply(value_usd), price_usd, 0.95)
        low, high = (stretch, high) if bias is not None and bias < 0 else (low, stretch)
    share = len(price_usd) / (len(price_usd) + PRIOR_SALES)
    stretch = min(1.0 + share * (low - 1.0) / 2, 1.0 + LARGEST_STRETCH)
    stretched = Level(middle, 0.0, stretch).apply(value_usd)
    return Level(middle, -share * float(np.median(np.log(stretched / price_usd))), stretch)


def learn_precision(value_usd: FloatArray, price_usd: FloatArray, difficulty: FloatArray) -> Precision:
    """Error scale by difficulty (first column ones, none negative) and the conformal reach over it."""
    error = np.abs(np.log(value_usd / price_usd))
    coefficients = _usual_error(error, difficulty)
    scaled = np.sort(error / np.maximum(difficulty @ coefficients, SMALLEST_SCALE * coefficients[0]))
    rank = min(int(np.ceil((len(scaled) + 1) * COVERAGE)), len(scaled)) - 1
    return Precision(coefficients, float(scaled[rank]), scaled)


def _usual_error(error: FloatArray, difficulty: FloatArray) -> FloatArray:
    """Least squares with errors capped, so that one wrong price does not set the scale; none negative."""
    capped = np.minimum(error, max(5 * float(np.median(error)), 1e-6))
    kept = np.arange(difficulty.shape[1])
    while True:
        found = np.linalg.lstsq(difficulty[:, kept], capped, rcond=None)[0]
        if len(kept) == 1 or (found > 0).all():
            break
        slopes = np.flatnonzero(found[1:] <= 0) + 1
        kept = kept[:1] if not len(slopes) else np.delete(kept, slopes)
    coefficients = np.zeros(difficulty.shape[1])
    coefficients[kept] = found
    coefficients[0] = max(coefficients[0], 0.1 * float(np.mean(capped)), 1e-6)
    return coefficients
