"""Comparables beside a property: similarity by aspect, equity, reasons, a county's emphasis, stability."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from contracts.api.valuation import EquityComparison, ExcludedSale
from contracts.county import ComparableSettings
from services.valuation.domain.comparables import fit_comparables
from services.valuation.domain.documents import comparable_sales
from services.valuation.domain.equity_comparables import learn_equity_roll
from services.valuation.domain.evidence import Groundwork
from services.valuation.domain.exclusions import exclusions
from services.valuation.domain.properties import Properties
from tests.support.strange_properties import changed, strange


def subject_of(groundwork: Groundwork, row: int) -> Properties:
    return groundwork.sales.properties.take(np.array([row]))


@settings(max_examples=25, deadline=None)
@given(strange(), st.integers(0, 599), st.integers(1, 6))
def test_everything_adds_up_for_every_property(
    groundwork: Groundwork, facts: dict[str, object], row: int, count: int
) -> None:
    subject = changed(groundwork.sales.properties, row, facts)
    found = fit_comparables(groundwork, count)
    grid = found.grid(subject)
    beside = comparable_sales(found, subject, grid)[0]
    for one in beside:
        assert round(one["similarity"] + sum(one["similarity_lost"].values()), 4) == 1
        assert round(one["sale_price_usd"] + sum(one["adjustments_usd"].values()), 2) == one["adjusted_price_usd"]
    indicated = sum(one["weight"] * one["adjusted_price_usd"] for one in beside)
    assert indicated == pytest.approx(grid.indicated_usd[0], abs=0.006)
    sold = groundwork.sales.properties
    roll = learn_equity_roll(groundwork, sold, np.linspace(1e5, 9e5, len(sold)))
    assert roll is not None
    equity = EquityComparison.model_validate(roll.compare(subject, count))
    assert len(equity.comparables) == count
    for other in equity.comparables:
        assert other.parcel_id != subject.parcel_id[0]
        told = other.assessed_value_usd + sum(other.adjustments_usd.values())
        assert round(told, 2) == other.adjusted_value_usd
        assert round(other.similarity + sum(other.similarity_lost.values()), 4) == 1
    weighed = sum(other.weight * other.adjusted_value_usd for other in equity.comparables)
    assert weighed == pytest.approx(equity.indicated_value_usd, abs=0.006)


def test_equal_assessments_of_like_properties_are_adjusted_to_the_subject(groundwork: Groundwork) -> None:
    sold = groundwork.sales.properties
    fair = np.exp(groundwork.hedonic.predict(sold) + groundwork.surroundings.level(sold))
    roll = learn_equity_roll(groundwork, sold, fair)
    assert roll is not None
    compared = roll.compare(subject_of(groundwork, 5), 5)
    assert compared is not None
    assert compared["indicated_value_usd"] == pytest.approx(fair[5], rel=1e-4)
    assert compared["assessed_value_usd"] == fair[5]


def test_no_assessed_value_is_no_equity(groundwork: Groundwork) -> None:
    sold = groundwork.sales.properties
    assert learn_equity_roll(groundwork, sold, np.full(len(sold), np.nan)) is None
    alone = learn_equity_roll(groundwork, subject_of(groundwork, 0), np.array([1e5]))
    assert alone is not None
    assert alone.compare(subject_of(groundwork, 0), 5) is None


def test_near_sales_that_were_not_chosen_say_why(groundwork: Groundwork) -> None:
    found = fit_comparables(groundwork, 3)
    reasons: set[str] = set()
    for row in range(0, 600, 20):
        subject = subject_of(groundwork, row)
        beside = comparable_sales(found, subject, found.grid(subject))[0]
        chosen = {one["sale_id"] for one in beside}
        told = [ExcludedSale.model_validate(one) for one in exclusions(found, subject, chosen)]
        assert len(told) == 12
        assert not chosen & {one.sale_id for one in told}
        assert told[0].reason == "own_sale"
        reasons |= {one.reason for one in told}
        least = min(one["similarity"] for one in beside)
        assert all(one.similarity is None or one.similarity <= least + 1e-4 for one in told)
    assert {"own_sale", "less_similar"} <= reasons


def test_a_countys_emphasis_chooses_what_it_asks_for(groundwork: Groundwork) -> None:
    subjects = groundwork.sales.properties.take(np.arange(60))
    strict = replace(groundwork, emphasis={"age": 8.0})
    apart = [
        np.abs(found.sales.properties.year_built[found.grid(subjects).row] - subjects.year_built[:, None]).mean()
        for found in (fit_comparables(groundwork, 5), fit_comparables(strict, 5))
    ]
    assert apart[1] < apart[0] / 2
    with pytest.raises(ValidationError):
        ComparableSettings.model_validate({"emphasis": {"view_of_the_sea": 2}})
    with pytest.raises(ValidationError):
        ComparableSettings.model_validate({"emphasis": {"age": 11}})


def test_one_percent_of_area_moves_values_little_and_keeps_most_comparables(groundwork: Groundwork) -> None:
    subjects = groundwork.sales.properties.take(np.arange(200))
    larger = replace(subjects, living_area_sqft=subjects.living_area_sqft * 1.01)
    found = fit_comparables(groundwork, 5)
    before, after = found.grid(subjects), found.grid(larger)
    kept = np.mean([len(set(a) & set(b)) / 5 for a, b in zip(before.row, after.row, strict=True)])
    change = np.abs(after.indicated_usd / before.indicated_usd - 1)
    assert kept > 0.8
    assert np.median(change) < 0.015
    assert change.max() < 0.12
