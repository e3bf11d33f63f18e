"""Who plays what: parcels and sales set apart, so that no planted thing hides another."""

from dataclasses import dataclass

import numpy as np

from services.ingest.synthetic.dirt import dirty_counts
from services.ingest.synthetic.houses import Use
from services.ingest.synthetic.sales import Validity
from services.ingest.synthetic.streets import type_ints
from services.ingest.synthetic.structures import SQFT_PER_ACRE
from services.ingest.synthetic.world import World

_ACCEPTED_SHARE, _PENDING_SHARE, _FUTURE_SHARE = 0.01, 0.001, 0.001
_FEWEST = 2


@dataclass(frozen=True, slots=True)
class Cast:
    """Indices of parcels and of sales; no parcel or sale stands in two of the arrays."""

    dirty_parcels: type_ints
    dirty_sales: type_ints
    accepted: type_ints
    pending: type_ints
    future: type_ints
    spare_houses: type_ints
    spare_two_storey_houses: type_ints
    spare_vacant: type_ints
    spare_sales: type_ints


def cast_parts(rng: np.random.Generator, world: World) -> Cast:
    """Shuffles the plain parcels and sales and hands them out; the spare ones are for later changes."""
    dirty_parcels, dirty_sales = dirty_counts(world.parcels)
    use, buildings = world.buildings.use, world.buildings
    is_plain = _is_plain(world)
    is_house = is_plain & (use == Use.RESIDENTIAL) & (buildings.year_built < world.tax_year - 1)
    is_low = buildings.upper_area_sqft == 0
    houses = rng.permutation(np.flatnonzero(is_house & is_low))
    small = world.lots.area_sqft <= 2 * SQFT_PER_ACRE
    sales = rng.permutation(_plain_sales(world))
    shares = (_ACCEPTED_SHARE, _PENDING_SHARE, _FUTURE_SHARE)
    sizes = [dirty_parcels, *(max(_FEWEST, round(world.parcels * share)) for share in shares)]
    parts = np.split(houses, np.cumsum(sizes))
    if len(parts[-1]) == 0:
        raise ValueError(f"seed gives too few plain houses among {world.parcels} parcels; take more parcels")
    return Cast(
        dirty_parcels=parts[0],
        dirty_sales=sales[:dirty_sales],
        accepted=parts[1],
        pending=parts[2],
        future=parts[3],
        spare_houses=parts[4],
        spare_two_storey_houses=rng.permutation(np.flatnonzero(is_house & ~is_low)),
        spare_vacant=rng.permutation(np.flatnonzero(is_plain & (use == Use.VACANT) & small)),
        spare_sales=sales[dirty_sales:],
    )


def _is_plain(world: World) -> np.ndarray:
    """Never transferred, with one owner who owns nothing else."""
    owners = world.owners
    plain = np.ones(world.parcels, dtype=bool)
    plain[world.sales.parcel] = False
    holdings_of = np.bincount(owners.account)
    crowded = owners.holding[(owners.percent < 100) | (holdings_of[owners.account] > 1)]
    plain[crowded[crowded < world.parcels]] = False
    return plain


def _plain_sales(world: World) -> type_ints:
    """Valid sales of one house that has no other transfer and was not frozen."""
    sales = world.sales
    times = np.bincount(sales.parcel, minlength=world.parcels)[sales.first_parcel]
    is_plain = (sales.validity == Validity.VALID) & (sales.parcel_count == 1) & (times == 1) & ~sales.is_frozen
    is_plain &= world.buildings.use[sales.first_parcel] == Use.RESIDENTIAL
    return np.flatnonzero(is_plain)
