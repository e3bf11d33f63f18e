"""The straight trend of a set of sales, or the reason why there is none."""

import numpy as np
from numpy.typing import NDArray

from appraisal.errors import AppraisalError
from appraisal.price_trend import PriceTrend, price_trend
from services.market.domain.mix import FloatArray, Mix

MINIMUM_SALES = 30
MINIMUM_MONTH_SALES = 5


def trend_of(
    mix: Mix, rows: NDArray[np.bool_], controls: FloatArray, *, confidence: float
) -> tuple[PriceTrend | None, str | None]:
    """The trend of these rows of the mix beside these controls; else None and the code of the reason."""
    try:
        return (
            price_trend(
                mix.price_usd[rows],
                mix.month[rows],
                controls[rows],
                confidence=confidence,
                minimum_sales=MINIMUM_SALES,
                minimum_sales_per_month=MINIMUM_MONTH_SALES,
            ),
            None,
        )
    except AppraisalError as error:
        return None, error.code
