"""The hedonic regression as a way of valuing, alone or with kriging: what each characteristic is worth, in USD."""

from dataclasses import dataclass

import numpy as np

from services.valuation.domain.evidence import Groundwork
from services.valuation.domain.hedonic import Hedonic
from services.valuation.domain.properties import FloatArray, Properties


@dataclass(frozen=True)
class Regression:
    """A fitted hedonic regression that values."""

    hedonic: Hedonic

    def predict(self, properties: Properties) -> FloatArray:
        """Value in USD."""
        value: FloatArray = np.exp(self.hedonic.predict(properties))
        return value

    def contributions(self, properties: Properties, value_usd: FloatArray) -> dict[str, FloatArray]:
        """The typical property's value (`base`) and what each group of characteristics adds to it, in USD.

        Factors are told as sums by the logarithmic mean, as in the adjustment grid.
        """
        return _in_usd(self.hedonic, self.hedonic.contributions(properties), value_usd)


@dataclass(frozen=True)
class KrigedRegression:
    """The regression, and what the sales around and alike leave of it."""

    groundwork: Groundwork

    def predict(self, properties: Properties) -> FloatArray:
        """Value in USD."""
        foretold, _ = self.groundwork.foretell(properties)
        value: FloatArray = np.exp(self.groundwork.hedonic.predict(properties) + foretold)
        return value

    def contributions(self, properties: Properties, value_usd: FloatArray) -> dict[str, FloatArray]:
        """As the regression's, with what similar and nearby sales add (`sales_around`), in USD."""
        foretold, _ = self.groundwork.foretell(properties)
        parts = {**self.groundwork.hedonic.contributions(properties), "sales_around": foretold}
        return _in_usd(self.groundwork.hedonic, parts, value_usd)


def fit_kriged_regression(groundwork: Groundwork) -> KrigedRegression:
    """The groundwork's regression with its kriging, made here if it was not yet."""
    _ = groundwork.kriging
    return KrigedRegression(groundwork)


def _in_usd(hedonic: Hedonic, parts: dict[str, FloatArray], value_usd: FloatArray) -> dict[str, FloatArray]:
    base = float(np.exp(hedonic.intercept))
    total = np.log(value_usd / base)
    small = np.abs(total) < 1e-9
    mean_usd = np.where(small, base, (value_usd - base) / np.where(small, 1.0, total))
    return {"base": np.full(len(value_usd), base), **{name: mean_usd * part for name, part in parts.items()}}
