"""Gradient-boosted trees on what regression and kriging leave of log price."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import xgboost

from services.valuation.domain.evidence import Groundwork
from services.valuation.domain.features import Features, learn_features
from services.valuation.domain.properties import FloatArray, Properties
from services.valuation.domain.remembered import Remembered
from services.valuation.domain.tree_shap import TreeShap, learn_tree_shap

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
    features: Features
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
        return dict(zip(self._tree_shap.groups, self._tree_shap.explain(self.features.of(properties)).T, strict=True))

    def _compute_log_parts(self, properties: Properties) -> tuple[FloatArray, FloatArray, FloatArray]:
        base = self.groundwork.hedonic.predict(properties)
        foretold, _ = self.groundwork.foretell(properties)
        if self.trees is None:
            return base, foretold, np.zeros(len(base))
        return base, foretold, self.trees.inplace_predict(self.features.of(properties)).astype(float)

    @cached_property
    def _tree_shap(self) -> TreeShap | None:
        return (
            None if self.trees is None else learn_tree_shap(self.trees, self.features.lines(self.trees.num_features()))
        )


def fit_boosting(groundwork: Groundwork) -> Boosting:
    """Trees on the sales of the groundwork; the same sales give the same trees."""
    sales, hedonic = groundwork.sales, groundwork.hedonic
    features = learn_features(groundwork)
    if len(sales) < MINIMUM_SALES:
        return Boosting(groundwork, features, None)
    left = hedonic.residual - groundwork.own_foretold[0]
    trees = xgboost.train(
        SETTINGS,
        xgboost.QuantileDMatrix(features.of_sold(sales.properties), left, nthread=1, max_bin=BINS),
        num_boost_round=int(np.clip(len(sales) // SALES_PER_TREE, FEWEST_TREES, MOST_TREES)),
    )
    return Boosting(groundwork, features, trees)
