"""What a run makes of the model's values: factors, caps, flags."""

import pickle
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from contracts.api.valuation import ValuationParameters
from contracts.api.valuation_runs import ReviewLimits, ValueCap, ValueFactor
from services.valuation.domain.caps import capped
from services.valuation.domain.factors import matches, multiplier
from services.valuation.domain.refusal import ValuationRefusedError
from services.valuation.domain.review import flags
from services.valuation.domain.runs import RunRules, Standing, choose_basis, finish, prior_usd

RUN_ID = "01890000-0000-7000-8000-000000000000"
places = st.sampled_from(["N1", "N2", "N3", None])
codes = st.sampled_from(["11", "111", "12", "91", None])
percents = st.integers(-9_000, 90_000).map(lambda value: value / 100)
dollars = st.integers(1, 10**11).map(lambda cents: cents / 100)
factors = st.builds(
    ValueFactor,
    percent=percents,
    neighborhoods=st.sampled_from([None, ["N1"], ["N2"], ["N1", "N2"]]),
    use_codes=st.sampled_from([["1"], ["11"], ["9"], ["11", "9"]]),
)
limits = st.integers(0, 10_000).map(lambda value: value / 100)
caps = st.builds(ValueCap, increase_percent=limits, decrease_percent=limits)


@st.composite
def model_rows(draw: st.DrawFn) -> dict[str, Any]:
    """A row as the model gives it: parts and contributions add up to the value."""
    cents = draw(st.integers(100, 10**11))
    land = draw(st.one_of(st.none(), st.integers(0, cents)))
    first = draw(st.integers(0, cents))
    return {
        "parcel_id": "p1",
        "value_usd": cents / 100,
        "land_value_usd": None if land is None else land / 100,
        "improvement_value_usd": None if land is None else (cents - land) / 100,
        "low_usd": round(cents / 100 * 0.8, 2),
        "high_usd": round(cents / 100 * 1.2, 2),
        "contributions": {"hedonic": first / 100, "boosting": (cents - first) / 100},
    }


@given(st.lists(factors, max_size=4), places, codes)
def test_factors_multiply_in_any_order_and_leave_others_alone(
    chosen: list[ValueFactor], place: str | None, code: str | None
) -> None:
    by = multiplier(chosen, neighborhood=place, use_code=code)
    assert by == pytest.approx(multiplier(chosen[::-1], neighborhood=place, use_code=code))
    matching = [one for one in chosen if matches(one, neighborhood=place, use_code=code)]
    assert by == pytest.approx(multiplier(matching, neighborhood=place, use_code=code))
    assert matching or by == 1.0


def test_a_factor_is_of_a_neighbourhood_a_use_class_or_both() -> None:
    both = ValueFactor(neighborhoods=["N1"], use_codes=["11"], percent=4)
    assert multiplier([both], neighborhood="N1", use_code="111") == 1.04
    assert multiplier([both], neighborhood="N1", use_code="12") == 1
    assert multiplier([both], neighborhood=None, use_code="11") == 1
    assert multiplier([ValueFactor(all=True, percent=-10)], neighborhood=None, use_code=None) == 0.9


@given(dollars, st.one_of(st.none(), dollars), caps, places)
def test_a_capped_value_is_within_the_cap_and_moves_no_further_than_it_must(
    value: float, prior: float | None, cap: ValueCap, place: str | None
) -> None:
    found = capped(value, prior, [cap], neighborhood=place, use_code="11")
    if prior is None:
        assert found == value
        return
    assert cap.increase_percent is not None
    assert cap.decrease_percent is not None
    high = round(prior * (1 + cap.increase_percent / 100), 2)
    low = round(prior * (1 - cap.decrease_percent / 100), 2)
    assert low <= found <= high
    assert found == value or found in (low, high)
    assert capped(found, prior, [cap], neighborhood=place, use_code="11") == found


def test_the_first_cap_that_matches_counts() -> None:
    chosen = [ValueCap(neighborhoods=["N1"], increase_percent=50), ValueCap(increase_percent=10)]
    assert capped(200, 100, chosen, neighborhood="N1", use_code=None) == 150
    assert capped(200, 100, chosen, neighborhood="N2", use_code=None) == 110
    assert capped(20, 100, chosen, neighborhood="N2", use_code=None) == 20
    assert capped(200, 0, chosen, neighborhood="N1", use_code=None) == 200


