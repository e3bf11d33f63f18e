"""The adjustment grid: each comparable's price taken to the subject line by line, exact to the cent."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from services.valuation.domain.properties import FloatArray, IntArray

WEIGHT_UNITS = 10_000


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Subjects by comparables, best first; `adjustment_cents` by line as well.

    Price plus adjustments is the adjusted price, and weights times adjusted prices the indicated value, in
    whole cents; weights are whole ten-thousandths that add up to 1. A weight of 0 is no comparable.
    """

    row: IntArray
    lines: tuple[str, ...]
    price_cents: IntArray
    adjustment_cents: IntArray
    adjusted_cents: IntArray
    weight_units: IntArray
    indicated_cents: IntArray
    dissimilarity: FloatArray
    aspects: Mapping[str, FloatArray]

    @property
    def indicated_usd(self) -> FloatArray:
        """Indicated values in USD."""
        return self.indicated_cents / 100.0


def adjust(
    *,
    row: IntArray,
    lines: tuple[str, ...],
    price_usd: FloatArray,
    log_lines: FloatArray,
    weight: FloatArray,
    dissimilarity: FloatArray,
    aspects: Mapping[str, FloatArray],
) -> Grid:
    """The grid of comparables from their log price differences by line (subject less comparable).

    A product of factors is told as a sum of dollars by the logarithmic mean (Ang's LMDI decomposition):
    exact, without a residual, and independent of the order of the lines.
    """
    total = log_lines.sum(axis=2)
    small = np.abs(total) < 1e-9
    mean_usd = price_usd * np.where(small, 1.0, np.expm1(total) / np.where(small, 1.0, total))
    price_cents = np.rint(price_usd * 100).astype(np.int64)
    adjustment_cents = np.rint(mean_usd[:, :, None] * log_lines * 100).astype(np.int64)
    adjusted_cents = price_cents + adjustment_cents.sum(axis=2)
    weight_units = _whole_weights(weight)
    weighted = (weight_units * adjusted_cents).sum(axis=1)
    return Grid(
        row=row,
        lines=lines,
        price_cents=price_cents,
        adjustment_cents=adjustment_cents,
        adjusted_cents=adjusted_cents,
        weight_units=weight_units,
        indicated_cents=(weighted + WEIGHT_UNITS // 2) // WEIGHT_UNITS,
        dissimilarity=dissimilarity,
        aspects=aspects,
    )


def _whole_weights(weight: FloatArray) -> IntArray:
    """Shares in whole units; what rounding leaves goes to the best comparable."""
    share = weight / weight.sum(axis=1, keepdims=True)
    units: IntArray = np.floor(share * WEIGHT_UNITS).astype(np.int64)
    units[:, 0] += WEIGHT_UNITS - units.sum(axis=1)
    return units
