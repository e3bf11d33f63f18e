"""Equity comparables: what similar properties are assessed at, each adjusted to the subject.

The same likeness and the same adjustments as of comparable sales, but without a sale: an owner whose property
is assessed above what its like are assessed at, adjusted, has a case of uniformity whatever the market says.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from services.valuation.domain.comparables import (
    DISTANCE,
    EVEN_WEIGHT,
    emphasis_of,
    ground_of,
    log_parts,
)
from services.valuation.domain.evidence import Groundwork
from services.valuation.domain.grid import WEIGHT_UNITS, Grid, adjust
from services.valuation.domain.hedonic import LOCATION
from services.valuation.domain.properties import FloatArray, Properties, TextArray
from services.valuation.domain.similarity import similarity, similarity_lost


@dataclass(frozen=True)
class EquityRoll:
    """The assessed parcels of one kind, in the space of comparability."""

    groundwork: Groundwork
    lines: tuple[str, ...]
    parcel_id: TextArray
    assessed_usd: FloatArray
    parts: FloatArray
    ground: FloatArray
    tree: cKDTree

    def compare(self, subject: Properties, count: int) -> dict[str, Any] | None:
        """The shape of `contracts.api.valuation.EquityComparison`; None where no other parcel is assessed."""
        parts = log_parts(self.groundwork, subject, None)
        ground = ground_of(self.groundwork, subject)
        searched = min(count + 1, len(self.parcel_id))
        emphasis = emphasis_of(self.groundwork, self.lines)
        _, found = self.tree.query(np.column_stack([ground, parts * emphasis]), k=[*range(1, searched + 1)])
        others = found[0][self.parcel_id[found[0]] != subject.parcel_id[0]][:count]
        if not len(others):
            return None
        grid = self._grid(parts, ground, others[None, :])
        own = self.assessed_usd[self.parcel_id == subject.parcel_id[0]]
        return {
            "assessed_value_usd": float(own[0]) if len(own) else None,
            "indicated_value_usd": float(grid.indicated_usd[0]),
            "median_adjusted_value_usd": round(float(np.median(grid.adjusted_cents[0])) / 100, 2),
            "comparables": self._documents(grid),
        }

    def _grid(self, parts: FloatArray, ground: FloatArray, row: Any) -> Grid:
        differences = parts[:, None, :] - self.parts[row]
        emphasis = emphasis_of(self.groundwork, self.lines)
        aspects = {line: np.abs(differences[:, :, at]) * emphasis[at] for at, line in enumerate(self.lines)}
        aspects[DISTANCE] = np.linalg.norm(ground[:, None] - self.ground[row], axis=2)
        squared: FloatArray = sum((aspect**2 for aspect in aspects.values()), np.zeros(row.shape))
        return adjust(
            row=row,
            lines=self.lines,
            price_usd=self.assessed_usd[row],
            log_lines=differences,
            weight=1.0 / (EVEN_WEIGHT**2 + squared),
            dissimilarity=np.sqrt(squared),
            aspects=aspects,
        )

    def _documents(self, grid: Grid) -> list[dict[str, Any]]:
        score, lost = similarity(grid.dissimilarity), similarity_lost(grid.aspects, grid.dissimilarity)
        return [
            {
                "parcel_id": self.parcel_id[row],
                "assessed_value_usd": int(grid.price_cents[0, at]) / 100,
                "adjustments_usd": _lines(grid, at),
                "adjusted_value_usd": int(grid.adjusted_cents[0, at]) / 100,
                "weight": int(grid.weight_units[0, at]) / WEIGHT_UNITS,
                "similarity": float(score[0, at]),
                "similarity_lost": {name: float(values[0, at]) for name, values in lost.items() if values[0, at]},
            }
            for at, row in enumerate(grid.row[0])
        ]


def learn_equity_roll(groundwork: Groundwork, parcels: Properties, assessed_usd: FloatArray) -> EquityRoll | None:
    """The parcels that have an assessed value; None where none has."""
    known = np.flatnonzero(np.isfinite(assessed_usd) & (assessed_usd > 0))
    if not len(known):
        return None
    assessed = parcels.take(known)
    lines = (*groundwork.hedonic.encoding.groups(), LOCATION)
    parts, ground = log_parts(groundwork, assessed, None), ground_of(groundwork, assessed)
    space = np.column_stack([ground, parts * emphasis_of(groundwork, lines)])
    return EquityRoll(groundwork, lines, assessed.parcel_id, assessed_usd[known], parts, ground, cKDTree(space))


def _lines(grid: Grid, at: int) -> Mapping[str, float]:
    cents = zip(grid.lines, grid.adjustment_cents[0, at].tolist(), strict=True)
    return {name: amount / 100 for name, amount in cents if amount or name == LOCATION}
