"""What stands on the lots: use, year built, living area, quality, condition, rooms."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from services.ingest.synthetic.streets import Lots, type_floats, type_ints

QUALITY_CODES = ("LOW", "FAIR", "AVG", "GOOD", "VGOOD", "EXCEL")
CONDITION_CODES = ("P", "F", "A", "G", "VG")
HEAT_CODES = ("BB", "FA", "HP")
AVERAGE_QUALITY = 2
AVERAGE_CONDITION = 2


class Use(IntEnum):
    """What a parcel is used for; indexes the price process's groups."""

    RESIDENTIAL = 0
    MOBILE_HOME = 1
    COMMERCIAL = 2
    VACANT = 3


_USE_CHANCES = (0.83, 0.04, 0.05, 0.08)


@dataclass(frozen=True, slots=True)
class Buildings:
    """One element a parcel; zeros where the parcel is vacant."""

    use: type_ints
    year_built: type_ints
    effective_year_built: type_ints
    living_area_sqft: type_floats
    upper_area_sqft: type_floats
    quality: type_ints
    condition: type_ints
    bedrooms: type_ints
    full_baths: type_ints
    half_baths: type_ints
    fireplaces: type_ints
    garage_sqft: type_floats
    outbuilding_sqft: type_floats
    heat: type_ints

    @property
    def is_improved(self) -> np.ndarray:
        """Whether a building stands there."""
        improved: np.ndarray = self.use != Use.VACANT
        return improved


def build_houses(rng: np.random.Generator, lots: Lots, *, tax_year: int) -> Buildings:
    """Puts buildings on the lots; a neighborhood has its era and its grade."""
    count = len(lots.neighborhood)
    hoods = int(lots.neighborhood.max()) + 1
    era = rng.integers(1950, tax_year - 8, hoods)[lots.neighborhood]
    grade = rng.normal(AVERAGE_QUALITY, 0.7, hoods)[lots.neighborhood]
    use = rng.choice(len(_USE_CHANCES), count, p=_USE_CHANCES).astype(np.int64)
    built = np.clip(rng.normal(era, 8.0).round(), 1905, tax_year - 1).astype(np.int64)
    renewed = np.where(rng.random(count) < 0.12, rng.integers(3, 25, count), 0)
    quality = np.clip(rng.normal(grade, 0.6).round(), 0, 5).astype(np.int64)
    condition = rng.choice(5, count, p=(0.03, 0.12, 0.55, 0.23, 0.07)).astype(np.int64)
    area = _living_area(rng, use, quality)
    is_home = (use == Use.RESIDENTIAL) | (use == Use.MOBILE_HOME)
    improved = use != Use.VACANT
    upper = np.where((use == Use.RESIDENTIAL) & (rng.random(count) < 0.3), (area * 0.45).round(), 0.0)
    garage = np.where((use == Use.RESIDENTIAL) & (rng.random(count) < 0.75), rng.integers(10, 40, count) * 20, 0)
    shed = np.where((lots.area_sqft > 30_000) & improved & (rng.random(count) < 0.4), 1_200.0, 0.0)
    return Buildings(
        use=use,
        year_built=np.where(improved, built, 0),
        effective_year_built=np.where(improved, np.minimum(built + renewed, tax_year - 1), 0),
        living_area_sqft=area,
        upper_area_sqft=upper,
        quality=quality,
        condition=condition,
        bedrooms=np.where(is_home, np.clip(rng.normal(area / 560, 0.6).round(), 1, 6), 0).astype(np.int64),
        full_baths=np.where(improved, np.clip(rng.normal(area / 950, 0.45).round(), 1, 5), 0).astype(np.int64),
        half_baths=np.where(is_home & (rng.random(count) < 0.35), 1, 0),
        fireplaces=np.where((use == Use.RESIDENTIAL) & (rng.random(count) < 0.4), 1, 0),
        garage_sqft=garage.astype(np.float64),
        outbuilding_sqft=shed,
        heat=rng.choice(3, count, p=(0.15, 0.5, 0.35)).astype(np.int64),
    )


def _living_area(rng: np.random.Generator, use: type_ints, quality: type_ints) -> type_floats:
    count = len(use)
    house = np.clip(1_650 * np.exp(0.13 * (quality - AVERAGE_QUALITY) + rng.normal(0, 0.24, count)), 620, 6_200)
    mobile = np.clip(1_300 * np.exp(rng.normal(0, 0.22, count)), 560, 2_300)
    shop = np.clip(5_000 * np.exp(rng.normal(0, 0.55, count)), 900, 40_000)
    chosen: type_floats = np.choose(use, [house, mobile, shop, np.zeros(count)]).round()
    return chosen
