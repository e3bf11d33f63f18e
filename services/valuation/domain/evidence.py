"""The one door through which sales reach a model: none dated after the valuation date passes it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property

import numpy as np

from services.valuation.domain.hedonic import Hedonic, fit_hedonic
from services.valuation.domain.kernel import Kernel
from services.valuation.domain.kriging import Kriging, fit_kriging
from services.valuation.domain.location import Surroundings, learn_surroundings
from services.valuation.domain.properties import FloatArray, Properties
from services.valuation.domain.refusal import ValuationRefusedError
from services.valuation.domain.remembered import Remembered
from services.valuation.domain.sales import MINIMUM_SALES, Sales, TrainingSales
from services.valuation.domain.time_adjustment import TimeAdjustment, learn_time_adjustment

MINIMUM_PARCELS = 15  # sold over and over, fewer say more of themselves than of a market


@dataclass(frozen=True)
class Groundwork:
    """What every model starts from: the sales, the regression on them and what it leaves by place.

    With a `kernel`, learned from older sales, kriging takes it as it is. `emphasis` says how much more (or less)
    than the market a county lets a difference count when comparable sales are chosen.
    """

    sales: TrainingSales
    hedonic: Hedonic
    surroundings: Surroundings
    kernel: Kernel | None = None
    emphasis: Mapping[str, float] = field(default_factory=dict)

    @cached_property
    def kriging(self) -> Kriging | None:
        """Kriging of what the regression leaves, made when first asked for; None with too few sales."""
        return fit_kriging(self.sales, self.hedonic, self.kernel)

    @property
    def learned_kernel(self) -> Kernel | None:
        """The covariance that kriging goes by; None where none was given and none has been asked for."""
        made: Kriging | None = self.__dict__.get("kriging")
        return made.kernel if made else self.kernel

    @cached_property
    def own_foretold(self) -> tuple[FloatArray, FloatArray]:
        """What other parcels' sales foretell of each sale, and its standard deviation."""
        return self.foretell(self.sales.properties, self.sales.day)

    def foretell(self, properties: Properties, day: FloatArray | None = None) -> tuple[FloatArray, FloatArray]:
        """What the sales around add to the regression's log value, and its standard deviation."""
        return self._foretell(properties, day) if day is not None else self._foretold(properties)

    @cached_property
    def _foretold(self) -> Remembered[tuple[FloatArray, FloatArray]]:
        return Remembered(self._foretell)

    def _foretell(self, properties: Properties, day: FloatArray | None = None) -> tuple[FloatArray, FloatArray]:
        if self.kriging is not None:
            return self.kriging.foretell(properties, day)
        return self.surroundings.level(properties, before_day=day), np.full(len(properties), self.hedonic.sigma)


def learnable_sales(sold: Sales, valuation_date: date) -> tuple[TrainingSales, TimeAdjustment]:
    """The sales up to and on the valuation date, carried to it, and how they were carried.

    Refuses (`too_few_sales`) fewer than 30 sales, or sales of fewer than 15 parcels, with the counts.
    """
    known = sold.take(sold.sale_date <= np.datetime64(valuation_date, "D"))
    parcels = len(set(known.properties.parcel_id.tolist()))
    if len(known) < MINIMUM_SALES or parcels < MINIMUM_PARCELS:
        raise ValuationRefusedError(
            "too_few_sales",
            f"{len(known)} usable sales of {parcels} parcels up to {valuation_date};"
            f" a model needs at least {MINIMUM_SALES} of {MINIMUM_PARCELS}",
            {
                "sales": len(known),
                "needed": MINIMUM_SALES,
                "parcels": parcels,
                "parcels_needed": MINIMUM_PARCELS,
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
    carried = adjustment.log_adjustment(sales.sale_date, np.array(valuation_date, dtype="datetime64[D]"))
    return replace(sales, log_time_adjustment=carried), adjustment


def learn_groundwork(
    sales: TrainingSales, kernel: Kernel | None = None, *, emphasis: Mapping[str, float] | None = None
) -> Groundwork:
    """The regression and the surroundings of sales; kriging will take the kernel, if one is given."""
    hedonic = fit_hedonic(sales)
    bounded = hedonic.residual * hedonic.robust_weight(hedonic.residual)  # one wrong price moves no neighbour far
    surroundings = learn_surroundings(sales.properties, residual=bounded, day=sales.day, plane=hedonic.plane)
    return Groundwork(sales, hedonic, surroundings, kernel, emphasis or {})
