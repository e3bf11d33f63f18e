"""The price process that the world obeys, and the older model that the assessor values by."""

from dataclasses import asdict, dataclass

import numpy as np

from services.ingest.synthetic.houses import AVERAGE_CONDITION, AVERAGE_QUALITY, Buildings, Use
from services.ingest.synthetic.streets import Lots, type_floats, type_ints

MONTHLY_TREND_PERCENT = 0.45
PRICE_NOISE_SD = 0.08
DAYS_PER_MONTH = 30.4375


@dataclass(frozen=True, slots=True)
class PriceProcess:
    """Coefficients of the logarithm of a price at 1 January of the tax year.

    ln price = base[use] + neighborhood effect + area[use] ln(living_area / living_area_base[use])
    + land[use] ln(land_area / 9000) + quality q + condition c - age min(years, 60)
    + baths (full + half / 2 - 2) + garage + fireplace, with q and c counted from average;
    a vacant parcel has the base, the neighborhood and the land only.
    """

    base: tuple[float, ...] = (12.75, 11.8, 13.35, 11.35)
    living_area: tuple[float, ...] = (0.62, 0.55, 0.85, 0.0)
    living_area_base_sqft: tuple[float, ...] = (1_800.0, 1_300.0, 5_000.0, 1.0)
    land_area: tuple[float, ...] = (0.12, 0.10, 0.15, 0.45)
    land_area_base_sqft: float = 9_000.0
    quality: float = 0.09
    condition: float = 0.045
    age: float = 0.0035
    age_limit_years: float = 60.0
    baths: float = 0.035
    garage: float = 0.05
    fireplace: float = 0.02

    def to_dict(self) -> dict[str, float | tuple[float, ...]]:
        """The coefficients for the truth file."""
        return asdict(self)


PROCESS = PriceProcess()


def log_price(
    lots: Lots,
    buildings: Buildings,
    effects: type_floats,
    *,
    parcel: type_ints,
    year: type_ints,
    living_area_sqft: type_floats,
) -> type_floats:
    """Log of the price of `parcel` (indices) in `year` before trend and noise; dollars of the tax year's start."""
    use = buildings.use[parcel]
    base, area, area_base, land = (
        np.array(values)[use]
        for values in (PROCESS.base, PROCESS.living_area, PROCESS.living_area_base_sqft, PROCESS.land_area)
    )
    improved = use != Use.VACANT
    age = np.clip(year - buildings.year_built[parcel], 0, PROCESS.age_limit_years)
    baths = buildings.full_baths[parcel] + buildings.half_baths[parcel] / 2 - 2
    structure = (
        area * np.log(np.where(improved, living_area_sqft, 1.0) / area_base)
        + PROCESS.quality * (buildings.quality[parcel] - AVERAGE_QUALITY)
        + PROCESS.condition * (buildings.condition[parcel] - AVERAGE_CONDITION)
        - PROCESS.age * age
        + PROCESS.baths * baths
        + PROCESS.garage * (buildings.garage_sqft[parcel] > 0)
        + PROCESS.fireplace * buildings.fireplaces[parcel]
    )
    site = land * np.log(lots.area_sqft[parcel] / PROCESS.land_area_base_sqft)
    total: type_floats = base + effects[lots.neighborhood[parcel]] + site + np.where(improved, structure, 0.0)
    return total


def trend(days_from_base: type_floats) -> type_floats:
    """Log of the price level, `days_from_base` days after 1 January of the tax year (before: negative)."""
    level: type_floats = days_from_base / DAYS_PER_MONTH * np.log1p(MONTHLY_TREND_PERCENT / 100)
    return level


@dataclass(frozen=True, slots=True)
class Assessment:
    """A year's assessed values in dollars."""

    land_usd: type_ints
    improvement_usd: type_ints

    @property
    def total_usd(self) -> type_ints:
        """Land and improvements."""
        return self.land_usd + self.improvement_usd


#: the assessor's model: its level, how much of a parcel's dearness it misses, and its errors
ASSESSMENT_LEVEL, ASSESSMENT_REGRESSIVITY = 0.93, 0.12
_NEIGHBORHOOD_ERROR_SD, _PARCEL_ERROR_SD = 0.03, 0.09


def assess(
    rng: np.random.Generator, lots: Lots, buildings: Buildings, effects: type_floats, *, tax_year: int
) -> tuple[Assessment, Assessment]:
    """Last year's and this year's values: low, regressive, unlike by neighborhood, and noisy."""
    parcel = np.arange(len(lots.neighborhood))
    year = np.full_like(parcel, tax_year)
    log_market = log_price(
        lots, buildings, effects, parcel=parcel, year=year, living_area_sqft=buildings.living_area_sqft
    )
    use = buildings.use
    centre = np.array([np.median(log_market[use == kind]) if np.any(use == kind) else 0.0 for kind in Use])[use]
    hood_error = rng.normal(0, _NEIGHBORHOOD_ERROR_SD, len(effects))[lots.neighborhood]
    log_value = (
        log_market
        + np.log(ASSESSMENT_LEVEL)
        - ASSESSMENT_REGRESSIVITY * (log_market - centre)
        + hood_error
        + rng.normal(0, _PARCEL_ERROR_SD, len(parcel))
    )
    log_site = PROCESS.base[Use.VACANT] + effects[lots.neighborhood]
    log_site = log_site + PROCESS.land_area[Use.VACANT] * np.log(lots.area_sqft / PROCESS.land_area_base_sqft)
    log_prior = log_value - 12 * np.log1p(MONTHLY_TREND_PERCENT / 100) + rng.normal(0, 0.02, len(parcel))
    site = np.exp(log_site)
    return (
        _split(np.exp(log_prior), site, buildings.is_improved & (buildings.year_built < tax_year - 1)),
        _split(np.exp(log_value), site, buildings.is_improved),
    )


def _split(total: type_floats, site: type_floats, is_improved: np.ndarray) -> Assessment:
    """Land first; what was not yet built has no improvement value."""
    total_usd = (np.round(total / 10) * 10).astype(np.int64)
    site_usd = (np.round(np.minimum(site * ASSESSMENT_LEVEL, total * 0.6) / 10) * 10).astype(np.int64)
    vacant_usd = (np.round(np.minimum(site * ASSESSMENT_LEVEL, total) / 10) * 10).astype(np.int64)
    return Assessment(
        land_usd=np.where(is_improved, site_usd, vacant_usd),
        improvement_usd=np.where(is_improved, total_usd - site_usd, 0),
    )
