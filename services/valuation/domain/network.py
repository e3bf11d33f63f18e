"""A small neural network of log price: smooth where trees are steps, so that their errors differ.

It is told what the trees are told (of each sale without that sale), the terms of the regression and waves of
place. Several networks, which differ by their random start and the order of sales, are averaged. Far from what was
sold a network says anything: it may leave the kriged regression no farther than `USUAL` of what it usually does.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from services.valuation.domain.boosting import Boosting
from services.valuation.domain.hedonic import surface
from services.valuation.domain.network_training import Layer, forward, trained
from services.valuation.domain.properties import FloatArray, Properties
from services.valuation.domain.remembered import Remembered

NETWORKS = 4
WAVES = 24
FARTHEST = 4.0  # standard deviations of an input that count
USUAL = 3.0  # robust standard deviations of what networks add to the kriged regression
BLOCK = 4_096


@dataclass(frozen=True)
class Network:
    """Fitted networks; without them (too few sales) the regression and the sales around stand alone."""

    boosting: Boosting
    center: FloatArray
    spread: FloatArray
    middle: float
    unit: float
    reach: float
    networks: tuple[tuple[Layer, ...], ...]

    def predict(self, properties: Properties) -> FloatArray:
        """Value in USD."""
        value: FloatArray = np.exp(sum(self._log_parts(properties)))
        return value

    def contributions(self, properties: Properties, value_usd: FloatArray) -> dict[str, FloatArray]:
        """What the regression says, and what the sales around and the networks add, in USD."""
        hedonic, around, _ = self._log_parts(properties)
        base, kriged = np.exp(hedonic), np.exp(hedonic + around)
        return {"hedonic": base, "sales_around": kriged - base, "network": value_usd - kriged}

    def added_by_networks(self, properties: Properties) -> FloatArray:
        """What the networks add to the log value of regression and kriging."""
        return self._log_parts(properties)[2]

    @cached_property
    def _log_parts(self) -> Remembered[tuple[FloatArray, FloatArray, FloatArray]]:
        return Remembered(self._compute_log_parts)

    def _compute_log_parts(self, properties: Properties) -> tuple[FloatArray, FloatArray, FloatArray]:
        groundwork = self.boosting.groundwork
        hedonic, (around, _) = groundwork.hedonic.predict(properties), groundwork.foretell(properties)
        if not self.networks:
            return hedonic, around, np.zeros(len(properties))
        told = self.tell(inputs_of(self.boosting, properties, self.boosting.features.of(properties)))
        return hedonic, around, np.clip(told - hedonic - around, -self.reach, self.reach)

    def tell(self, inputs: FloatArray) -> FloatArray:
        """Log value by the networks' mean, however far from the regression."""
        total = np.zeros(len(inputs))
        for start in range(0, len(inputs), BLOCK):
            rows = slice(start, start + BLOCK)
            scaled = self.scaled(inputs[rows])
            total[rows] = sum(forward(layers, scaled) for layers in self.networks)
        return np.asarray(self.middle + self.unit * total / len(self.networks))

    def scaled(self, inputs: FloatArray) -> FloatArray:
        """Inputs about their middle in spreads, within bounds; what is not known is the middle."""
        return np.clip(np.nan_to_num((inputs - self.center) / self.spread), -FARTHEST, FARTHEST)


@dataclass(frozen=True)
class Learned:
    """What trees and networks learned, in equal parts."""

    boosting: Boosting
    network: Network

    def predict(self, properties: Properties) -> FloatArray:
        """Value in USD."""
        value: FloatArray = np.sqrt(self.boosting.predict(properties) * self.network.predict(properties))
        return value


def fit_network(boosting: Boosting) -> Network:
    """Networks on the sales of the trees; the same sales give the same networks."""
    groundwork = boosting.groundwork
    sales, hedonic, none = groundwork.sales, groundwork.hedonic, np.zeros(0)
    middle = float(np.median(sales.log_price))
    untrained = Network(boosting, none, none, middle, hedonic.sigma, 0.0, ())
    if boosting.trees is None:
        return untrained
    inputs = inputs_of(boosting, sales.properties, boosting.features.of_sold(sales.properties))
    center, spread = _scaling(inputs)
    scaling = replace(untrained, center=center, spread=spread)
    scaled = scaling.scaled(inputs).astype(np.float32)
    goal = ((sales.log_price - middle) / hedonic.sigma).astype(np.float32)
    free = replace(scaling, networks=tuple(trained(scaled, goal, seed) for seed in range(NETWORKS)))
    added = free.tell(inputs) - (sales.log_price - hedonic.residual + groundwork.own_foretold[0])
    return replace(free, reach=USUAL * 1.4826 * float(np.median(np.abs(added))))


def inputs_of(boosting: Boosting, properties: Properties, features: FloatArray) -> FloatArray:
    """One row per property: the trees' features, the regression's terms, and waves of place."""
    hedonic = boosting.groundwork.hedonic
    waves = surface(hedonic.plane, hedonic.plane_scale, properties, WAVES)
    return np.column_stack([features, hedonic.encoding.matrix(properties), waves])


def _scaling(inputs: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Middle and spread of what is known of each input; an input that is the same for all counts nothing."""
    known = np.isfinite(inputs)
    count = np.maximum(known.sum(axis=0), 1)
    center = np.where(known, inputs, 0.0).sum(axis=0) / count
    spread = np.sqrt((np.where(known, inputs - center, 0.0) ** 2).sum(axis=0) / count)
    return center, np.where(spread > 1e-9, spread, np.inf)
