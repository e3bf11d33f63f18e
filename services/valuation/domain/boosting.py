"""Gradient-boosted trees on what regression and kriging leave of log price.

No sale's own price stands behind its own features: its neighbourhood's level leaves it out, kriging and
vicinity leave its parcel out, and its surroundings count sales before it only.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import xgboost

from services.valuation.domain.evidence import Groundwork
from services.valuation.domain.hedonic import LOCATION
from services.valuation.domain.properties import FloatArray, Properties
from services.valuation.domain.remembered import Remembered
from services.valuation.domain.tree_shap import TreeShap, learn_tree_shap
from services.valuation.domain.vicinity import Vicinity, learn_vicinity

SALES_AROUND, SURROUNDINGS, WHOLE = "sales_around", "surroundings", "whole_property"
MINIMUM_SALES = 150  # below, trees of ten sales a leaf say nothing that the regression does not
BINS = 64  # values of a feature told apart: fewer are faster and no worse
SALES_PER_TREE, FEWEST_TREES, MOST_TREES = 20, 50, 800
SETTINGS = {
    "objective": "reg:pseudohubererror",  # near absolute error: the middle of what was paid, not the mean
    "huber_slope": 0.05,
    "base_score": 0.0,
    "learning_rate": 0.02,
    "max_depth": 7,
    "min_child_weight": 10.0,
    "subsample": 0.7,
    "colsample_bynode": 0.2,
    "reg_lambda": 5.0,
    "tree_method": "hist",
    "max_bin": BINS,
    "nthread": 1,  # threads of OpenMP that wait spin: two were five times slower beside another busy process
    "seed": 0,
}


@dataclass(frozen=True)
class Boosting:
    """Fitted trees; without them (too few sales) the regression and the sales around stand alone."""

    groundwork: Groundwork
    vicinity: Vicinity
    trees: xgboost.Booster | None

    def predict(self, properties: Properties) -> FloatArray:
        """Value in USD."""
        hedonic, around, trees = self._log_parts(properties)
        value: FloatArray = np.exp(hedonic + around + trees)
        return value

    def contributions(self, properties: Properties, value_usd: FloatArray) -> dict[str, FloatArray]:
        """What the regression says, and what the sales around and the trees add, in USD."""
        hedonic, around, _ = self._log_parts(properties)
        base, kriged = np.exp(hedonic), np.exp(hedonic + around)
        return {"hedonic": base, "sales_around": kriged - base, "trees": value_usd - kriged}

    @cached_property
    def _log_parts(self) -> Remembered[tuple[FloatArray, FloatArray, FloatArray]]:
        return Remembered(self._compute_log_parts)

    def added_by_trees(self, properties: Properties) -> dict[str, FloatArray]:
        """What the trees add to the log value, by line of the grid; besides these they add a constant."""
        return {} if self._tree_shap is None else self._added(properties)

    @cached_property
    def _added(self) -> Remembered[dict[str, FloatArray]]:
        return Remembered(self._explain)

    def _explain(self, properties: Properties) -> dict[str, FloatArray]:
        assert self._tree_shap is not None
        return dict(zip(self._tree_shap.groups, self._tree_shap.explain(self._described(properties)).T, strict=True))

    def _compute_log_parts(self, properties: Properties) -> tuple[FloatArray, FloatArray, FloatArray]:
        base = self.groundwork.hedonic.predict(properties)
        foretold, _ = self.groundwork.foretell(properties)
        if self.trees is None:
            return base, foretold, np.zeros(len(base))
        return base, foretold, self.trees.inplace_predict(self._described(properties)).astype(float)

    @cached_property
    def _described(self) -> Remembered[FloatArray]:
        return Remembered(self._describe)

    def _describe(self, properties: Properties) -> FloatArray:
        place = self.groundwork.hedonic.contributions(properties)[LOCATION]
        nearby = self.groundwork.surroundings.level(properties)
        return _features(self, properties, (place, nearby, *self.groundwork.foretell(properties)))

    @cached_property
    def _tree_shap(self) -> TreeShap | None:
        return None if self.trees is None else learn_tree_shap(self.trees, _lines(self, self.trees.num_features()))


def fit_boosting(groundwork: Groundwork) -> Boosting:
    """Trees on the sales of the groundwork; the same sales give the same trees."""
    sales, hedonic = groundwork.sales, groundwork.hedonic
    untrained = Boosting(groundwork, learn_vicinity(sales, hedonic), None)
    if len(sales) < MINIMUM_SALES:
        return untrained
    effect = np.array([hedonic.neighborhoods[name] for name in sales.properties.neighborhood])
    own_out = hedonic.left_out_effects(sales.properties.neighborhood) - effect
    place = hedonic.contributions(sales.properties)[LOCATION] + own_out
    nearby = groundwork.surroundings.level(sales.properties, before_day=sales.day)
    foretold, deviation = groundwork.own_foretold
    features = _features(untrained, sales.properties, (place, nearby, foretold, deviation))
    left = hedonic.residual - foretold
    trees = xgboost.train(
        SETTINGS,
        xgboost.QuantileDMatrix(features, left, nthread=1, max_bin=BINS),
        num_boost_round=int(np.clip(len(sales) // SALES_PER_TREE, FEWEST_TREES, MOST_TREES)),
    )
    return Boosting(groundwork, untrained.vicinity, trees)


def _features(
    boosting: Boosting, properties: Properties, place: tuple[FloatArray, FloatArray, FloatArray, FloatArray]
) -> FloatArray:
    """Numbers as they are, levels by their effect, the place, what is around it, and what is foretold of it."""
    hedonic = boosting.groundwork.hedonic
    effect, nearby, foretold, deviation = place
    parts = hedonic.contributions(properties)
    known = hedonic.encoding.numbers(properties)
    unknown = np.full(len(properties), np.nan)
    raw = [known.get(name, unknown) for name in hedonic.encoding.fill]
    levels = [parts[group] for group in hedonic.encoding.level_groups()]
    east, north = hedonic.plane.meters(properties).T
    whole = sum(parts.values(), np.zeros(len(properties))) - parts[LOCATION] + effect
    where = [east, north, east + north, east - north, effect, nearby, whole]
    around = boosting.vicinity.describe(properties)
    return np.column_stack([*raw, *levels, *where, around, foretold, whole + foretold, deviation])


def _lines(boosting: Boosting, count: int) -> list[str]:
    """The line of the grid that each of the features belongs to."""
    encoding = boosting.groundwork.hedonic.encoding
    raw = ["age" if name == "years_since_built" else name for name in encoding.fill]
    known = [*raw, *encoding.level_groups(), *[LOCATION] * 5, SALES_AROUND, WHOLE]
    last = [SALES_AROUND, WHOLE, SALES_AROUND]
    return [*known, *[SURROUNDINGS] * (count - len(known) - len(last)), *last]
