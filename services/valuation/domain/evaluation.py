"""How good a model is on sales that it has not seen: fitted on the older ones, tested on the newest."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np

from appraisal.ratio_statistics import cod_of, prb_of, prd_of
from services.valuation.domain.evidence import learnable_sales
from services.valuation.domain.models import MODELS
from services.valuation.domain.properties import FloatArray
from services.valuation.domain.sales import Sales

HELD_OUT_SHARE = 0.2


@dataclass(frozen=True, kw_only=True)
class Accuracy:
    """Statistics of value over price on held-out sales, nothing trimmed, prices as they were paid.

    Values are carried from the day before the first of them to each sale's day by the older sales' trend.
    Ratios as fractions; cod, mdape and interval_coverage in percent.
    """

    n: int
    median_ratio: float
    cod: float | None
    prd: float | None
    prb: float | None
    mdape: float
    interval_coverage: float
    trained_on: int
    test_from: date

    def to_json(self) -> dict[str, Any]:
        """A dictionary that JSON can hold."""
        return {**asdict(self), "test_from": self.test_from.isoformat()}


def evaluate(
    sold: Sales,
    *,
    model: str,
    valuation_date: date,
    comparables: int = 5,
    test_from: date | None = None,
    emphasis: Mapping[str, float] | None = None,
) -> Accuracy | None:
    """Accuracy on the sales from `test_from` to the valuation date, by default the newest 20 % of sales.

    None where fewer than two sales are held out. Refuses (`too_few_sales`) too few older ones.
    """
    known = sold.take(sold.sale_date <= np.datetime64(valuation_date, "D"))
    first = _first_held_out(known) if test_from is None else test_from
    test = known.take(known.sale_date >= np.datetime64(first, "D"))
    if len(test) < 2:
        return None
    before = first - timedelta(days=1)
    sales, time = learnable_sales(known, before)
    estimates = MODELS[model].fit(sales, comparables=comparables, emphasis=emphasis).estimate(test.properties)
    carried = np.exp(time.log_adjustment(np.array(before, dtype="datetime64[D]"), test.sale_date))
    price_then = test.price_usd / carried
    inside = (estimates.low_usd <= price_then) & (price_then <= estimates.high_usd)
    return _accuracy(estimates.value_usd * carried, test.price_usd, inside.mean(), len(sales), first)


def _first_held_out(sold: Sales) -> date:
    if not len(sold):
        return date.max
    newest: date = np.sort(sold.sale_date)[int((1 - HELD_OUT_SHARE) * len(sold))].astype(date)
    return newest


def _accuracy(
    value_usd: FloatArray, price_usd: FloatArray, covered: float, trained_on: int, test_from: date
) -> Accuracy:
    ratio = value_usd / price_usd
    return Accuracy(
        n=len(ratio),
        median_ratio=float(np.median(ratio)),
        cod=cod_of(ratio),
        prd=prd_of(value_usd, price_usd),
        prb=prb_of(value_usd, price_usd, 0.95)[0],
        mdape=float(100 * np.median(np.abs(ratio - 1))),
        interval_coverage=100 * float(covered),
        trained_on=trained_on,
        test_from=test_from,
    )
