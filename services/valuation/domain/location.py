"""Where properties are, and what the sales around a place say about its price level."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from services.valuation.domain.properties import BoolArray, FloatArray, IntArray, Properties, TextArray

METERS_PER_DEGREE = 111_320.0
NEIGHBORS = 12
SEARCHED = 40
PRIOR_WEIGHT = 0.5  # of "no difference", in units of one nearby sale: shrinks where sales are far or few


@dataclass(frozen=True)
class Plane:
    """Longitude and latitude as metres east and north of the sales' middle (equirectangular).

    A property without a location stands at the middle of its neighbourhood's sales, or of all sales.
    """

    longitude: float
    latitude: float
    middles: dict[str, tuple[float, float]]

    def meters(self, properties: Properties) -> FloatArray:
        """East and north in metres, one row per property."""
        east_per_degree = METERS_PER_DEGREE * np.cos(np.radians(self.latitude))
        east = (properties.longitude - self.longitude) * east_per_degree
        north = (properties.latitude - self.latitude) * METERS_PER_DEGREE
        points = np.column_stack([east, north])
        unknown = ~np.isfinite(points).all(axis=1)
        for row in np.flatnonzero(unknown):
            points[row] = self.middles.get(properties.neighborhood[row], (0.0, 0.0))
        return points


def learn_plane(sold: Properties) -> Plane:
    """The plane around the sold properties; all at one point where no sale has a location."""
    known = np.isfinite(sold.longitude) & np.isfinite(sold.latitude)
    if not known.any():
        return Plane(0.0, 0.0, {})
    plane = Plane(float(np.median(sold.longitude[known])), float(np.median(sold.latitude[known])), {})
    located = sold.take(known)
    points = plane.meters(located)
    names, groups = np.unique(located.neighborhood.astype(str), return_inverse=True)
    for index, name in enumerate(names):
        middle = np.median(points[groups == index], axis=0)
        plane.middles[str(name)] = (float(middle[0]), float(middle[1]))
    return plane


@dataclass(frozen=True)
class Surroundings:
    """What remains of the log prices of sales once their characteristics are accounted for, by place."""

    plane: Plane
    tree: cKDTree
    residual: FloatArray
    day: FloatArray
    parcel_id: TextArray
    spacing_meters: float

    def level(self, properties: Properties, before_day: FloatArray | None = None) -> FloatArray:
        """The distance-weighted mean residual of the nearest sales of other parcels, drawn towards 0.

        With `before_day` (one per property) only sales before that day count: what a model may be
        trained on, since a sale's own price must not stand among its characteristics.
        """
        searched = min(SEARCHED, len(self.residual))
        distance, row = self.tree.query(self.plane.meters(properties), k=searched)
        distance, row = distance.reshape(-1, searched), row.reshape(-1, searched)
        allowed = self.parcel_id[row] != properties.parcel_id[:, None]
        if before_day is not None:
            allowed &= self.day[row] < before_day[:, None]
        return self._mean(distance, self.residual[row], allowed)

    def _mean(self, distance: FloatArray, residual: FloatArray, allowed: BoolArray) -> FloatArray:
        counted = allowed & (np.cumsum(allowed, axis=1) <= NEIGHBORS)
        weight = np.where(counted, 1.0 / (1.0 + (distance / self.spacing_meters) ** 2), 0.0)
        mean: FloatArray = (weight * residual).sum(axis=1) / (weight.sum(axis=1) + PRIOR_WEIGHT)
        return mean


def learn_surroundings(sold: Properties, *, residual: FloatArray, day: FloatArray, plane: Plane) -> Surroundings:
    """Surroundings from sales; `spacing_meters` is the median distance to the eighth nearest sale."""
    points = plane.meters(sold)
    tree = cKDTree(points)
    nearest, _ = tree.query(points, k=min(9, len(points)))
    spacing = max(float(np.median(np.atleast_2d(nearest)[:, -1])), 1.0)
    return Surroundings(plane, tree, residual, day, sold.parcel_id, spacing)


def meters_between(subjects: Properties, others: Properties, row: IntArray) -> FloatArray:
    """Distances from each subject to its rows of `others`, to the metre; NaN where a location is not known."""
    north = (subjects.latitude[:, None] - others.latitude[row]) * METERS_PER_DEGREE
    shrink = np.cos(np.radians(subjects.latitude))[:, None]
    east = (subjects.longitude[:, None] - others.longitude[row]) * METERS_PER_DEGREE * shrink
    return np.hypot(east, north).round()
