"""The registry of models: one interface, `MODELS[name].fit(sales)` and then `estimate(properties)`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from types import MappingProxyType
from typing import Protocol

import numpy as np
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from services.valuation.domain.boosting import Boosting, fit_boosting
from services.valuation.domain.calibration import (
    Level,
    Precision,
    best_weights,
    learn_level,
    learn_precision,
)
from services.valuation.domain.comparables import Comparables, fit_comparables
from services.valuation.domain.contributions import Itemised, itemise
from services.valuation.domain.evidence import Groundwork, learn_groundwork
from services.valuation.domain.kernel import Kernel
from services.valuation.domain.network import Learned, Network, fit_network
from services.valuation.domain.properties import BoolArray, FloatArray, Properties
from services.valuation.domain.regression import Regression, fit_kriged_regression
from services.valuation.domain.sales import TrainingSales

FOLD_STARTS = (0.70, 0.85)  # of the training sales in time order; each fold ends where the next begins

BEYOND_STEP = 0.25  # each quarter log unit beyond what was sold adds one usual error


class Member(Protocol):
    """A fitted way of valuing."""

    def predict(self, properties: Properties) -> FloatArray:
        """Value in USD."""

    def contributions(self, properties: Properties, value_usd: FloatArray) -> dict[str, FloatArray]:
        """What makes up the value, in USD; adds up to it."""


@dataclass(frozen=True)
class Estimates:
    """Values with their 90 % intervals, confidence and what makes them up; one row per property."""

    value_usd: FloatArray
    low_usd: FloatArray
    high_usd: FloatArray
    confidence: FloatArray
    contributions: Mapping[str, FloatArray]

    def take(self, rows: BoolArray) -> "Estimates":
        """The estimates where the mask holds."""
        return Estimates(
            self.value_usd[rows],
            self.low_usd[rows],
            self.high_usd[rows],
            self.confidence[rows],
            {name: values[rows] for name, values in self.contributions.items()},
        )


@dataclass(frozen=True)
class FittedModel:
    """A model that has seen its sales."""

    name: str
    members: Mapping[str, Member]
    weights: FloatArray
    level: Level
    precision: Precision
    comparables: Comparables

    def predict(self, properties: Properties) -> FloatArray:
        """Value in USD, to the cent."""
        return self._value(np.column_stack([m.predict(properties) for m in self.members.values()]))

    def predict_uncalibrated(self, properties: Properties) -> FloatArray:
        """The members' weighed value in USD, as it is before level and equity are set."""
        by_member = np.column_stack([member.predict(properties) for member in self.members.values()])
        return np.asarray(by_member @ self.weights, dtype=float)

    def refit(self, sales: TrainingSales) -> "FittedModel":
        """The same weights, level, precision and covariance on other sales: how to follow sales as they arrive."""
        before = self.comparables.groundwork
        groundwork = learn_groundwork(sales, before.learned_kernel, emphasis=before.emphasis)
        count = self.comparables.count
        return replace(
            self,
            members=fit_members(tuple(self.members), groundwork, count),
            comparables=fit_comparables(groundwork, count),
        )

    def estimate(self, properties: Properties) -> Estimates:
        """Value, interval, confidence and contributions."""
        by_member = np.column_stack([member.predict(properties) for member in self.members.values()])
        value = self._value(by_member)
        beyond = self.comparables.groundwork.hedonic.encoding.beyond(properties)
        scale = self.precision.scale(_difficulty(self.comparables, properties))
        scale *= 1.0 + beyond / BEYOND_STEP
        low, high = self.precision.interval(value, scale)
        return Estimates(
            value_usd=value,
            low_usd=low.round(2),
            high_usd=high.round(2),
            confidence=self.precision.confidence(scale),
            contributions=self._contributions(properties, by_member, value),
        )

    def itemise(self, properties: Properties, value_usd: FloatArray) -> Itemised:
        """The values as `estimate` gave them by characteristic and cause, to the cent."""
        return itemise(self.comparables.groundwork, self.members, self.weights, properties, value_usd)

    def _value(self, by_member: FloatArray) -> FloatArray:
        mixed = by_member @ self.weights
        return self.level.apply(mixed).round(2)

    def _contributions(
        self, properties: Properties, by_member: FloatArray, value: FloatArray
    ) -> Mapping[str, FloatArray]:
        if len(self.members) == 1:
            (member,) = self.members.values()
            return member.contributions(properties, value)
        shares = dict(zip(self.members, (by_member * self.weights).T, strict=True))
        return {**shares, "calibration": value - by_member @ self.weights}


