"""Whatever the columns hold, a study is refused by code or made, and what is made can be stored, drawn and mapped."""

import json
import warnings
from datetime import date

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appraisal.sale_screening import ScreeningRules, screen_sales
from contracts.api.market import MarketStudy
from services.market.domain.index_chart import draw_indices
from services.market.domain.refusal import MarketRefusedError
from services.market.domain.sales_map import map_sales
from services.market.domain.segments import Segment
from services.market.domain.study import PARCEL_SCHEMA, Terms, study_market
from services.market.domain.trends import MINIMUM_SALES
from tests.support.planted_market import planted_sales

PERIOD = ScreeningRules(from_date=date(2023, 1, 1), to_date=date(2024, 12, 31))
EVERYTHING = [Segment("all", ("",))]
NUMBERS = (
    "living_area_sqft",
    "land_area_sqft",
    "year_built",
    "bedrooms",
    "bathrooms",
    "stories",
    "longitude",
    "latitude",
)
ODD = [0.0, -1.0, 1.0, np.inf, np.nan, 1e308, 1e-300]


def odd_sales(seed: int) -> pl.DataFrame:
    """Planted sales of which a good part is missing, constant, repeated or impossible."""
    draw = np.random.default_rng(seed)
    count = int(draw.choice([30, 31, 35, 50, 80, 200]))
    days = int(draw.choice([1, 20, 45, 100, 730]))
    changed: list[pl.Series | pl.Expr] = [
        pl.lit(float(draw.choice([0, np.nan, 3e5, np.inf]))).alias("assessed_value_usd")
    ]
    for name in NUMBERS:
        kind = draw.integers(0, 6)
        if kind == 0:
            changed.append(pl.lit(None, pl.Float64).alias(name))
        elif kind == 1:
            changed.append(pl.lit(float(draw.choice(ODD))).alias(name))
        elif kind == 2:
            changed.append(pl.Series(name, draw.choice(ODD, count)))
    if draw.random() < 0.3:
        changed.append(pl.lit(None, pl.String).alias("neighborhood"))
    if draw.random() < 0.3:
        changed.append(pl.Series("parcel_id", draw.integers(0, count // 3, count).astype(str)))
    if draw.random() < 0.2:
        changed.append(pl.lit(None, pl.String).alias("use_code"))
    if draw.random() < 0.3:
        prices = [[250_000.0], [1e3, 9e11, 1.0, 2e5]][draw.integers(0, 2)]
        changed.append(pl.Series("sale_price_usd", draw.choice(prices, count)))
    return planted_sales(count=count, seed=seed, days=days).with_columns(changed)


def odd_terms(seed: int) -> Terms:
    draw = np.random.default_rng(seed)
    rows = [("11", f"N{n}", int(draw.integers(0, 5)), 0, None, None) for n in range(int(draw.integers(0, 4)))]
    return Terms(
        confidence=float(draw.choice([0.5, 0.95, 0.999])),
        minimum_group_sales=int(draw.choice([5, 30, 1_000])),
        parcels=pl.DataFrame(rows, schema=PARCEL_SCHEMA, orient="row"),
    )


def check(seed: int) -> None:
    sales = odd_sales(seed)
    try:
        made = study_market(sales, county="odd", rules=PERIOD, segments=EVERYTHING, terms=odd_terms(seed))
    except MarketRefusedError:
        kept, _ = screen_sales(sales, PERIOD)
        assert kept.height < MINIMUM_SALES
        return
    written = made.model_dump_json()
    assert MarketStudy.model_validate_json(written).model_dump_json() == written, "an infinite number became null"
    part = made.segments[0]
    assert (part.monthly_trend_percent is None) == (part.reason is not None)
    assert all((point.index is None) == (point.reason is not None) for point in part.months)
    drawn = draw_indices(made)
    assert (drawn is None) == (part.base_month is None)
    assert drawn is None or not (b"nan" in drawn or b"inf" in drawn)
    json.dumps(map_sales(sales, rules=PERIOD, segments=EVERYTHING), allow_nan=False)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1_000_000))
def test_odd_sales_give_a_sound_study_or_a_refusal(seed: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # no overflow or division by zero on the way either
        check(seed)


@pytest.mark.slow
@settings(max_examples=400, deadline=None)
@given(st.integers(0, 1_000_000))
def test_many_odd_sales_do_too(seed: int) -> None:
    check(seed)
