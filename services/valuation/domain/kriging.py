"""Kriging: what the nearest and most alike sales leave of the regression's log price, at the property's place.

A Gaussian process by its neighbours only (Vecchia, 1988; Datta et al., 2016), so that its cost grows with the
number of properties and no faster. A parcel's own sales say nothing of its own value.
"""

from dataclasses import dataclass

import numpy as np

from services.valuation.domain.hedonic import Hedonic
from services.valuation.domain.kernel import Kernel, choose_axes
from services.valuation.domain.kernel_learning import Evidence, learn_kernel
from services.valuation.domain.neighbors import Neighborhood
from services.valuation.domain.properties import FloatArray, Properties, TextArray
from services.valuation.domain.sales import TrainingSales

MINIMUM_SALES = 150  # below, a covariance cannot be learned
NEIGHBORS = 40
FARTHEST = 3.6  # robust standard deviations that a residual counts for at most
NOISY = 2.0  # robust standard deviations from where a sale counts as noisier than usual
NOISIEST = 25.0
SILENT = 1e9  # so noisy that it says nothing
BLOCK = 400


@dataclass(frozen=True)
class Kriging:
    """The sales' coordinates and residuals, ready to be asked about any property."""

    hedonic: Hedonic
    kernel: Kernel
    sales: TrainingSales
    evidence: Evidence
    neighborhood: Neighborhood

    def foretell(self, properties: Properties, day: FloatArray | None = None) -> tuple[FloatArray, FloatArray]:
        """What is to be added to the regression's log value, and the standard deviation of that.

        `day` (days before the valuation date, not above 0) is when; by default the valuation date.
        """
        asked = self.kernel.axes.coordinates(self.hedonic, properties, day)
        mean, deviation = np.zeros(len(asked)), np.zeros(len(asked))
        for start in range(0, len(asked), BLOCK):
            rows = slice(start, start + BLOCK)
            mean[rows], deviation[rows] = self._block(asked[rows], properties.parcel_id[rows])
        return mean, deviation

    def _block(self, asked: FloatArray, parcel_id: TextArray) -> tuple[FloatArray, FloatArray]:
        beside = self.neighborhood.search(asked, NEIGHBORS)
        points = self.evidence.coordinates[beside]
        noise = self.kernel.noise * self.evidence.noisier[beside]
        own = self.sales.properties.parcel_id[beside] == parcel_id[:, None]
        noise, left = np.where(own, SILENT, noise), np.where(own, 0.0, self.evidence.left[beside])
        every = np.arange(beside.shape[1])
        inner = self.kernel.covariance(points, points)
        inner[:, every, every] += noise
        across = self.kernel.covariance(asked[:, None, :], points)[:, 0]
        solved = np.linalg.solve(inner, np.stack([left, across], axis=-1))
        mean = (across * solved[..., 0]).sum(axis=1)
        variance = self.kernel.amplitudes.sum() - (across * solved[..., 1]).sum(axis=1)
        return mean, np.sqrt(np.maximum(variance, 0.0))


def fit_kriging(sales: TrainingSales, hedonic: Hedonic, kernel: Kernel | None = None) -> Kriging | None:
    """Kriging of what the regression leaves; None below 150 sales. Without a kernel, one is learned."""
    if len(sales) < MINIMUM_SALES:
        return None
    axes = choose_axes(hedonic, sales.properties) if kernel is None else kernel.axes
    size = np.abs(hedonic.residual) / hedonic.sigma
    evidence = Evidence(
        coordinates=axes.coordinates(hedonic, sales.properties, sales.day),
        left=np.clip(hedonic.residual, -FARTHEST * hedonic.sigma, FARTHEST * hedonic.sigma),
        noisier=np.clip(size / NOISY, 1.0, NOISIEST**0.5) ** 2,
    )
    learned = kernel or learn_kernel(axes, evidence)
    return Kriging(hedonic, learned, sales, evidence, Neighborhood(learned, evidence.coordinates))
