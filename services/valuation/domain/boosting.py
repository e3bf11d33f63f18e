"""Gradient-boosted trees on what the hedonic regression leaves of log price, levels of places among features.

No sale's own price stands behind its own features: its neighbourhood's level leaves it out, and its
surroundings count sales before it only.
"""

from dataclasses import dataclass

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from services.valuation.domain.encoding import CATEGORIES, raw_numbers
from services.valuation.domain.evidence import Groundwork
from services.valuation.domain.hedonic import LOCATION
from services.valuation.domain.properties import FloatArray, Properties

MINIMUM_SALES = 100  # below, trees of 15 sales a leaf say nothing that the regression does not
SALES_PER_TREE, FEWEST_TREES, MOST_TREES = 20, 50, 800


@dataclass(frozen=True)
class Boosting:
    """Fitted trees; without them (too few sales) the regression and the surroundings stand alone."""

    groundwork: Groundwork
    trees: HistGradientBoostingRegressor | None

    def predict(self, properties: Properties) -> FloatArray:
        """Value in USD."""
        hedonic, nearby = self.groundwork.hedonic, self.groundwork.surroundings.level(properties)
        base = hedonic.predict(properties)
        if self.trees is None:
            return np.exp(base + nearby)
        place = hedonic.contributions(properties)[LOCATION]
        corrected = base + self.trees.predict(_features(self.groundwork, properties, place, nearby))
        value: FloatArray = np.exp(corrected)
        return value

    def contributions(self, properties: Properties, value_usd: FloatArray) -> dict[str, FloatArray]:
        """What the regression says and what the trees add, in USD."""
        base = np.exp(self.groundwork.hedonic.predict(properties))
        return {"hedonic": base, "trees": value_usd - base}


def fit_boosting(groundwork: Groundwork) -> Boosting:
    """Trees on the sales of the groundwork; the same sales give the same trees."""
    sales, hedonic = groundwork.sales, groundwork.hedonic
    if len(sales) < MINIMUM_SALES:
        return Boosting(groundwork, None)
    parts = hedonic.contributions(sales.properties)
    effect = np.array([hedonic.neighborhoods[name] for name in sales.properties.neighborhood])
    own_out = hedonic.left_out_effects(sales.properties.neighborhood) - effect
    nearby = groundwork.surroundings.level(sales.properties, before_day=sales.day)
    features = _features(groundwork, sales.properties, parts[LOCATION] + own_out, nearby)
    trees = HistGradientBoostingRegressor(
        learning_rate=0.03,
        max_iter=int(np.clip(len(sales) // SALES_PER_TREE, FEWEST_TREES, MOST_TREES)),
        max_leaf_nodes=16,
        min_samples_leaf=15,
        l2_regularization=5.0,
        max_features=0.4,
        early_stopping=False,
        random_state=0,
    )
    left = hedonic.residual - own_out
    # one thread: OpenMP's waiting threads spin, and a fit took 20 times longer beside another busy process
    with threadpool_limits(limits=1, user_api="openmp"):
        trees.fit(features, left, sample_weight=hedonic.robust_weight(left))
    return Boosting(groundwork, trees)


def _features(groundwork: Groundwork, properties: Properties, place: FloatArray, nearby: FloatArray) -> FloatArray:
    hedonic = groundwork.hedonic
    parts = hedonic.contributions(properties)
    east, north = hedonic.plane.meters(properties).T
    levels = [parts[group] for group in CATEGORIES if group in parts]
    numbers = raw_numbers(properties, hedonic.encoding.year)
    raw = [values for name, values in numbers.items() if name in hedonic.encoding.fill]
    whole = sum(parts.values(), np.zeros(len(properties))) - parts[LOCATION] + place
    return np.column_stack([*raw, *levels, east, north, east + north, east - north, place, nearby, whole])
