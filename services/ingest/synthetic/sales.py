"""Five years of transfers: dates, prices, validity, multi-parcel sales, deeds that are no sales."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from services.ingest.synthetic.houses import Buildings, Use
from services.ingest.synthetic.prices import PRICE_NOISE_SD, log_price, trend
from services.ingest.synthetic.streets import Lots, type_floats, type_ints

YEARS_OF_SALES = 5
_MULTI_PARCEL_SHARE = 0.03
_INVALID_SHARE = 0.12
_ADDITION_SHARE = 0.03
_MOST_PARCELS = 4


class Validity(IntEnum):
    """How the county graded a transfer; the last is no sale at all."""

    VALID = 0
    INVALID = 1
    REVIEW = 2
    NO_SALE = 3


@dataclass(frozen=True, slots=True)
class Sales:
    """Transfers in the order of their recording, and the parcels of each (`sale` and `parcel` are pairs)."""

    day: type_ints  # days from 1 January of the tax year, so below zero
    price_usd: type_ints
    validity: type_ints
    parcel_count: type_ints
    first_parcel: type_ints
    sold_living_area_sqft: type_floats
    is_frozen: np.ndarray
    sale: type_ints
    parcel: type_ints


def sell(rng: np.random.Generator, lots: Lots, buildings: Buildings, effects: type_floats, *, tax_year: int) -> Sales:
    """Sells about 35 % of the improved parcels, some twice, by the price process."""
    parcel, day = _choose(rng, buildings, tax_year=tax_year)
    count = len(parcel)
    sale_year = _year_of(day, tax_year)
    parcels = _add_neighbours(rng, lots, buildings, parcel, sale_year)
    validity = rng.choice(3, count, p=(1 - _INVALID_SHARE, _INVALID_SHARE * 0.8, _INVALID_SHARE * 0.2))
    validity = np.where(rng.random(count) < 0.06, Validity.NO_SALE, validity).astype(np.int64)
    sold_area = _sold_living_area(rng, buildings, parcel, parcels)
    price = np.zeros(count)
    for place in range(_MOST_PARCELS):
        taken = np.maximum(parcels[:, place], 0)
        area = sold_area if place == 0 else buildings.living_area_sqft[taken]
        level = log_price(lots, buildings, effects, parcel=taken, year=sale_year, living_area_sqft=area)
        price += np.where(parcels[:, place] >= 0, np.exp(level), 0.0)
    price *= np.exp(trend(day.astype(np.float64)) + rng.normal(0, PRICE_NOISE_SD, count))
    odd = np.exp(np.where(rng.random(count) < 0.7, rng.normal(-0.9, 0.5, count), rng.normal(0.45, 0.15, count)))
    price *= np.where((validity == Validity.INVALID) | (validity == Validity.REVIEW), odd, 1.0)
    sale, position = np.nonzero(parcels >= 0)
    return Sales(
        day=day,
        price_usd=(np.round(price / 100) * 100).astype(np.int64),
        validity=validity,
        parcel_count=(parcels >= 0).sum(axis=1),
        first_parcel=parcel,
        sold_living_area_sqft=sold_area,
        is_frozen=(rng.random(count) < 0.2) & (validity != Validity.NO_SALE),
        sale=sale,
        parcel=parcels[sale, position],
    )


def _choose(rng: np.random.Generator, buildings: Buildings, *, tax_year: int) -> tuple[type_ints, type_ints]:
    """Which parcels sell on which day, in order; nothing sells improved before it was built."""
    count = len(buildings.use)
    chance = np.where(buildings.is_improved, 0.35, 0.15)
    once = np.flatnonzero(rng.random(count) < chance)
    twice = once[rng.random(len(once)) < 0.06]
    parcel = np.concatenate([once, twice])
    start = _day_of(np.maximum(tax_year - YEARS_OF_SALES, buildings.year_built[parcel] + 1), tax_year)
    day = np.floor(start + rng.random(len(parcel)) * -start).astype(np.int64)
    kept = start < -30
    parcel, day = parcel[kept], day[kept]
    order = np.lexsort((parcel, day))
    parcel, day = parcel[order], day[order]
    _, first = np.unique(parcel * 10_000 - day, return_index=True)
    first.sort()
    return parcel[first], day[first]


def _add_neighbours(
    rng: np.random.Generator, lots: Lots, buildings: Buildings, parcel: type_ints, sale_year: type_ints
) -> type_ints:
    """The parcels of each sale, -1 where there is none; a few sales take the next lots of the block too."""
    wanted = np.where(
        rng.random(len(parcel)) < _MULTI_PARCEL_SHARE * 1.3, rng.integers(1, _MOST_PARCELS, len(parcel)), 0
    )
    parcels = np.full((len(parcel), _MOST_PARCELS), -1, dtype=np.int64)
    parcels[:, 0] = parcel
    last = len(lots.block) - 1
    for place in range(1, _MOST_PARCELS):
        following = np.minimum(parcel + place, last)
        fits = (
            (wanted >= place)
            & (following == parcel + place)
            & (lots.neighborhood[following] == lots.neighborhood[parcel])
            & (lots.block[following] == lots.block[parcel])
            & (buildings.year_built[following] < sale_year)
            & (buildings.use[following] == buildings.use[parcel])
            & (parcels[:, place - 1] >= 0)
        )
        parcels[:, place] = np.where(fits, following, -1)
    return parcels


def _sold_living_area(
    rng: np.random.Generator, buildings: Buildings, parcel: type_ints, parcels: type_ints
) -> type_floats:
    """The living area as sold: smaller than today's where the house was added to since."""
    area = buildings.living_area_sqft[parcel]
    times = np.bincount(parcel, minlength=len(buildings.use))[parcel]
    grown = (rng.random(len(parcel)) < _ADDITION_SHARE) & (times == 1) & (parcels[:, 1] < 0)
    grown &= (buildings.use[parcel] == Use.RESIDENTIAL) & (buildings.upper_area_sqft[parcel] == 0)
    sold: type_floats = np.where(grown, (area * rng.uniform(0.75, 0.92, len(parcel))).round(), area)
    return sold


def _day_of(year: type_ints, tax_year: int) -> type_ints:
    """Days from 1 January of the tax year to 1 January of `year`."""
    base = np.datetime64(f"{tax_year}-01-01", "D")
    starts = (year - 1970).astype("datetime64[Y]").astype("datetime64[D]")
    days: type_ints = (starts - base).astype(np.int64)
    return days


def _year_of(day: type_ints, tax_year: int) -> type_ints:
    dates = np.datetime64(f"{tax_year}-01-01", "D") + day.astype("timedelta64[D]")
    years: type_ints = dates.astype("datetime64[Y]").astype(np.int64) + 1970
    return years