@given(model_rows(), st.lists(factors, max_size=3), st.lists(caps, max_size=2), st.one_of(st.none(), dollars))
def test_a_finished_row_adds_up(
    row: Mapping[str, Any], chosen: list[ValueFactor], limited: list[ValueCap], prior: float | None
) -> None:
    done = finish(row, Standing("N1", "11", prior), RunRules(chosen, limited))
    assert done["model_value_usd"] == row["value_usd"]
    assert sum(done["contributions"].values()) == pytest.approx(done["value_usd"], abs=0.011)
    if row["land_value_usd"] is not None:
        assert done["land_value_usd"] + done["improvement_value_usd"] == pytest.approx(done["value_usd"], abs=0.006)
        assert done["improvement_value_usd"] >= 0
    assert done["low_usd"] <= done["uncapped_value_usd"] <= done["high_usd"]
    assert ("capped" in done["flags"]) == (done["value_usd"] != done["uncapped_value_usd"])
    assert done["prior_value_usd"] == prior


@given(model_rows())
def test_without_rules_a_row_stays_what_the_model_said(row: Mapping[str, Any]) -> None:
    done = finish(row, Standing("N1", "11"), RunRules())
    assert {name: done[name] for name in row} == row
    assert done["flags"] == []


@pytest.mark.parametrize(
    ("value", "prior", "interval", "found"),
    [
        (100, 100, (90, 110), []),
        (151, 100, (140, 160), ["change_too_large"]),
        (49, 100, (40, 60), ["change_too_large"]),
        (150, 100, (140, 160), []),
        (100, None, (40, 160), ["interval_wide"]),
        (100, 0, (95, 105), []),
        (100, 100, (101, 110), ["outside_interval"]),
    ],
)
def test_what_is_not_plausible_is_flagged(
    value: float, prior: float | None, interval: tuple[float, float], found: list[str]
) -> None:
    said = flags(value, prior_usd=prior, interval_usd=interval, is_capped=False, limits=ReviewLimits())
    assert said == found


def test_the_prior_value_is_of_the_year_before_or_of_the_roll() -> None:
    known = {"run_year": 2026, "total_usd": 300.0, "prior_year_usd": 280.0}
    assert prior_usd("prior_year", layer_year=2026, **known) == 280
    assert prior_usd("prior_year", layer_year=2025, **known) == 300
    assert prior_usd("roll", layer_year=2026, **known) == 300
    assert prior_usd("roll", run_year=2026, layer_year=2026, total_usd=0.0, prior_year_usd=1.0) is None
    assert choose_basis(None, has_prior_year=True) == "prior_year"
    assert choose_basis(None, has_prior_year=False) == "roll"
    assert choose_basis("roll", has_prior_year=True) == "roll"


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"mode": "value"},
        {"scope": {"use_codes": ["11"], "all": True}},
        {"scope": {"all": True}, "factors": [{"percent": 4}]},
        {"scope": {"all": True}, "factors": [{"percent": 4, "all": True, "neighborhoods": ["N1"]}]},
        {"scope": {"all": True}, "factors": [{"percent": -95, "all": True}]},
        {"scope": {"all": True}, "caps": [{}]},
        {"scope": {"all": True}, "base_run_id": RUN_ID, "tax_year": 2026},
        {"mode": "post", "run_id": RUN_ID, "base_run_id": RUN_ID},
        {"mode": "promote"},
        {"mode": "approve", "run_id": RUN_ID},
        {"mode": "post", "run_id": RUN_ID, "scope": {"all": True}},
        {"mode": "override", "override": {"parcel_id": "1", "value_usd": -1, "reason": "because"}},
        {"mode": "override", "override": {"parcel_id": "1", "value_usd": "nan", "reason": "because"}},
        {"mode": "override", "override": {"parcel_id": "1", "value_usd": 1, "reason": ""}},
        {"mode": "override", "override": {"parcel_id": "1", "value_usd": 1, "land_value_usd": 2, "reason": "because"}},
        {"mode": "withdraw"},
    ],
)
def test_a_request_that_does_not_say_what_it_needs_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ValuationParameters.model_validate(wrong)


@pytest.mark.parametrize("count", [10, 400])
def test_factors_that_leave_no_amount_of_money_are_refused_wherever_they_are_laid(count: int) -> None:
    row = {
        "parcel_id": "p1",
        "value_usd": 300_000.0,
        "low_usd": 250_000.0,
        "high_usd": 350_000.0,
        "land_value_usd": None,
        "improvement_value_usd": None,
        "contributions": {"hedonic": 300_000.0},
    }
    tenfold = [ValueFactor(percent=900, all=True)] * count
    with pytest.raises(ValuationRefusedError) as refusal:
        finish(row, Standing(), RunRules(factors=tenfold))
    again = pickle.loads(pickle.dumps(refusal.value))  # as it comes from another process
    assert (again.code, str(again), again.details) == ("value_too_large", str(refusal.value), refusal.value.details)
