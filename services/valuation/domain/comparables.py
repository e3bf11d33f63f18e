"""Comparable sales: the nearest in one space of comparability, each adjusted to the subject.

Reconciled with trees and networks, the grid has two lines more: `model` is what these see beyond the other lines,
so that a sale is adjusted by the whole difference that they make between it and the subject; `particular` takes
out what a price holds that they cannot explain, but for the share of it that such sales have in common.

Every dimension of the space is a log price difference: for each characteristic, for location and for time
what the market makes of the difference; for distance on the ground `DISTANCE_WEIGHT` per spacing of sales. A
sale that needs little adjustment is a good one.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.spatial import cKDTree

from services.valuation.domain.evidence import Groundwork
from services.valuation.domain.grid import Grid, adjust
from services.valuation.domain.hedonic import LOCATION
from services.valuation.domain.network import Learned
from services.valuation.domain.properties import FloatArray, IntArray, Properties
from services.valuation.domain.remembered import Remembered
from services.valuation.domain.sales import TrainingSales

TIME = "time"
MODEL, PARTICULAR = "model", "particular"
SHARED = 0.25  # of what is particular to comparable sales, that their subject has too
DISTANCE = "distance"
DISTANCE_WEIGHT = 0.02  # of one spacing of sales
RECENCY_WEIGHT = 0.05  # of one year between sale and valuation date
EVEN_WEIGHT = 0.05  # dissimilarity below which sales weigh about the same
FAR_RESIDUAL = 4.0  # robust standard deviations: a price that its characteristics do not explain
BATCH = 4_096
AS_UNLIKE = 0.2  # dissimilarity at which similarity has fallen to 1 / e


@dataclass(frozen=True)
class Comparables:
    """Candidate sales, one (the newest) per parcel, in the space of comparability."""

    groundwork: Groundwork
    sales: TrainingSales
    lines: tuple[str, ...]
    parts: FloatArray
    ground: FloatArray
    tree: cKDTree
    count: int
    learned: Learned | None = None
    particular: FloatArray | None = None

    def predict(self, subjects: Properties) -> FloatArray:
        """Indicated value in USD, to the cent."""
        return np.concatenate([grid.indicated_usd for _, grid in self.grids(subjects)] or [np.zeros(0)])

    def contributions(self, properties: Properties, value_usd: FloatArray) -> dict[str, FloatArray]:
        """The indicated value; the grid says how it came about."""
        return {"comparables": value_usd}

    def grids(self, subjects: Properties) -> Iterator[tuple[Properties, Grid]]:
        """The adjustment grids of the subjects, in batches."""
        if 0 < len(subjects) <= BATCH:
            yield subjects, self.grid(subjects)
            return
        for start in range(0, len(subjects), BATCH):
            batch = subjects.take(np.arange(start, min(start + BATCH, len(subjects))))
            yield batch, self.grid(batch)

    def grid(self, subjects: Properties) -> Grid:
        """The `count` most comparable sales of other parcels beside each subject, best first."""
        return self._gridded(subjects)

    @cached_property
    def _gridded(self) -> Remembered[Grid]:
        return Remembered(self._grid)

    def _grid(self, subjects: Properties) -> Grid:
        parts = log_parts(self.groundwork, subjects, self.learned)
        ground = ground_of(self.groundwork, subjects)
        space = _space(ground, parts * emphasis_of(self.groundwork, self.lines), np.zeros(len(subjects)))
        row, own = self._nearest(subjects, space)
        differences = parts[:, None, :] - self.parts[row]
        aspects = self.aspects(differences, ground[:, None] - self.ground[row], row)
        dissimilarity = np.sqrt(sum(aspect**2 for aspect in aspects.values()))
        weight = np.where(own, 0.0, 1.0 / (EVEN_WEIGHT**2 + dissimilarity**2))
        further = {TIME: self.sales.log_time_adjustment[row]}
        if self.particular is not None:
            further[PARTICULAR] = -(1.0 - SHARED) * self.particular[row]
        return adjust(
            row=row,
            lines=(*self.lines, *further),
            price_usd=self.sales.price_usd[row],
            log_lines=np.concatenate([differences, np.stack([*further.values()], axis=2)], axis=2),
            weight=weight,
            dissimilarity=dissimilarity,
            aspects=aspects,
        )

    def aspects(self, differences: FloatArray, apart: FloatArray, row: IntArray) -> dict[str, FloatArray]:
        """How unlike sales are by aspect, as log price differences, from those by line and on the ground."""
        emphasis = emphasis_of(self.groundwork, self.lines)
        aspects = {line: np.abs(differences[..., at]) * emphasis[at] for at, line in enumerate(self.lines)}
        aspects[TIME] = -self.sales.day[row] / 365.25 * RECENCY_WEIGHT * self.groundwork.emphasis.get(TIME, 1.0)
        aspects[DISTANCE] = np.linalg.norm(apart, axis=-1)
        return aspects

    def _nearest(self, subjects: Properties, position: FloatArray) -> tuple[IntArray, FloatArray]:
        """Rows of the nearest sales and whether each is the subject's own (only where others run out)."""
        searched = min(self.count + 2, len(self.sales))
        distance, row = self.tree.query(position, k=searched)
        distance, row = distance.reshape(-1, searched), row.reshape(-1, searched)
        own = self.sales.properties.parcel_id[row] == subjects.parcel_id[:, None]
        # ties go to the earlier row: candidates are ordered by date and sale id, so the choice is stable
        order = np.lexsort((row, np.where(own, np.inf, distance.round(12))), axis=1)[:, : self.count]
        return np.take_along_axis(row, order, 1), np.take_along_axis(own, order, 1)


