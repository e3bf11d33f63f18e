"""On the synthetic county's price process the study finds what was planted, at fifty thousand sales."""

from datetime import date
from functools import cache

import numpy as np
import pytest

from appraisal.price_index import price_index
from appraisal.price_trend import price_trend
from appraisal.sale_screening import ScreeningRules, screen_sales
from contracts.api.market import MarketStudy
from services.ingest.synthetic.prices import ASSESSMENT_LEVEL, MONTHLY_TREND_PERCENT
from services.ingest.synthetic.world import World, build_world
from services.market.domain.mix import learn_mix
from services.market.domain.segments import segments_asked
from services.market.domain.study import Terms, study_market
from tests.support.synthetic_sales import RESIDENTIAL, VACANT, SyntheticMarket, synthetic_market

PERIOD = ScreeningRules(from_date=date(2021, 1, 1), to_date=date(2025, 12, 31))
HOMES, LAND, OTHER = segments_asked(None, residential=RESIDENTIAL, vacant=VACANT)
PARCELS_OF_FIFTY_THOUSAND_SALES = 200_000


@cache
def world(parcels: int) -> World:
    return build_world(parcels=parcels, seed=7, tax_year=2026)


@cache
def market(parcels: int) -> SyntheticMarket:
    return synthetic_market(world(parcels))


@cache
def study_of(parcels: int) -> MarketStudy:
    made = market(parcels)
    return study_market(
        made.sales, county="synthetic", rules=PERIOD, segments=[HOMES, LAND, OTHER], terms=Terms(parcels=made.parcels)
    )


def planted_index(month: int, base: int) -> float:
    return 100 * (1 + MONTHLY_TREND_PERCENT / 100) ** (month - base)


@pytest.mark.slow
def test_trend_and_index_of_fifty_thousand_sales_are_those_planted() -> None:
    sales, _ = screen_sales(market(PARCELS_OF_FIFTY_THOUSAND_SALES).sales, PERIOD)
    homes = HOMES.of(sales)
    assert homes.height >= 50_000
    mix = learn_mix(homes)
    sold = mix.price_usd[mix.usable], mix.month[mix.usable], mix.controls[mix.usable]
    trend = price_trend(*sold)
    assert trend.monthly_trend_percent == pytest.approx(MONTHLY_TREND_PERCENT, abs=0.01)  # the goal is 0.1
    low, high = trend.monthly_trend_percent_interval
    assert low < MONTHLY_TREND_PERCENT < high
    assert high - low < 0.02
    index = price_index(*sold)
    held = 0
    for month in index.months[1:]:
        assert month.index is not None
        assert month.interval is not None
        truth = planted_index(month.month, index.base_month)
        assert month.index == pytest.approx(truth, rel=0.01)
        held += month.interval[0] <= truth <= month.interval[1]
    assert held >= 50  # of 59 at 95 %, all against the same base month


@pytest.mark.slow
def test_every_part_of_the_study_of_a_county_agrees_with_what_was_planted() -> None:
    parcels = 40_000
    made = study_of(parcels)
    homes, land, other = made.segments
    for segment in (homes, land, other):
        assert segment.monthly_trend_percent == pytest.approx(MONTHLY_TREND_PERCENT, abs=0.1)
        assert segment.seasonality is not None
        assert segment.seasonality.is_seasonal is False
        assert segment.absorption is not None
        assert segment.absorption.parcels is not None
    effects = dict(zip(world(parcels).neighborhood_codes, world(parcels).neighborhood_effects, strict=True))
    levels = np.array(
        [
            (np.log(place.level / 100), effects[place.neighborhood])
            for place in homes.neighborhoods
            if place.level is not None
        ]
    )
    assert len(levels) > 200
    assert np.corrcoef(levels.T)[0, 1] > 0.95
    assert homes.repeat_sales is not None
    assert homes.repeat_sales.pairs > 400
    low, high = homes.repeat_sales.jump_interval or (np.nan, np.nan)
    assert low < 0.0 < high  # nothing was done to the houses between
    ageing = 100 * 0.0035 / 12  # a house that sells again is older, which the pairs cannot leave out
    low, high = homes.repeat_sales.monthly_trend_interval or (np.nan, np.nan)
    assert low < MONTHLY_TREND_PERCENT
    assert high > MONTHLY_TREND_PERCENT - ageing
    assert homes.area_basis == "living_area_sqft"
    assert land.area_basis == "land_area_sqft"


@pytest.mark.slow
def test_assessed_values_and_groups_of_neighborhoods_are_told() -> None:
    parcels = 40_000
    homes = study_of(parcels).segments[0]
    ratios = [place.ratio.median_ratio for place in homes.neighborhoods if place.ratio and place.ratio.median_ratio]
    assert len(ratios) > 200
    assert np.median(ratios) == pytest.approx(ASSESSMENT_LEVEL, abs=0.03)  # of prices carried to today's level
    assert homes.regrouping is not None
    effects = dict(zip(world(parcels).neighborhood_codes, world(parcels).neighborhood_effects, strict=True))
    within = [np.std([effects[name] for name in group.neighborhoods]) for group in homes.regrouping.groups]
    assert all(group.has_enough_sales for group in homes.regrouping.groups)
    assert len(homes.regrouping.groups) < len(homes.neighborhoods)
    assert np.mean(within) < np.std(list(effects.values())) / 2
    assert {merge.touching for merge in homes.regrouping.merges} == {True}


def test_the_same_sales_in_another_order_are_the_same_study() -> None:
    made = synthetic_market(build_world(parcels=4_000, seed=3, tax_year=2026))
    turned = made.sales.reverse()
    first, second = (
        study_market(sales, county="synthetic", rules=PERIOD, segments=[HOMES], terms=Terms(parcels=made.parcels))
        for sales in (made.sales, turned)
    )
    assert first == second
