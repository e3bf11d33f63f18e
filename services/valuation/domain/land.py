"""How a value divides into land and improvements.

Vacant land is all land. Elsewhere the assessor's own division stands: the parcel's assessed land share, or
else the median share of its neighbourhood's sold parcels, or of all sold parcels. Improvements are the rest.
"""

from dataclasses import dataclass

import numpy as np

from services.valuation.domain.properties import VACANT_LAND, FloatArray, Properties

SHARE_LIMITS = (0.02, 0.98)
MINIMUM_PARCELS = 5


@dataclass(frozen=True)
class LandShares:
    """Median assessed land shares of sold improved parcels; `overall` is NaN where none is assessed."""

    by_neighborhood: dict[str, float]
    overall: float

    def land_value_usd(self, properties: Properties, value_usd: FloatArray) -> FloatArray:
        """The land's part of each value, to the cent; NaN where no share is known."""
        usual = np.array([self.by_neighborhood.get(name, self.overall) for name in properties.neighborhood])
        own = properties.assessed_land_share
        share = np.clip(np.where(np.isnan(own), usual, own), *SHARE_LIMITS)
        share = np.where(properties.kind == VACANT_LAND, 1.0, share)
        return np.asarray((share * value_usd).round(2), dtype=float)


def learn_land_shares(sold: Properties) -> LandShares:
    """Shares of the sold parcels that carry both land and improvements."""
    improved = sold.take(np.isfinite(sold.assessed_land_share) & (sold.kind != VACANT_LAND))
    names, groups = np.unique(improved.neighborhood.astype(str), return_inverse=True)
    by_neighborhood = {
        str(name): float(np.median(improved.assessed_land_share[groups == index]))
        for index, name in enumerate(names)
        if (groups == index).sum() >= MINIMUM_PARCELS
    }
    overall = float(np.median(improved.assessed_land_share)) if len(improved) else float("nan")
    return LandShares(by_neighborhood, overall)
