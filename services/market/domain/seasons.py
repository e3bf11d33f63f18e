"""Whether prices of a segment go with the calendar."""

import numpy as np

from appraisal.errors import AppraisalError
from appraisal.price_index import PriceIndex
from appraisal.seasonality import seasonality
from contracts.api.market import SeasonalEffect, Seasonality


def study_seasons(index: PriceIndex | None, *, confidence: float, minimum_month_sales: int) -> Seasonality:
    """Month-of-year effects and their test; null with a reason where two years of every month are not known."""
    if index is None:
        return Seasonality(reason="too_few_sales", is_seasonal=None, p_value=None, effects=[])
    enough = np.array([month.month for month in index.unsmoothed if month.sales >= minimum_month_sales], dtype=np.int64)
    try:
        found = seasonality(index.levels, enough=enough, confidence=confidence)
    except AppraisalError as error:
        reason = "period_too_short" if error.code == "too_few_sales" else error.code
        return Seasonality(reason=reason, is_seasonal=None, p_value=None, effects=[])
    effects = [
        SeasonalEffect(month_of_year=part.month_of_year, effect_percent=part.effect_percent, interval=part.interval)
        for part in found.effects
    ]
    return Seasonality(reason=None, is_seasonal=found.p_value < 1 - confidence, p_value=found.p_value, effects=effects)
