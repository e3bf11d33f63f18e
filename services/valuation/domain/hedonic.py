"""A regression of log price on characteristics, with neighbourhood effects shrunken towards none.

A mixed model solved in one step: min |y - Xb - Zu|^2 + b'Pb + s|u|^2, with u (neighbourhoods) profiled out,
so its cost does not grow with their number. A neighbourhood with n sales keeps n / (n + s) of its own level.
Huber weights bound what one wrong price can do.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from services.valuation.domain.encoding import Encoding, learn_encoding
from services.valuation.domain.location import Plane, learn_plane
from services.valuation.domain.properties import FloatArray, IntArray, Properties, TextArray
from services.valuation.domain.remembered import Remembered
from services.valuation.domain.sales import TrainingSales

NEIGHBORHOOD_SHRINKAGE = 5.0
HUBER_LIMIT = 2.0  # robust standard deviations
HUBER_ROUNDS = 4
LOCATION = "location"
SALES_PER_WAVE, MOST_WAVES = 50, 200
WAVE_WIDTHS = (0.8, 0.3)  # of the spread of the sales' places
WAVE_HEIGHT = 0.3  # the lower, the more a wave is drawn towards none
WAVE_SEED = 0


@dataclass(frozen=True)
class Hedonic:
    """The fitted regression; every part can be read and printed."""

    encoding: Encoding
    plane: Plane
    plane_scale: float
    waves: int
    intercept: float
    coefficients: FloatArray
    neighborhoods: dict[str, float]
    neighborhood_sales: dict[str, int]
    residual: FloatArray
    sigma: float

    def predict(self, properties: Properties) -> FloatArray:
        """Log value."""
        return self.intercept + sum(self.contributions(properties).values(), np.zeros(len(properties)))

    def contributions(self, properties: Properties) -> dict[str, FloatArray]:
        """Log value by group of characteristics, and by location; with the intercept they add up to it."""
        return dict(self._contributions(properties))

    @cached_property
    def _contributions(self) -> Remembered[dict[str, FloatArray]]:
        return Remembered(self._contribute)

    def _contribute(self, properties: Properties) -> dict[str, FloatArray]:
        matrix = self.encoding.matrix(properties)
        weighted = matrix * self.coefficients[: matrix.shape[1]]
        groups = np.array([term.group for term in self.encoding.terms])
        parts = {group: weighted[:, groups == group].sum(axis=1) for group in self.encoding.groups()}
        effect = np.array([self.neighborhoods.get(name, 0.0) for name in properties.neighborhood])
        waved = surface(self.plane, self.plane_scale, properties, self.waves) @ self.coefficients[matrix.shape[1] :]
        parts[LOCATION] = effect + waved
        return parts

    def robust_weight(self, residual: FloatArray) -> FloatArray:
        """Huber weight of a log residual: 1 up to two robust standard deviations, falling beyond."""
        size = np.abs(residual) / self.sigma
        return np.minimum(1.0, HUBER_LIMIT / np.maximum(size, 1e-12))

    def left_out_effects(self, neighborhood: TextArray) -> FloatArray:
        """The neighbourhood effect of each sale that the regression was fitted on, without that sale."""
        effect = np.array([self.neighborhoods[name] for name in neighborhood])
        kept = np.array([self.neighborhood_sales[name] for name in neighborhood]) + NEIGHBORHOOD_SHRINKAGE
        own = self.residual + effect
        left_out: FloatArray = (effect * kept - own) / np.maximum(kept - 1.0, 1.0)
        return left_out

    def readable(self) -> dict[str, float]:
        """Coefficients per unit of each term (log price), without the location surface."""
        scales = [term.scale for term in self.encoding.terms]
        names = [term.name for term in self.encoding.terms]
        per_unit = self.coefficients[: len(names)] / np.array(scales)
        return {name: round(float(value), 6) for name, value in zip(names, per_unit, strict=True)}


def fit_hedonic(sales: TrainingSales) -> Hedonic:
    """The regression of the sales' log prices at the valuation date."""
    sold = sales.properties
    encoding = learn_encoding(sold, sales.valuation_date.year)
    plane = learn_plane(sold)
    points = plane.meters(sold)
    scale = max(float(np.std(points)), 1.0)
    waves = min(MOST_WAVES, len(sales) // SALES_PER_WAVE)
    waved = surface(plane, scale, sold, waves)
    design = np.column_stack([encoding.matrix(sold), waved])
    penalty = np.array([term.penalty for term in encoding.terms] + [1.0] * waved.shape[1])
    names, groups = np.unique(sold.neighborhood.astype(str), return_inverse=True)
    grouping = _Grouping(groups, len(names))
    coefficients, effects, intercept, residual = _robust(design, sales.log_price, grouping, penalty)
    return Hedonic(
        encoding=encoding,
        plane=plane,
        plane_scale=scale,
        waves=waves,
        intercept=intercept,
        coefficients=coefficients,
        neighborhoods=dict(zip(names.tolist(), effects.tolist(), strict=True)),
        neighborhood_sales=dict(zip(names.tolist(), np.bincount(groups).tolist(), strict=True)),
        residual=residual,
        sigma=_robust_sigma(residual),
    )


def surface(plane: Plane, scale: float, properties: Properties, waves: int) -> FloatArray:
    """A smooth surface of place: a bowl, and waves of two widths in every direction (Rahimi and Recht, 2007).

    More waves where more sales can tell them; their directions are drawn once and for all.
    """
    east, north = (plane.meters(properties) / scale).clip(-3, 3).T
    draw = np.random.default_rng(WAVE_SEED)
    directions = draw.standard_normal((MOST_WAVES, 2)) / np.resize(WAVE_WIDTHS, (MOST_WAVES, 1))
    phases = draw.uniform(0, 2 * np.pi, MOST_WAVES)
    angles = np.column_stack([east, north]) @ directions[:waves].T + phases[:waves]
    bowl = np.column_stack([east, north, east**2, east * north, north**2])
    return np.column_stack([bowl, WAVE_HEIGHT * np.cos(angles)])


@dataclass(frozen=True)
class _Grouping:
    group: IntArray
    count: int

    def sums(self, values: FloatArray) -> FloatArray:
        """Sums of the rows of each group."""
        total = np.zeros((self.count, *values.shape[1:]))
        np.add.at(total, self.group, values)
        return total


def _robust(
    design: FloatArray, y: FloatArray, grouping: _Grouping, penalty: FloatArray
) -> tuple[FloatArray, FloatArray, float, FloatArray]:
    weight = np.ones(len(y))
    for _ in range(HUBER_ROUNDS):
        coefficients, effects, intercept = _solve(design, y, weight, grouping, penalty)
        residual = y - intercept - design @ coefficients - effects[grouping.group]
        size = np.abs(residual) / _robust_sigma(residual)
        weight = np.minimum(1.0, HUBER_LIMIT / np.maximum(size, 1e-12))
    return coefficients, effects, intercept, residual


def _solve(
    design: FloatArray, y: FloatArray, weight: FloatArray, grouping: _Grouping, penalty: FloatArray
) -> tuple[FloatArray, FloatArray, float]:
    """Weighted, penalised least squares with the group effects profiled out (Schur complement)."""
    total = weight.sum()
    center, middle = (weight @ design) / total, float(weight @ y) / total
    x, z = design - center, y - middle
    weighted = x * weight[:, None]
    in_group = grouping.sums(weight) + NEIGHBORHOOD_SHRINKAGE
    x_sums, y_sums = grouping.sums(weighted), grouping.sums(weight * z)
    left = weighted.T @ x - x_sums.T @ (x_sums / in_group[:, None]) + np.diag(penalty)
    right = weighted.T @ z - x_sums.T @ (y_sums / in_group)
    coefficients = np.linalg.solve(left, right)
    effects = (y_sums - x_sums @ coefficients) / in_group
    return coefficients, effects, middle - float(center @ coefficients)


def _robust_sigma(residual: FloatArray) -> float:
    return max(1.4826 * float(np.median(np.abs(residual))), 1e-6)
