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

USUAL_BEND = 0.0075  # how much a month's change in log price usually differs from the month before's
BUMPINESS = 2.0 ** np.arange(-4, 3)  # of a market, in the usual bends: calm ones are told from data
MEMORY = 0.85  # of a month's departure from the long-run change that is left a month later
USUAL_CHANGE = 0.003  # of the long-run monthly change in log price: drawn towards 0 as if by one such draw
DAYS_PER_MONTH = 30.4375
WEEK_DAYS, WEEKLY_SALES = 7, 20  # prices are followed by the week where so many are sold, else by the month
LONGEST_CARRY_DAYS = 3 * 365
SALES_PER_CONTROL = 10
FAR_RESIDUAL = 4.0  # robust standard deviations: no evidence on the price of a period


@dataclass(frozen=True)
class TimeAdjustment:
    """The smoothed log price level by day; flat before the first sale, damped growth after the last."""

    day: FloatArray
    level: FloatArray
    monthly_trend_percent: float | None
    monthly_trend_percent_interval: Interval | None
    reason: str | None

    def log_adjustment(self, sale_date: NDArray[np.datetime64], at: NDArray[np.datetime64]) -> FloatArray:
        """What is added to a log price to carry it from its sale date to another date."""
        carried: FloatArray = self._level(at) - self._level(sale_date)
        return carried

    def _level(self, dates: NDArray[np.datetime64]) -> FloatArray:
        return np.interp(_days(dates), self.day, self.level)


def learn_time_adjustment(sales: TrainingSales, hedonic: Hedonic) -> TimeAdjustment:
    """The time adjustment of sales whose hedonic regression knows no time yet.

    A hedonic index by week or month, mix held constant, smoothed and carried on with a damped trend: periods
    with many sales keep their level, thin ones follow their neighbours. None, with the reason, where no
    trend can be told.
    """
    usable = np.abs(hedonic.residual) <= FAR_RESIDUAL * hedonic.sigma
    sold = sales.take(usable)
    controls = _controls(sales, hedonic)[usable]
    first, period_days = sales.sale_date.min(), _period_days(sales)
    period = ((sold.sale_date - first).astype(np.int64) // period_days).astype(np.int64)
    try:
        trend = price_trend(sold.price_usd, month_number(sold.sale_date), controls, minimum_sales_per_month=1)
        index = price_trend(sold.price_usd, period, controls, minimum_sales_per_month=1)
    except AppraisalError as error:
        return TimeAdjustment(np.zeros(1), np.zeros(1), None, None, error.code)
    level = _smooth(index, hedonic.sigma, period_days)
    return TimeAdjustment(
        day=_days(np.array([first]))[0] + (np.arange(len(level)) + 0.5) * period_days,
        level=level,
        monthly_trend_percent=trend.monthly_trend_percent,
        monthly_trend_percent_interval=trend.monthly_trend_percent_interval,
        reason=None,
    )


def _period_days(sales: TrainingSales) -> float:
    span = float((sales.sale_date.max() - sales.sale_date.min()).astype(np.int64)) + 1.0
    return WEEK_DAYS if len(sales) / span * WEEK_DAYS >= WEEKLY_SALES else DAYS_PER_MONTH


def _controls(sales: TrainingSales, hedonic: Hedonic) -> FloatArray:
    """Characteristics and the level of the place; with few sales, what the regression makes of them.

    A sale's own price is no part of the level of its neighbourhood here: where few sold, that level would move
    with time as the price does, and the market would seem to stand still.
    """
    names = sales.properties.neighborhood
    own = hedonic.left_out_effects(names) - np.array([hedonic.neighborhoods[name] for name in names])
    terms = hedonic.encoding.terms
    if len(sales) < SALES_PER_CONTROL * (len(terms) + 1):
        return np.asarray((hedonic.predict(sales.properties) + own)[:, None], dtype=float)
    place = hedonic.contributions(sales.properties)[LOCATION] + own
    return np.column_stack([hedonic.encoding.matrix(sales.properties), place])


def _smooth(index: PriceTrend, sigma: float, period_days: float) -> FloatArray:
    """Levels of all periods and of those to come: an average over how bumpy the market may be.

    Each bumpiness weighs by its marginal likelihood and by how near it is to the usual one (log-normal, within a
    factor of e as a rule). Years of steady prices speak for a smooth market, whose long-run change then goes on.
    """
    fits = [_damped_path(index, sigma, period_days, bumpiness) for bumpiness in BUMPINESS]
    log_weight = np.array([log_likelihood for _, log_likelihood in fits]) - np.log(BUMPINESS) ** 2 / 2
    weight = np.exp(log_weight - log_weight.max())
    return np.asarray(weight / weight.sum() @ np.stack([path for path, _ in fits]), dtype=float)


def _damped_path(index: PriceTrend, sigma: float, period_days: float, bumpiness: float) -> tuple[FloatArray, float]:
    """Levels by penalised least squares (a damped local trend), and their log marginal likelihood but for a constant.

    The change from period to period returns to a long-run change (Gardner and McKenzie, 1985), which is
    learned too and drawn towards none; without damping this is the filter of Whittaker (1923).
    """
    months = period_days / DAYS_PER_MONTH
    count = index.months[-1].month + 1 + int(LONGEST_CARRY_DAYS / period_days)
    weight, level = np.zeros(count + 1), np.zeros(count + 1)
    for period in index.months:
        if period.index is not None:
            weight[period.month] = period.sales / sigma**2
            level[period.month] = np.log(period.index / 100.0)
    kept = MEMORY**months
    usual = bumpiness * USUAL_BEND / np.sqrt(1 - MEMORY**2) * months  # change of a period about the long-run change
    bend, change = usual * np.sqrt(1 - kept**2), USUAL_CHANGE * months
    steps = np.zeros(
        (count, count + 1)
    )  # departures of each period's bend, in usual ones; the last column is the long run
    row = np.arange(count - 1)
    steps[row, row], steps[row, row + 1], steps[row, -1] = -1 / usual, 1 / usual, -1 / usual
    steps[1 : count - 1] = (steps[1 : count - 1] - kept * steps[: count - 2]) * usual / bend
    steps[count - 1, -1] = 1 / change
    precision = np.diag(weight) + steps.T @ steps
    solved = np.linalg.solve(precision, weight * level)
    freedom = -np.log(usual) - (count - 2) * np.log(bend) - np.linalg.slogdet(precision)[1] / 2
    return np.asarray(solved[:-1], dtype=float), float(freedom - level @ (weight * (level - solved)) / 2)


def _days(dates: NDArray[np.datetime64]) -> FloatArray:
    return dates.astype("datetime64[D]").astype(np.int64).astype(np.float64)
