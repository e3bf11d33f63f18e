"""The synthetic world before it is written down in anyone's tables; the same arguments give the same world."""

from dataclasses import dataclass

import numpy as np

from services.ingest.synthetic.houses import Buildings, build_houses
from services.ingest.synthetic.people import Owners, name_owners
from services.ingest.synthetic.prices import Assessment, assess
from services.ingest.synthetic.sales import Sales, sell
from services.ingest.synthetic.streets import Lots, lay_out_lots, type_floats, type_ints

FEWEST_PARCELS = 300
_NEIGHBORHOOD_EFFECT_SD = 0.2
_FIRST_PROP_ID, _FIRST_CHANGE_OF_OWNER_ID, _FIRST_ACCOUNT_ID = 10_000, 500_000, 100_001
_INACTIVE_SHARE, _PERSONAL_SHARE = 0.01, 0.02


@dataclass(frozen=True, slots=True)
class World:
    """Everything there is; properties are the lots first, then inactive ones, then personal property."""

    tax_year: int
    lots: Lots
    buildings: Buildings
    neighborhood_effects: type_floats
    prior: Assessment
    current: Assessment
    sales: Sales
    owners: Owners
    prop_id: type_ints
    inactive: int
    personal: int
    change_of_owner_id: type_ints
    account_id: type_ints

    @property
    def parcels(self) -> int:
        """How many active real parcels there are."""
        return len(self.lots.lot)

    @property
    def neighborhood_codes(self) -> np.ndarray:
        """The code of every neighborhood: its city's digit, then its number."""
        return np.array([f"{1 + number % 9}{number + 1:04d}" for number in range(len(self.neighborhood_effects))])


def build_world(*, parcels: int, seed: int, tax_year: int) -> World:
    """Builds a world of that many active real parcels.

    Raises:
        ValueError: fewer than 300 parcels, too few to plant every rule and change on parcels of their own.
    """
    if parcels < FEWEST_PARCELS:
        raise ValueError(f"a synthetic county needs at least {FEWEST_PARCELS} parcels, not {parcels}")
    streams = [np.random.default_rng(part) for part in np.random.SeedSequence([seed, parcels]).spawn(7)]
    lots = lay_out_lots(streams[0], parcels)
    buildings = build_houses(streams[1], lots, tax_year=tax_year)
    effects = streams[2].normal(0, _NEIGHBORHOOD_EFFECT_SD, int(lots.neighborhood.max()) + 1).round(4)
    prior, current = assess(streams[3], lots, buildings, effects, tax_year=tax_year)
    sales = sell(streams[4], lots, buildings, effects, tax_year=tax_year)
    inactive, personal = max(2, round(parcels * _INACTIVE_SHARE)), max(2, round(parcels * _PERSONAL_SHARE))
    properties = parcels + inactive + personal
    owners = name_owners(streams[5], lots, holdings=properties)
    return World(
        tax_year=tax_year,
        lots=lots,
        buildings=buildings,
        neighborhood_effects=effects,
        prior=prior,
        current=current,
        sales=sales,
        owners=owners,
        prop_id=_FIRST_PROP_ID + np.cumsum(streams[6].integers(1, 4, properties)),
        inactive=inactive,
        personal=personal,
        change_of_owner_id=_FIRST_CHANGE_OF_OWNER_ID + np.cumsum(streams[6].integers(1, 4, len(sales.day))),
        account_id=_FIRST_ACCOUNT_ID + np.arange(len(owners.file_as_name)),
    )
