"""What stands around a property: how its neighbours sold, how large, old and dear they are, and how far apart.

A sale's own price, and those of its own parcel, are never among what is around it.
"""

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from services.valuation.domain.hedonic import LOCATION, Hedonic
from services.valuation.domain.properties import FloatArray, Properties, TextArray
from services.valuation.domain.sales import TrainingSales

CIRCLES = (5, 15, 60)  # nearest sales
MIDDLE = 1  # the circle whose houses are described
AS_ALIKE = 0.2  # difference in log worth of characteristics at which a neighbour counts 1 / e
FARTHEST = 3.0  # robust standard deviations that a residual counts for at most
BLOCK = 4_096


@dataclass(frozen=True)
class Vicinity:
    """The sales by place, with what is described of them (`traits`, one column each)."""

    hedonic: Hedonic
    parcel_id: TextArray
    tree: cKDTree
    place_level: FloatArray
    worth: FloatArray
    log_price: FloatArray
    traits: FloatArray

    def describe(self, properties: Properties) -> FloatArray:
        """One row per property: levels of prices, worth and traits around it, and how it differs."""
        blocks = [
            self._block(properties.take(np.arange(start, min(start + BLOCK, len(properties)))))
            for start in range(0, max(len(properties), 1), BLOCK)
        ]
        return np.concatenate(blocks)

    def _block(self, properties: Properties) -> FloatArray:
        count = min(CIRCLES[-1] + 1, len(self.parcel_id))
        distance, row = self.tree.query(self.hedonic.plane.meters(properties), k=[*range(1, count + 1)])
        others = (self.parcel_id[row] != properties.parcel_id[:, None]).astype(float)
        worth, traits = _worth(self.hedonic, properties), _traits(self.hedonic, properties)
        columns = []
        for circle in CIRCLES:
            weight = others[:, : circle + 1]
            within = row[:, : circle + 1]
            around = _mean(self.worth[within], weight)
            columns += [_mean(self.place_level[within], weight), around, worth - around]
            columns.append(_mean(self.log_price[within], weight))
        weight, within = others[:, : CIRCLES[MIDDLE] + 1], row[:, : CIRCLES[MIDDLE] + 1]
        for trait in range(traits.shape[1]):
            around = _mean(self.traits[within, trait], weight)
            columns += [around, traits[:, trait] - around]
        alike = np.exp(-np.abs(worth[:, None] - self.worth[row]) / AS_ALIKE) * others
        columns.append(_mean(self.place_level[row], alike))
        columns += [np.log1p(distance[:, min(circle, count - 1)]) for circle in CIRCLES[MIDDLE:]]
        return np.column_stack(columns)


def learn_vicinity(sales: TrainingSales, hedonic: Hedonic) -> Vicinity:
    """The sales as neighbours."""
    sold = sales.properties
    parts = hedonic.contributions(sold)
    limit = FARTHEST * hedonic.sigma
    return Vicinity(
        hedonic=hedonic,
        parcel_id=sold.parcel_id,
        tree=cKDTree(hedonic.plane.meters(sold)),
        place_level=parts[LOCATION] + np.clip(hedonic.residual, -limit, limit),
        worth=_worth(hedonic, sold),
        log_price=sales.log_price,
        traits=_traits(hedonic, sold),
    )


def _worth(hedonic: Hedonic, properties: Properties) -> FloatArray:
    """Log value of the characteristics, wherever they stand."""
    return np.asarray(hedonic.predict(properties) - hedonic.contributions(properties)[LOCATION])


def _traits(hedonic: Hedonic, properties: Properties) -> FloatArray:
    """Log areas and age, filled where not known."""
    known, fill = hedonic.encoding.numbers(properties), hedonic.encoding.fill
    names = [name for name in ("living_area", "land_area", "age") if name in fill]
    columns = [np.where(np.isnan(known[name]), fill[name], known[name]) for name in names]
    return np.column_stack([np.zeros((len(properties), 0)), *columns])


def _mean(values: FloatArray, weight: FloatArray) -> FloatArray:
    return np.asarray((values * weight).sum(axis=1) / np.maximum(weight.sum(axis=1), 1e-9))
