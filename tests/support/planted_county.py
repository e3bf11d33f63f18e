"""The synthetic county's market as a model learns it, and homes that never sold, whose true value is known."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl

from appraisal.sale_screening import ScreeningRules, screen_sales
from services.ingest.synthetic.houses import Use
from services.ingest.synthetic.prices import PRICE_NOISE_SD, log_price
from services.ingest.synthetic.sales import YEARS_OF_SALES
from services.ingest.synthetic.world import build_world
from services.valuation.domain.attributes import COLUMN, AttributeRules, candidates, choose
from services.valuation.domain.properties import (
    IMPROVED_RESIDENTIAL,
    FloatArray,
    Properties,
    UseCodes,
    properties,
)
from services.valuation.domain.sales import Sales, to_sales
from tests.support.synthetic_sales import RESIDENTIAL, VACANT, characteristics, synthetic_market

TAX_YEAR = 2026
VALUED_AT = date(TAX_YEAR, 1, 1)
NOTED = ("garage_area_sqft", "fireplaces")  # planted in the price, and among the attributes of the record
_CODES = UseCodes(residential=RESIDENTIAL, vacant_land=VACANT)


@dataclass(frozen=True)
class PlantedCounty:
    """Qualified sales of homes until `VALUED_AT`, and unsold homes with what they are worth on that day.

    `price_usd` is what each unsold home would have fetched: its true value with a sale's noise.
    """

    sold: Sales
    unsold: Properties
    true_usd: FloatArray
    price_usd: FloatArray
    neighborhood_effects: dict[str, float]


def planted_county(
    *, parcels: int, subjects: int = 10_000, seed: int = 7, attributes: Sequence[str] = NOTED
) -> PlantedCounty:
    """The county of a seed, by the price process of the demonstration; `attributes` are chosen from as a run does."""
    world = build_world(parcels=parcels, seed=seed, tax_year=TAX_YEAR)
    rules = ScreeningRules(from_date=date(TAX_YEAR - YEARS_OF_SALES, 1, 1), to_date=VALUED_AT)
    kept, _ = screen_sales(synthetic_market(world).sales, rules)
    chosen = choose(candidates(dict.fromkeys(attributes, 1), AttributeRules()), _as_texts(kept, attributes))
    sold = to_sales(chosen.typed(_as_texts(kept, attributes)), _CODES, chosen)
    home = np.isin(world.buildings.use, (Use.RESIDENTIAL, Use.MOBILE_HOME))
    home[world.sales.parcel] = False
    draw = np.random.default_rng(seed)
    unsold = np.sort(draw.choice(np.flatnonzero(home), min(subjects, int(home.sum())), replace=False))
    known = chosen.typed(_as_texts(characteristics(world)[unsold], attributes))
    log_value = log_price(
        world.lots,
        world.buildings,
        world.neighborhood_effects,
        parcel=unsold,
        year=np.full(len(unsold), TAX_YEAR),
        living_area_sqft=world.buildings.living_area_sqft[unsold],
    )
    return PlantedCounty(
        sold=sold.take(sold.properties.kind == IMPROVED_RESIDENTIAL),
        unsold=chosen.onto(properties(known, use_codes=_CODES), known),
        true_usd=np.exp(log_value),
        price_usd=np.exp(log_value + draw.normal(0, PRICE_NOISE_SD, len(unsold))),
        neighborhood_effects=dict(
            zip(world.neighborhood_codes.tolist(), world.neighborhood_effects.tolist(), strict=True)
        ),
    )


def _as_texts(frame: pl.DataFrame, attributes: Sequence[str]) -> pl.DataFrame:
    """Attributes as the record's document gives them."""
    return frame.with_columns(pl.col(name).fill_nan(None).cast(pl.String).alias(COLUMN + name) for name in attributes)