def fit_comparables(groundwork: Groundwork, count: int, learned: Learned | None = None) -> Comparables:
    """Candidates for `count` comparables a parcel, without prices that characteristics do not explain.

    The adjustments are reconciled with what trees and networks `learned`.
    """
    hedonic = groundwork.hedonic
    explained = np.abs(hedonic.residual) <= FAR_RESIDUAL * hedonic.sigma
    newest = {parcel: row for row, parcel in enumerate(groundwork.sales.properties.parcel_id) if explained[row]}
    sales = groundwork.sales.take(np.array(sorted(newest.values()), dtype=np.int64))
    parts = log_parts(groundwork, sales.properties, learned)
    ground = ground_of(groundwork, sales.properties)
    lines = (*hedonic.encoding.groups(), LOCATION, *((MODEL,) if learned else ()))
    recency = groundwork.emphasis.get(TIME, 1.0)
    space = _space(ground, parts * emphasis_of(groundwork, lines), sales.day * recency)
    particular = None if learned is None else sales.log_price - hedonic.intercept - parts.sum(axis=1)
    return Comparables(groundwork, sales, lines, parts, ground, cKDTree(space), count, learned, particular)


def log_parts(groundwork: Groundwork, properties: Properties, learned: Learned | None) -> FloatArray:
    """Log price by line of the grid; location is the neighbourhood, the place and what nearby sales leave."""
    parts = groundwork.hedonic.contributions(properties)
    parts[LOCATION] = parts[LOCATION] + groundwork.surroundings.level(properties)
    if learned is not None:
        told = groundwork.hedonic.intercept + sum(parts.values(), np.zeros(len(properties)))
        parts[MODEL] = np.log(learned.predict(properties)) - told
    return np.column_stack([*parts.values()])


def ground_of(groundwork: Groundwork, properties: Properties) -> FloatArray:
    """Where properties are, in units of log price difference."""
    spacings = groundwork.hedonic.plane.meters(properties) / groundwork.surroundings.spacing_meters
    ground: FloatArray = spacings * DISTANCE_WEIGHT * groundwork.emphasis.get(DISTANCE, 1.0)
    return ground


def emphasis_of(groundwork: Groundwork, lines: tuple[str, ...]) -> FloatArray:
    """How much a county lets a difference in each line count: 1 is what the market makes of it."""
    return np.array([groundwork.emphasis.get(line, 1.0) for line in lines])


def _space(ground: FloatArray, parts: FloatArray, day: FloatArray) -> FloatArray:
    return np.column_stack([ground, parts, day / 365.25 * RECENCY_WEIGHT])
