"""Walk-forward: each week's sales valued by models of all sales before that week, as sales events would refit them.

Weights, level, precision and covariance stay as they were learned before the first week.
"""

from datetime import date, timedelta
from typing import Any

import numpy as np

from services.valuation.domain.evidence import learnable_sales
from services.valuation.domain.figures import Cost, judge
from services.valuation.domain.models import MODELS
from services.valuation.domain.sales import Sales

WEEK = timedelta(days=7)
UNMEASURED = Cost(train_seconds=0.0, predict_rows_per_second=0.0, peak_memory_mb=0.0)


def walk_forward(sold: Sales, first_day: date) -> dict[str, Any]:
    """Figures of the blend, calibrated and not, over all weeks from the first day on."""
    fitted = MODELS["blend"].fit(learnable_sales(sold, first_day - timedelta(days=1))[0])
    told: dict[str, list[Any]] = {"blend": [], "blend_uncalibrated": []}
    prices = []
    for week in _weeks(sold, first_day):
        before = week - timedelta(days=1)
        of_week = sold.take((sold.sale_date >= np.datetime64(week)) & (sold.sale_date < np.datetime64(week + WEEK)))
        sales, time = learnable_sales(sold, before)
        fitted = fitted.refit(sales)
        carried = np.exp(time.log_adjustment(np.array(before, dtype="datetime64[D]"), of_week.sale_date))
        told["blend"].append(fitted.predict(of_week.properties) * carried)
        told["blend_uncalibrated"].append(fitted.predict_uncalibrated(of_week.properties) * carried)
        prices.append(of_week.price_usd)
    price = np.concatenate(prices)
    judged = {name: judge(np.concatenate(values), price, UNMEASURED).to_json() for name, values in told.items()}
    return {
        name: {key: figures[key] for key in figures if key not in vars(UNMEASURED)} for name, figures in judged.items()
    }


def _weeks(sold: Sales, first_day: date) -> list[date]:
    """The first days of the weeks that have sales."""
    since = (sold.sale_date - np.datetime64(first_day)).astype(np.int64)
    return [first_day + WEEK * int(week) for week in np.unique(since[since >= 0] // WEEK.days)]
