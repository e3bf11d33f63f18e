"""How far prices are carried beyond the last sale: as far as the sales say how steady the market is."""

from datetime import date, timedelta

import numpy as np
import polars as pl

from services.valuation.domain.evidence import learnable_sales
from services.valuation.domain.properties import UseCodes
from services.valuation.domain.sales import to_sales
from tests.support.planted_market import planted_sales

FIRST, YEAR = date(2019, 1, 1), timedelta(days=365)
PLANTED_PERCENT = 0.6  # a month


def carried_year_percent(*, years: float, count: int) -> float:
    """By how much the year after the last sale is told to rise."""
    days = int(years * 365)
    last = FIRST + timedelta(days=days)
    sold = to_sales(
        planted_sales(count=count, first=FIRST, days=days, monthly_percent=PLANTED_PERCENT, noise=0.08), UseCodes()
    )
    _, time = learnable_sales(sold, last)
    at = [np.array(day, dtype="datetime64[D]") for day in (last, last + YEAR)]
    return float(100 * np.expm1(time.log_adjustment(at[0][None], at[1])[0]))


def test_years_of_a_steady_rise_go_on_for_the_most_part() -> None:
    planted = 100 * ((1 + PLANTED_PERCENT / 100) ** 12 - 1)
    assert 0.6 * planted < carried_year_percent(years=5, count=4_000) < 1.05 * planted


def test_half_a_year_of_it_is_carried_on_with_reserve() -> None:
    planted = 100 * ((1 + PLANTED_PERCENT / 100) ** 12 - 1)
    assert carried_year_percent(years=0.5, count=1_500) < 0.5 * planted


def test_a_bumpy_market_is_not_taken_for_a_steady_one() -> None:
    sales = planted_sales(count=4_000, first=FIRST, days=5 * 365, monthly_percent=0.0, noise=0.08)
    month = (sales["sale_date"] - FIRST).dt.total_days().to_numpy() / 30.4375
    swing = 0.08 * np.sin(month * 2 * np.pi / 30)  # eight percent up and down in two and a half years
    bumpy = sales.with_columns(sale_price_usd=sales["sale_price_usd"] * np.exp(swing))
    _, time = learnable_sales(to_sales(bumpy, UseCodes()), FIRST + 5 * YEAR)
    days = np.array([FIRST + timedelta(days=int(30.4375 * m)) for m in range(1, 59)], dtype="datetime64[D]")
    told = -time.log_adjustment(days, np.array(FIRST + timedelta(days=30), dtype="datetime64[D]"))
    planted = 0.08 * np.sin(np.arange(1, 59) * 2 * np.pi / 30)
    off = (told - told.mean()) - (planted - planted.mean())
    assert np.sqrt(np.mean(off**2)) < 0.012


def test_a_rise_is_told_where_few_sales_are_of_each_neighborhood() -> None:
    sales = planted_sales(count=900, first=FIRST, days=3 * 365, monthly_percent=PLANTED_PERCENT, noise=0.08)
    ends = [np.array([day], dtype="datetime64[D]") for day in (FIRST + YEAR / 2, FIRST + 2.5 * YEAR)]

    def told(names: pl.Series) -> float:
        sold = to_sales(sales.with_columns(neighborhood=names), UseCodes())
        _, time = learnable_sales(sold, FIRST + 3 * YEAR)
        return float(time.log_adjustment(*ends)[0])

    well_known = told(pl.Series(["N1"] * 900))
    for each in (1, 2, 3):
        names = pl.Series([f"N{row % (900 // each)}" for row in range(900)])
        assert abs(told(names) - well_known) < 0.15 * well_known
