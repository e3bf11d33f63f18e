"""What trees and networks are told of a property: its characteristics, its place, what is around and foretold of it.

No sale's own price stands behind its own features: its neighbourhood's level leaves it out, kriging and
vicinity leave its parcel out, and its surroundings count sales before it only.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from services.valuation.domain.evidence import Groundwork
from services.valuation.domain.hedonic import LOCATION
from services.valuation.domain.properties import FloatArray, Properties
from services.valuation.domain.remembered import Remembered
from services.valuation.domain.vicinity import Vicinity, learn_vicinity

SALES_AROUND, SURROUNDINGS, WHOLE = "sales_around", "surroundings", "whole_property"


@dataclass(frozen=True)
class Features:
    """Describes properties by the sales of a groundwork; one column per feature."""

    groundwork: Groundwork
    vicinity: Vicinity

    @cached_property
    def of(self) -> Remembered[FloatArray]:
        """The features of properties, as at the valuation date."""
        return Remembered(self._describe)

    @cached_property
    def of_sold(self) -> Remembered[FloatArray]:
        """The features of the groundwork's own sales, of each as it was without that sale."""
        return Remembered(self._describe_sold)

    def lines(self, count: int) -> list[str]:
        """The line of the grid that each of so many features belongs to."""
        encoding = self.groundwork.hedonic.encoding
        raw = ["age" if name == "years_since_built" else name for name in encoding.fill]
        known = [*raw, *encoding.level_groups(), *[LOCATION] * 5, SALES_AROUND, WHOLE]
        last = [SALES_AROUND, WHOLE, SALES_AROUND]
        return [*known, *[SURROUNDINGS] * (count - len(known) - len(last)), *last]

    def _describe(self, properties: Properties) -> FloatArray:
        place = self.groundwork.hedonic.contributions(properties)[LOCATION]
        nearby = self.groundwork.surroundings.level(properties)
        return self._columns(properties, (place, nearby, *self.groundwork.foretell(properties)))

    def _describe_sold(self, sold: Properties) -> FloatArray:
        hedonic = self.groundwork.hedonic
        effect = np.array([hedonic.neighborhoods[name] for name in sold.neighborhood])
        own_out = hedonic.left_out_effects(sold.neighborhood) - effect
        place = hedonic.contributions(sold)[LOCATION] + own_out
        nearby = self.groundwork.surroundings.level(sold, before_day=self.groundwork.sales.day)
        return self._columns(sold, (place, nearby, *self.groundwork.own_foretold))

    def _columns(
        self, properties: Properties, place: tuple[FloatArray, FloatArray, FloatArray, FloatArray]
    ) -> FloatArray:
        """Numbers as they are, levels by their effect, the place, what is around it, and what is foretold of it."""
        hedonic = self.groundwork.hedonic
        effect, nearby, foretold, deviation = place
        parts = hedonic.contributions(properties)
        known = hedonic.encoding.numbers(properties)
        unknown = np.full(len(properties), np.nan)
        raw = [known.get(name, unknown) for name in hedonic.encoding.fill]
        levels = [parts[group] for group in hedonic.encoding.level_groups()]
        east, north = hedonic.plane.meters(properties).T
        whole = sum(parts.values(), np.zeros(len(properties))) - parts[LOCATION] + effect
        where = [east, north, east + north, east - north, effect, nearby, whole]
        around = self.vicinity.describe(properties)
        return np.column_stack([*raw, *levels, *where, around, foretold, whole + foretold, deviation])


def learn_features(groundwork: Groundwork) -> Features:
    """What the groundwork's sales tell of any property."""
    return Features(groundwork, learn_vicinity(groundwork.sales, groundwork.hedonic))
