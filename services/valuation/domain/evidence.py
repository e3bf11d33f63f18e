"""The one door through which sales reach a model: none dated after the valuation date passes it."""

from dataclasses import dataclass, replace
from datetime import date

import numpy as np

from services.valuation.domain.hedonic import Hedonic, fit_hedonic
from services.valuation.domain.location import Surroundings, learn_surroundings
from services.valuation.domain.refusal import ValuationRefusedError
from services.valuation.domain.sales import MINIMUM_SALES, Sales, TrainingSales
from services.valuation.domain.time_adjustment import TimeAdjustment, learn_time_adjustment


@dataclass(frozen=True)
class Groundwork:
    """What every model starts from: the sales, the regression on them and what it leaves by place."""

    sales: TrainingSales
    hedonic: Hedonic
    surroundings: Surroundings


def learnable_sales(sold: Sales, valuation_date: date) -> tuple[TrainingSales, TimeAdjustment]:
    """The sales up to and on the valuation date, carried to it, and how they were carried.

    Refuses (`too_few_sales`) fewer than 30, with the counts.
    """
    known = sold.take(sold.sale_date <= np.datetime64(valuation_date, "D"))
    if len(known) < MINIMUM_SALES:
        raise ValuationRefusedError(
            "too_few_sales",
            f"{len(known)} usable sales up to {valuation_date}; a model needs at least {MINIMUM_SALES}",
            {
                "sales": len(known),
                "needed": MINIMUM_SALES,
                "sales_after_valuation_date": len(sold) - len(known),
            },
        )
    sales = TrainingSales(
        properties=known.properties,
        sale_id=known.sale_id,
        sale_date=known.sale_date,
        price_usd=known.price_usd,
        valuation_date=valuation_date,
        log_time_adjustment=np.zeros(len(known)),
    )
    adjustment = learn_time_adjustment(sales, fit_hedonic(sales))
    carried = adjustment.log_adjustment(sales.sale_date, np.datetime64(valuation_date, "D"))
    return replace(sales, log_time_adjustment=carried), adjustment


def learn_groundwork(sales: TrainingSales) -> Groundwork:
    """The regression and the surroundings of sales."""
    hedonic = fit_hedonic(sales)
    bounded = hedonic.residual * hedonic.robust_weight(hedonic.residual)  # one wrong price moves no neighbour far
    surroundings = learn_surroundings(sales.properties, residual=bounded, day=sales.day, plane=hedonic.plane)
    return Groundwork(sales, hedonic, surroundings)
