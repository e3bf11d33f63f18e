"""The chronological protocol: models fitted on the sales before a date, judged on all those from it on.

Values are those of the split date, carried to each sale's day by the trend of the training sales.
"""

import resource
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import numpy as np

from services.valuation.domain.baselines import BASELINES
from services.valuation.domain.evidence import learn_groundwork, learnable_sales
from services.valuation.domain.figures import Cost, Figures, judge
from services.valuation.domain.models import MEMBERS, MODELS, FittedModel, Member
from services.valuation.domain.properties import FloatArray
from services.valuation.domain.refusal import ValuationRefusedError
from services.valuation.domain.sales import Sales, TrainingSales

COMPARABLES = 5
MINIMUM_TEST_SALES = 2


@dataclass(frozen=True)
class Backtest:
    """The figures by model, in the order in which they are told."""

    split_date: date
    train: int
    test: int
    models: Mapping[str, Figures]

    def to_json(self) -> dict[str, Any]:
        """A dictionary that JSON can hold."""
        return {
            "split_date": self.split_date.isoformat(),
            "train": self.train,
            "test": self.test,
            "models": {name: figures.to_json() for name, figures in self.models.items()},
        }


@dataclass
class _Clock:
    """Processor seconds spent inside."""

    seconds: float = field(default=0.0)

    @contextmanager
    def run(self) -> Iterator[None]:
        start = time.process_time()
        try:
            yield
        finally:
            self.seconds += time.process_time() - start


def backtest(sold: Sales, split_date: date) -> Backtest:
    """Fit the production model set and the baselines on sales before the date, judge them on the others.

    Refuses (`too_few_sales`) fewer than 30 training sales, and (`no_test_sales`) fewer than two to test on.
    """
    held_out = sold.sale_date >= np.datetime64(split_date, "D")
    train, test = sold.take(~held_out), sold.take(held_out)
    sales, time_adjustment = learnable_sales(train, split_date - timedelta(days=1))
    if len(test) < MINIMUM_TEST_SALES:
        raise ValuationRefusedError(
            "no_test_sales",
            f"{len(test)} usable sales from {split_date} on; at least 2 are needed",
            {"test": len(test)},
        )
    carried = np.exp(time_adjustment.log_adjustment(_day_before(split_date), test.sale_date))
    models = {
        **_blend(sales, test, carried),
        **_members(sales, test, carried),
        **{name: _baseline(fit, train, test) for name, fit in BASELINES.items()},
    }
    return Backtest(split_date, len(train), len(test), models)


def _day_before(day: date) -> Any:
    return np.array(day - timedelta(days=1), dtype="datetime64[D]")


def _blend(sales: TrainingSales, test: Sales, carried: FloatArray) -> dict[str, Figures]:
    fitting, valuing = _Clock(), _Clock()
    with fitting.run():
        fitted: FittedModel = MODELS["blend"].fit(sales, comparables=COMPARABLES)
    with valuing.run():
        estimates = fitted.estimate(test.properties)
    cost = _cost(fitting, valuing, len(test))
    interval = (estimates.low_usd * carried, estimates.high_usd * carried)
    return {
        "blend": judge(estimates.value_usd * carried, test.price_usd, cost, interval),
        "blend_uncalibrated": judge(fitted.predict_uncalibrated(test.properties) * carried, test.price_usd, cost),
    }


def _members(sales: TrainingSales, test: Sales, carried: FloatArray) -> dict[str, Figures]:
    """Each way of valuing by itself; what it builds on is made once and counted for each."""
    ground = _Clock()
    with ground.run():
        groundwork = learn_groundwork(sales)
    judged, made = {}, dict[str, Member]()
    before = {"boosting": ("kriging",), "reconciled": ("kriging", "boosting")}
    spent: dict[str, float] = {}
    for name, maker in MEMBERS.items():
        fitting, valuing = _Clock(), _Clock()
        with fitting.run():
            made[name] = maker(groundwork, COMPARABLES, made)
        spent[name] = fitting.seconds
        fitting.seconds += ground.seconds + sum(spent.get(other, 0.0) for other in before.get(name, ()))
        with valuing.run():
            value_usd = made[name].predict(test.properties)
        judged[name] = judge(value_usd * carried, test.price_usd, _cost(fitting, valuing, len(test)))
    return judged


def _baseline(fit: Callable[[Sales], Callable[[Sales], FloatArray]], train: Sales, test: Sales) -> Figures:
    fitting, valuing = _Clock(), _Clock()
    with fitting.run():
        predict = fit(train)
    with valuing.run():
        value_usd = predict(test)
    return judge(value_usd, test.price_usd, _cost(fitting, valuing, len(test)))


def _cost(fitting: _Clock, valuing: _Clock, rows: int) -> Cost:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return Cost(
        train_seconds=round(fitting.seconds, 3),
        predict_rows_per_second=round(rows / max(valuing.seconds, 1e-6), 1),
        peak_memory_mb=round(peak / (1024**2 if sys.platform == "darwin" else 1024), 1),
    )
