"""King County, May 2014 to May 2015: prices rose while the median price per area fell, because the mix moved."""

from datetime import date
from functools import cache

import pytest

from appraisal.sale_screening import ScreeningRules
from contracts.api.market import IndexPoint, MarketSegment
from services.market.domain.segments import Segment
from services.market.domain.study import study_market
from tests.support.king_county import king_county_sales

MAY_2014, FEBRUARY_2015, MAY_2015 = date(2014, 5, 1), date(2015, 2, 1), date(2015, 5, 1)


@cache
def king_county(to_date: date = date(2015, 5, 31)) -> MarketSegment:
    rules = ScreeningRules(from_date=MAY_2014, to_date=to_date)
    return study_market(king_county_sales(), county="king", rules=rules, segments=[Segment("all", ("",))]).segments[0]


def month(segment: MarketSegment, day: date) -> IndexPoint:
    return next(point for point in segment.months if point.month == day)


def test_the_median_per_area_gets_the_sign_wrong_and_the_index_does_not() -> None:
    """On the sales before March 2015, of which the research says 1.040 by regression and 0.961 by medians."""
    segment = king_county(date(2015, 2, 28))
    assert segment.sales == 16_861
    point = month(segment, FEBRUARY_2015)
    assert point.index == pytest.approx(104.0, abs=0.8)
    assert point.interval is not None
    assert point.interval[0] > 102
    assert point.median_index is not None
    assert point.median_index < 98
    assert point.median_index_interval is not None
    assert point.median_index_interval[1] < point.interval[0]
    assert point.mix_shift_percent is not None
    assert point.mix_shift_percent < -5


def test_repeat_sales_agree_with_the_regression_once_flips_are_accounted_for() -> None:
    segment = king_county()
    pairs = segment.repeat_sales
    assert pairs is not None
    assert pairs.pairs + sum(pairs.pairs_left_out.values()) == 177
    assert pairs.jump_percent is not None
    assert pairs.jump_interval is not None
    assert pairs.jump_interval[0] > 15  # these houses were bought, renovated and sold again within the year
    point = month(segment, MAY_2015)
    assert point.index is not None
    assert point.repeat_sales_index == pytest.approx(point.index, abs=5)
    assert point.repeat_sales_interval is not None
    assert point.interval is not None
    width, hedonic_width = (high - low for low, high in (point.repeat_sales_interval, point.interval))
    assert width > 5 * hedonic_width  # 177 pairs say far less than 21,613 sales
    assert point.repeat_sales_interval[0] < point.index < point.repeat_sales_interval[1]


def test_thirteen_months_tell_no_season() -> None:
    found = king_county().seasonality
    assert found is not None
    assert (found.reason, found.is_seasonal, found.effects) == ("period_too_short", None, [])
