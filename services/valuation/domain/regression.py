"""The hedonic regression as a way of valuing: what each characteristic is worth, in USD."""

from dataclasses import dataclass

import numpy as np

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
        base = float(np.exp(self.hedonic.intercept))
        total = np.log(value_usd / base)
        small = np.abs(total) < 1e-9
        mean_usd = np.where(small, base, (value_usd - base) / np.where(small, 1.0, total))
        parts = {name: mean_usd * part for name, part in self.hedonic.contributions(properties).items()}
        return {"base": np.full(len(properties), base), **parts}
