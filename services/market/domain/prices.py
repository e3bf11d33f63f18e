"""Prices as they were paid: medians, quantiles and prices per area, each from enough sales or not at all."""

import numpy as np
import polars as pl

from appraisal.arrays import Interval
from appraisal.ratio_statistics import cod_of, median_interval
from contracts.api.market import AreaBasis, Distribution, RatioProfile
from services.market.domain.mix import FloatArray, known_numbers

MINIMUM_MEDIAN_SALES = 5
MINIMUM_QUARTILE_SALES = 8
MINIMUM_DECILE_SALES = 20
MINIMUM_RATIO_SALES = 5


def area_basis(sales: pl.DataFrame) -> AreaBasis | None:
    """The area that most of the sales have: of the living space, or else of the land."""
    columns: tuple[AreaBasis, ...] = ("living_area_sqft", "land_area_sqft")
    for name in columns:
        if np.isfinite(known_numbers(sales, name)).sum() * 2 > sales.height:
            return name
    return None


def price_per_sqft(sales: pl.DataFrame, basis: AreaBasis | None) -> FloatArray:
    """Price per square foot of the sales whose area is known, USD."""
    each = price_per_sqft_of_each(sales, basis)
    return each[np.isfinite(each)]


def price_per_sqft_of_each(sales: pl.DataFrame, basis: AreaBasis | None) -> FloatArray:
    """The same row by row, NaN where the area is not known."""
    price = sales["sale_price_usd"].to_numpy().astype(float)
    each: FloatArray = price / known_numbers(sales, basis) if basis else np.full(len(price), np.nan)
    return each


def median(values: FloatArray) -> float | None:
    """The median to the cent; None of fewer than five."""
    return round(float(np.median(values)), 2) if len(values) >= MINIMUM_MEDIAN_SALES else None


def interval_of_median(values: FloatArray, confidence: float) -> Interval | None:
    """Its interval by order statistics; None where the values are too few for it."""
    found = median_interval(values, confidence) if len(values) >= MINIMUM_MEDIAN_SALES else None
    return None if found is None else (round(found[0], 2), round(found[1], 2))


def distribution(values: FloatArray) -> Distribution:
    """Quantiles of prices per area: quartiles from eight sales, deciles from twenty."""
    count = len(values)
    levels = {"p50": 0.5} if count >= MINIMUM_MEDIAN_SALES else {}
    if count >= MINIMUM_QUARTILE_SALES:
        levels |= {"p25": 0.25, "p75": 0.75}
    if count >= MINIMUM_DECILE_SALES:
        levels |= {"p10": 0.1, "p90": 0.9}
    reason = None if count >= MINIMUM_DECILE_SALES else "too_few_sales"
    found = {name: round(float(np.quantile(values, level)), 2) for name, level in levels.items()}
    return Distribution(sales=count, reason=reason, **found)


def ratios(sales: pl.DataFrame) -> FloatArray:
    """Assessed value over price of each sale; NaN where the parcel has no assessed value."""
    assessed = known_numbers(sales, "assessed_value_usd")
    each: FloatArray = np.where(assessed > 0, assessed, np.nan) / sales["sale_price_usd"].to_numpy().astype(float)
    return each


def ratio_profile(each: FloatArray, *, is_time_adjusted: bool, confidence: float) -> RatioProfile:
    """Level and dispersion of the assessed values against the prices, from the ratio of each sale."""
    known = each[np.isfinite(each)]
    enough = len(known) >= MINIMUM_RATIO_SALES
    reason = None if enough else "too_few_sales" if len(known) else "no_assessed_values"
    return RatioProfile(
        sales=len(known),
        is_time_adjusted=is_time_adjusted,
        reason=reason,
        median_ratio=float(np.median(known)) if enough else None,
        median_ratio_interval=median_interval(known, confidence) if enough else None,
        cod=cod_of(known) if enough else None,
    )
