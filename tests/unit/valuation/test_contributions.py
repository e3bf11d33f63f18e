"""Contributions: the lines of every value add up to it to the cent, and the trees' part is exact tree SHAP."""

from dataclasses import replace

import hypothesis.extra.numpy as arrays
import numpy as np
import pytest
import xgboost
from hypothesis import given, settings
from hypothesis import strategies as st

from services.valuation.domain.calibration import Level
from services.valuation.domain.contributions import itemise, whole_units
from services.valuation.domain.evidence import Groundwork
from services.valuation.domain.explanation import explain
from services.valuation.domain.models import MODELS, FittedModel, fit_members
from services.valuation.domain.properties import FloatArray
from services.valuation.domain.sales import TrainingSales
from services.valuation.domain.tree_shap import learn_tree_shap
from tests.support.strange_properties import changed, strange


@pytest.fixture(scope="module")
def blend(training: TrainingSales) -> FittedModel:
    return MODELS["blend"].fit(training)


@settings(max_examples=25, deadline=None)
@given(strange(), st.integers(0, 599))
def test_lines_add_up_to_the_value_of_every_property(blend: FittedModel, facts: dict[str, object], row: int) -> None:
    subject = changed(blend.comparables.groundwork.sales.properties, row, facts)
    value_usd = blend.predict(subject)
    itemised = blend.itemise(subject, value_usd)
    assert itemised.cents.sum() == round(value_usd[0] * 100)
    assert {"base", "living_area", "location", "calibration"} <= set(itemised.lines)
    document = itemised.documents()[0]
    assert round(sum(document.values()), 2) == value_usd[0]
    told = explain(document, value_usd[0])
    assert sum(line.amount_usd for line in told.lines) == told.value_usd == round(value_usd[0])


@pytest.mark.parametrize("name", sorted(MODELS))
def test_every_model_says_its_lines(name: str, blend: FittedModel) -> None:
    alone = {"members": {name: blend.members[name]}, "weights": np.ones(1), "level": Level()} if name != "blend" else {}
    fitted = replace(blend, name=name, **alone)  # the members are those of a blend of these sales, made once
    subjects = blend.comparables.groundwork.sales.properties.take(np.arange(40))
    value_usd = fitted.predict(subjects)
    itemised = fitted.itemise(subjects, value_usd)
    assert (itemised.cents.sum(axis=1) == np.rint(value_usd * 100)).all()
    assert ("comparable_sales" in itemised.lines) == (name in {"blend", "comparables", "reconciled"})
    assert ("whole_property" in itemised.lines) == (name in {"blend", "boosting", "network", "reconciled"})


def test_larger_houses_are_worth_more_for_their_size(blend: FittedModel) -> None:
    sold = blend.comparables.groundwork.sales.properties
    itemised = blend.itemise(sold, blend.predict(sold))
    size = itemised.cents[:, itemised.lines.index("living_area")]
    assert np.corrcoef(size, np.log(sold.living_area_sqft))[0, 1] > 0.8


def test_trees_are_told_as_xgboost_tells_them() -> None:
    draw = np.random.default_rng(2)
    features = draw.normal(size=(300, 6)).astype(np.float32).astype(float)
    features[draw.random(features.shape) < 0.1] = np.nan
    label = np.nan_to_num(features[:, 0]) * np.nan_to_num(features[:, 1]) + draw.normal(0, 0.1, 300)
    trees = xgboost.train({"max_depth": 6, "base_score": 0.0}, xgboost.DMatrix(features, label), num_boost_round=12)
    shap = learn_tree_shap(trees, ["a", "b", "a", "c", "b", "c"])
    own = trees.predict(xgboost.DMatrix(features), pred_contribs=True)
    expected = np.column_stack([own[:, [0, 2]].sum(1), own[:, [1, 4]].sum(1), own[:, [3, 5]].sum(1)])
    np.testing.assert_allclose(shap.explain(features), expected.astype(float), atol=2e-5)
    assert shap.expected == pytest.approx(own[0, -1], abs=1e-5)


def test_one_property_is_told_as_among_many(blend: FittedModel, groundwork: Groundwork) -> None:
    subjects = groundwork.sales.properties.take(np.arange(20))
    value_usd = blend.predict(subjects)
    together = blend.itemise(subjects, value_usd)
    alone = blend.itemise(subjects.take(np.array([7])), value_usd[7:8])
    assert np.abs(together.cents[7] - alone.cents[0]).max() <= 1


@given(arrays.arrays(float, (3, 5), elements=st.floats(-1e9, 1e9)))
def test_whole_units_add_up_and_move_no_part_by_more_than_one(parts: FloatArray) -> None:
    total = np.rint(parts.sum(axis=1)).astype(np.int64)
    whole = whole_units(parts, total)
    assert (whole.sum(axis=1) == total).all()
    assert (np.abs(whole - parts) <= 1.0 + 1e-6).all()


def test_a_weight_of_nothing_is_not_asked(groundwork: Groundwork) -> None:
    members = fit_members(("hedonic", "comparables"), groundwork, 5)
    subjects = groundwork.sales.properties.take(np.arange(3))
    value_usd = members["hedonic"].predict(subjects).round(2)
    itemised = itemise(groundwork, members, np.array([1.0, 0.0]), subjects, value_usd)
    assert "comparable_sales" not in itemised.lines
    assert (itemised.cents.sum(axis=1) == np.rint(value_usd * 100)).all()
