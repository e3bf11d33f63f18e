"""The neighbourhoods of a segment: level, trend, prices, what was sold, and a proposal which to treat as one."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from appraisal.distributions import student_t_two_sided
from appraisal.neighborhood_groups import NeighborhoodEvidence, propose_groups
from appraisal.price_trend import PriceTrend, time_factor
from contracts.api.market import AreaBasis, NeighborhoodGroup, NeighborhoodMarket, NeighborhoodMerge, Regrouping
from services.market.domain.mix import FloatArray, Mix, age_at_sale, known_numbers
from services.market.domain.prices import (
    distribution,
    interval_of_median,
    median,
    price_per_sqft,
    ratio_profile,
    ratios,
)
from services.market.domain.trends import trend_of

MINIMUM_NEIGHBORHOOD_SALES = 10
_AXES = ("longitude", "latitude")


@dataclass(frozen=True)
class Place:
    """What the record knows of a neighbourhood: active parcels of the segment and their centre in degrees."""

    parcels: int
    longitude: float
    latitude: float


def places_of(parcels: pl.DataFrame) -> dict[str, Place]:
    """The neighbourhoods of a segment's parcels, counted by use code and neighbourhood; NaN where no place is known."""
    counted = (
        parcels.filter(pl.col("neighborhood").fill_null("") != "")
        .group_by("neighborhood")
        .agg(
            pl.col("parcels").sum(),
            *(((pl.col(axis) * pl.col("located")).sum() / pl.col("located").sum()).alias(axis) for axis in _AXES),
        )
    )
    return {
        name: Place(count, *(float("nan") if at is None else at for at in centre))
        for name, count, *centre in counted.select("neighborhood", "parcels", *_AXES).iter_rows()
    }


def profile_neighborhoods(
    sales: pl.DataFrame,
    mix: Mix | None,
    trend: PriceTrend | None,
    places: dict[str, Place],
    *,
    basis: AreaBasis | None,
    confidence: float,
) -> list[NeighborhoodMarket]:
    """A profile of each neighbourhood with a sale, against the segment's trend."""
    left = time_and_mix_free(mix, trend) if mix and trend else None
    named = sales.with_columns(pl.col("neighborhood").fill_null(""), _ratio=_ratios_at_the_end(sales, mix, trend))
    found = []
    for (name,), group in sorted(named.group_by("neighborhood"), key=lambda pair: str(pair[0])):
        if name == "":
            continue
        level, own = None, None
        reason: str | None = "too_few_sales"
        if mix is not None and left is not None:
            rows = mix.usable & (mix.neighborhood == name)
            level = _level(left[rows], float(np.mean(left[mix.usable])), confidence)
            own, reason = (
                trend_of(mix, rows, mix.expected[:, None], confidence=confidence) if rows.any() else (None, reason)
            )
        profile = _profile(str(name), group, level, own, reason=reason, basis=basis, confidence=confidence)
        place = places.get(str(name))
        told = ratio_profile(group["_ratio"].to_numpy(), is_time_adjusted=left is not None, confidence=confidence)
        found.append(profile.model_copy(update={"parcels": place.parcels if place else None, "ratio": told}))
    return found


def _ratios_at_the_end(sales: pl.DataFrame, mix: Mix | None, trend: PriceTrend | None) -> FloatArray:
    """Assessed values over prices carried to the last month; a market that moved would pass for dispersion."""
    if mix is None or trend is None:
        return ratios(sales)
    return ratios(sales) / time_factor(trend.monthly_trend_percent, mix.month.max() - mix.month)


def time_and_mix_free(mix: Mix, trend: PriceTrend) -> FloatArray:
    """Log prices less what characteristics and the segment's trend say."""
    drift = np.log1p(trend.monthly_trend_percent / 100) * (mix.month - mix.month.mean())
    return np.asarray(np.log(mix.price_usd) - mix.expected - drift, dtype=float)


def propose_regrouping(
    mix: Mix | None, left: FloatArray | None, places: dict[str, Place], *, minimum_group_sales: int
) -> Regrouping:
    """Which neighbourhoods to treat as one, step by step; those of the record without a sale too."""
    if mix is None or left is None:
        return Regrouping(reason="too_few_sales", minimum_group_sales=minimum_group_sales, groups=[], merges=[])
    names = mix.neighborhood[mix.usable]
    prices = left[mix.usable] - left[mix.usable].mean()
    every = sorted({str(name) for name in names if name} | set(places))
    if len(every) < 2:
        return Regrouping(reason="one_neighborhood", minimum_group_sales=minimum_group_sales, groups=[], merges=[])
    noise = _noise(prices, names)
    evidence = [_evidence(name, prices[names == name], places.get(name)) for name in every]
    made = propose_groups(evidence, noise=noise, minimum_sales=minimum_group_sales)
    return Regrouping(
        reason=None,
        minimum_group_sales=minimum_group_sales,
        groups=[NeighborhoodGroup.model_validate(group, from_attributes=True) for group in made.groups],
        merges=[NeighborhoodMerge.model_validate(merge, from_attributes=True) for merge in made.merges],
    )


def _evidence(name: str, prices: FloatArray, place: Place | None) -> NeighborhoodEvidence:
    nowhere = float("nan")
    return NeighborhoodEvidence(
        name=name,
        sales=len(prices),
        level=float(prices.mean()) if len(prices) else nowhere,
        longitude=place.longitude if place else nowhere,
        latitude=place.latitude if place else nowhere,
    )


def _noise(prices: FloatArray, names: NDArray[np.str_]) -> float:
    """Standard deviation of log prices within the neighbourhoods."""
    _, group = np.unique(names, return_inverse=True)
    count = np.bincount(group)
    within = prices - (np.bincount(group, prices) / count)[group]
    return max(float(np.sqrt(within @ within / max(1, len(prices) - len(count)))), 1e-6)


def _level(left: FloatArray, average: float, confidence: float) -> tuple[float, float, float] | None:
    """Level, low and high end against 100; None below ten sales."""
    n = len(left)
    if n < MINIMUM_NEIGHBORHOOD_SALES:
        return None
    reach = student_t_two_sided(confidence, degrees=n - 1) * float(np.std(left, ddof=1)) / np.sqrt(n)
    middle = float(np.mean(left)) - average
    low, at, high = (100 * float(np.exp(value)) for value in (middle - reach, middle, middle + reach))
    return at, low, high


def _profile(
    name: str,
    sales: pl.DataFrame,
    level: tuple[float, float, float] | None,
    trend: PriceTrend | None,
    *,
    reason: str | None,
    basis: AreaBasis | None,
    confidence: float,
) -> NeighborhoodMarket:
    price = sales["sale_price_usd"].to_numpy()
    per_sqft = price_per_sqft(sales, basis)
    age = age_at_sale(sales)
    area = known_numbers(sales, "living_area_sqft")
    return NeighborhoodMarket(
        neighborhood=name,
        sales=sales.height,
        level=level[0] if level else None,
        level_interval=level[1:] if level else None,
        monthly_trend_percent=trend.monthly_trend_percent if trend else None,
        monthly_trend_interval=trend.monthly_trend_percent_interval if trend else None,
        reason=reason,
        median_price_usd=median(price),
        median_price_per_sqft_usd=median(per_sqft),
        median_price_interval_usd=interval_of_median(price, confidence),
        price_per_sqft=distribution(per_sqft),
        median_living_area_sqft=median(area[np.isfinite(area)]),
        median_age_years=median(age[np.isfinite(age)]),
    )
