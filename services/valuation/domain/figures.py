"""The figures that a model is judged by: values against the prices of sales that it has not seen."""

from dataclasses import asdict, dataclass

import numpy as np

from appraisal.ratio_statistics import cod_of, mki_of, prb_of, prd_of, vei_of
from services.valuation.domain.properties import FloatArray


@dataclass(frozen=True, kw_only=True)
class Figures:
    """Nothing trimmed. Errors, shares, COD, VEI and coverage in percent; the ratio's others as fractions.

    `train_seconds` is processor time, `peak_memory_mb` the most that the process held up to then.
    """

    mdape: float
    mape: float
    within10: float
    within20: float
    median_ratio: float
    cod: float | None
    prd: float | None
    prb: float | None
    mki: float | None
    vei: float | None
    r2: float | None
    train_seconds: float
    predict_rows_per_second: float
    peak_memory_mb: float
    interval_coverage: float | None = None

    def to_json(self) -> dict[str, float | None]:
        """A dictionary that JSON can hold; the coverage only where there are intervals."""
        told: dict[str, float | None] = asdict(self)
        if self.interval_coverage is None:
            del told["interval_coverage"]
        return {name: None if value is None or not np.isfinite(value) else value for name, value in told.items()}


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What fitting and predicting took."""

    train_seconds: float
    predict_rows_per_second: float
    peak_memory_mb: float


def judge(
    value_usd: FloatArray, price_usd: FloatArray, cost: Cost, interval: tuple[FloatArray, FloatArray] | None = None
) -> Figures:
    """The figures of values against prices, both in USD and above zero."""
    ratio = value_usd / price_usd
    error = 100 * np.abs(ratio - 1)
    spread = float(((price_usd - price_usd.mean()) ** 2).sum())
    covered = None if interval is None else ((interval[0] <= price_usd) & (price_usd <= interval[1])).mean()
    return Figures(
        mdape=float(np.median(error)),
        mape=float(np.mean(error)),
        within10=100 * float(np.mean(error <= 10)),
        within20=100 * float(np.mean(error <= 20)),
        median_ratio=float(np.median(ratio)),
        cod=cod_of(ratio),
        prd=prd_of(value_usd, price_usd),
        prb=prb_of(value_usd, price_usd, 0.95)[0],
        mki=mki_of(value_usd, price_usd),
        vei=vei_of(value_usd, price_usd),
        r2=1 - float(((value_usd - price_usd) ** 2).sum()) / spread if spread > 0 else None,
        interval_coverage=None if covered is None else 100 * float(covered),
        **vars(cost),
    )
