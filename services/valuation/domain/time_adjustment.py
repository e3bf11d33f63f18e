"""How far sale prices are carried through time to the valuation date, from the sales themselves."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from appraisal.arrays import Interval
from appraisal.errors import AppraisalError
from appraisal.price_trend import PriceTrend, month_number, price_trend
from services.valuation.domain.hedonic import LOCATION, Hedonic
from services.valuation.domain.properties import FloatArray
from services.valuation.domain.sales import TrainingSales

USUAL_BEND = 0.005  # how much a month's change in log price usually differs from the month before's
SALES_PER_CONTROL = 10
FAR_RESIDUAL = 4.0  # robust standard deviations: no evidence on the price of a month
MID_MONTH_DAYS = 14.6


@dataclass(frozen=True)
class TimeAdjustment:
    """The smoothed log price level by day; flat before the first and after the last month with sales."""

    day: FloatArray
    level: FloatArray
    monthly_trend_percent: float | None
    monthly_trend_percent_interval: Interval | None
    reason: str | None

    def log_adjustment(self, sale_date: NDArray[np.datetime64], valuation_date: np.datetime64) -> FloatArray:
        """What is added to a log price to carry it from its sale date to the valuation date."""
        at_sale = np.interp(_days(sale_date), self.day, self.level)
        at_valuation = np.interp(_days(np.array([valuation_date])), self.day, self.level)[0]
        adjustment: FloatArray = at_valuation - at_sale
        return adjustment


def learn_time_adjustment(sales: TrainingSales, hedonic: Hedonic) -> TimeAdjustment:
    """The time adjustment of sales whose hedonic regression knows no time yet.

    A monthly hedonic index, mix held constant, smoothed by a Whittaker filter: months with many sales keep
    their level, thin ones follow their neighbours. None, with the reason, where no trend can be told.
    """
    usable = np.abs(hedonic.residual) <= FAR_RESIDUAL * hedonic.sigma
    sold = sales.take(usable)
    try:
        trend = price_trend(
            sold.price_usd,
            month_number(sold.sale_date),
            _controls(sold, hedonic),
            minimum_sales_per_month=1,
        )
    except AppraisalError as error:
        return TimeAdjustment(np.zeros(1), np.zeros(1), None, None, error.code)
    months, level = _smooth(trend, hedonic.sigma)
    return TimeAdjustment(
        day=_days(months.astype("datetime64[M]").astype("datetime64[D]")) + MID_MONTH_DAYS,
        level=level,
        monthly_trend_percent=trend.monthly_trend_percent,
        monthly_trend_percent_interval=trend.monthly_trend_percent_interval,
        reason=None,
    )


def _controls(sales: TrainingSales, hedonic: Hedonic) -> FloatArray:
    """Characteristics and the level of the place; with few sales, what the regression makes of them."""
    terms = hedonic.encoding.terms
    if len(sales) < SALES_PER_CONTROL * (len(terms) + 1):
        return hedonic.predict(sales.properties)[:, None]
    place = hedonic.contributions(sales.properties)[LOCATION]
    return np.column_stack([hedonic.encoding.matrix(sales.properties), place])


def _smooth(trend: PriceTrend, sigma: float) -> tuple[NDArray[np.int64], FloatArray]:
    """Whittaker (1923): weighted squared misfit plus squared second differences, every month filled."""
    known = [month for month in trend.months if month.index is not None]
    first, last = trend.months[0].month, trend.months[-1].month
    months = np.arange(first, last + 1)
    weight, level = np.zeros(len(months)), np.zeros(len(months))
    for month in known:
        weight[month.month - first] = month.sales
        level[month.month - first] = np.log(month.index or 100.0)
    if len(months) < 3:
        return months, level
    bends = np.diff(np.eye(len(months)), n=2, axis=0)
    stiffness = (sigma / USUAL_BEND) ** 2
    smooth = np.linalg.solve(np.diag(weight) + stiffness * bends.T @ bends, weight * level)
    return months, smooth.astype(np.float64)


def _days(dates: NDArray[np.datetime64]) -> FloatArray:
    return dates.astype("datetime64[D]").astype(np.int64).astype(np.float64)