@dataclass(frozen=True)
class Model:
    """A way of valuing by one member, or by several weighed and calibrated together."""

    name: str
    members: tuple[str, ...]

    def fit(
        self, sales: TrainingSales, *, comparables: int = 5, emphasis: Mapping[str, float] | None = None
    ) -> FittedModel:
        """The model of these sales, with `comparables` comparable sales a parcel.

        On one thread: as fast where the machine is shared, and the sums are added in one order.
        """
        with threadpool_limits(limits=1):
            return self._fit(sales, comparables, emphasis or {})

    def _fit(self, sales: TrainingSales, comparables: int, emphasis: Mapping[str, float]) -> FittedModel:
        by_member, price, difficulty, kernel = self._out_of_fold(sales, comparables, emphasis)
        blended = len(self.members) > 1
        weights = best_weights(by_member, price) if blended else np.ones(1)
        level = learn_level(by_member @ weights, price) if blended else Level()
        precision = learn_precision(level.apply(by_member @ weights), price, difficulty)
        groundwork = learn_groundwork(sales, kernel, emphasis=emphasis)
        return FittedModel(
            name=self.name,
            members=fit_members(self.members, groundwork, comparables),
            weights=weights,
            level=level,
            precision=precision,
            comparables=fit_comparables(groundwork, comparables),
        )

    def _out_of_fold(
        self, sales: TrainingSales, comparables: int, emphasis: Mapping[str, float]
    ) -> tuple[FloatArray, FloatArray, FloatArray, Kernel | None]:
        """Each member's value, the price at the valuation date and the difficulty of the folds' sales.

        And the covariance that the oldest sales taught, which the later ones go by.
        """
        values, prices, difficulties = [], [], []
        kernel: Kernel | None = None
        edges = [int(share * len(sales)) for share in (*FOLD_STARTS, 1.0)]
        for start, end in pairwise(edges):
            groundwork = learn_groundwork(sales.take(np.arange(start)), kernel, emphasis=emphasis)
            fold = sales.take(np.arange(start, end))
            members = fit_members(self.members, groundwork, comparables).values()
            values.append(np.column_stack([member.predict(fold.properties) for member in members]))
            prices.append(np.exp(fold.log_price))
            difficulties.append(_difficulty(fit_comparables(groundwork, comparables), fold.properties))
            kernel = groundwork.learned_kernel
        return np.concatenate(values), np.concatenate(prices), np.concatenate(difficulties), kernel


Maker = Callable[[Groundwork, int, Mapping[str, Member]], Member]


def _trees(groundwork: Groundwork, made: Mapping[str, Member]) -> Boosting:
    trees = made.get("boosting")
    return trees if isinstance(trees, Boosting) else fit_boosting(groundwork)


def _networks(groundwork: Groundwork, made: Mapping[str, Member]) -> Network:
    networks = made.get("network")
    return networks if isinstance(networks, Network) else fit_network(_trees(groundwork, made))


def _reconciled(groundwork: Groundwork, comparables: int, made: Mapping[str, Member]) -> Member:
    network = _networks(groundwork, made)
    return fit_comparables(groundwork, comparables, Learned(network.boosting, network))


MEMBERS: Mapping[str, Maker] = MappingProxyType(
    {
        "comparables": lambda groundwork, comparables, _: fit_comparables(groundwork, comparables),
        "hedonic": lambda groundwork, *_: Regression(groundwork.hedonic),
        "kriging": lambda groundwork, *_: fit_kriged_regression(groundwork),
        "boosting": lambda groundwork, *_: fit_boosting(groundwork),
        "network": lambda groundwork, _, made: _networks(groundwork, made),
        "reconciled": _reconciled,
    }
)
BLENDED = ("comparables", "hedonic", "kriging", "boosting", "network", "reconciled")
MODELS: Mapping[str, Model] = MappingProxyType(
    {"blend": Model("blend", BLENDED), **{name: Model(name, (name,)) for name in MEMBERS}}
)


def fit_members(names: tuple[str, ...], groundwork: Groundwork, comparables: int) -> dict[str, Member]:
    """Ways of valuing on one groundwork, in the order of their names given; one may build on those before it."""
    made: dict[str, Member] = {}
    for name in names:
        made[name] = MEMBERS[name](groundwork, comparables, made)
    return made


def _difficulty(comparables: Comparables, properties: Properties) -> FloatArray:
    """One, how unlike the comparable sales are, and how far comparables and regression disagree."""
    grids = [grid for _, grid in comparables.grids(properties)]
    unlike = np.concatenate([grid.dissimilarity.mean(axis=1) for grid in grids])
    indicated = np.concatenate([grid.indicated_usd for grid in grids])
    disagreement = np.abs(comparables.groundwork.hedonic.predict(properties) - np.log(indicated))
    return np.column_stack([np.ones(len(properties)), unlike, disagreement])
