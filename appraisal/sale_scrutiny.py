"""The sales that a person should look at: what is odd about them, and how much each of them moves."""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import polars as pl

from appraisal.arrays import Floats
from appraisal.price_scrutiny import PLACE_PRIOR_SALES, Mask, PriceScrutiny, find_discounted_deeds, scrutinize_prices
from appraisal.sale_findings import Finding
from appraisal.sale_patterns import (
    TOKEN_PRICE_USD,
    DeedCodes,
    find_built_after_sale,
    find_bulk,
    find_deeds,
    find_flips,
    find_repeated_entries,
    find_several_parcels,
    find_token_prices,
)

LARGEST_RESIDUAL = 1.0  # of a log price: beyond it a model leaves a price out by itself
NO_DOUBT = 0.95  # findings so strong keep a sale out of what prices are compared with
SCRUTINY_SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "sale_id": pl.String,
    "parcel_id": pl.String,
    "sale_date": pl.Date,
    "sale_price_usd": pl.Float64,
    "is_qualified": pl.Boolean,
    "parcel_count": pl.Int64,
    "deed_type": pl.String,
    "validity_code": pl.String,
    "kind": pl.String,
    "neighborhood": pl.String,
    "building_class": pl.String,
    "condition": pl.String,
    "living_area_sqft": pl.Float64,
    "land_area_sqft": pl.Float64,
    "year_built": pl.Float64,
    "longitude": pl.Float64,
    "latitude": pl.Float64,
}


@dataclass(frozen=True, kw_only=True)
class OddSale:
    """A sale with findings, the strongest first.

    `influence_percent` is how far the level of its place moves where the sale comes or goes, times the
    strongest finding; 0 for a sale that counts nowhere.
    """

    sale_id: str
    parcel_id: str
    expected_price_usd: float | None
    robust_z: float | None
    influence_percent: float
    findings: tuple[Finding, ...]

    @property
    def strength(self) -> float:
        """That of the strongest finding."""
        return self.findings[0].strength


def scrutinize_sales(sales: pl.DataFrame, codes: DeedCodes | None = None) -> list[OddSale]:
    """The sales (columns of `SCRUTINY_SCHEMA`) with findings, the most influential first; equal in any order of rows.

    A sale is one row or one for each of its parcels. Prices are compared with those of qualified sales of single
    parcels that no other finding speaks against beyond doubt.
    """
    ordered = sales.filter(pl.col("sale_date").is_not_null()).sort("sale_id", "parcel_id")
    once = ordered.unique("sale_id", keep="first", maintain_order=True)
    found = [
        *find_token_prices(once),
        *find_several_parcels(once),
        *find_bulk(once),
        *find_flips(once),
        *find_deeds(once, codes or DeedCodes()),
        *find_built_after_sale(once),
        *find_repeated_entries(once),
    ]
    counts = _counting(once)
    doubted = pl.Series([finding.sale_id for finding in found if finding.strength >= NO_DOUBT], dtype=pl.String)
    learned = counts & ~once["sale_id"].is_in(doubted.implode()).to_numpy()
    scrutiny = scrutinize_prices(once, judged=_priced(once), learned=learned)
    found += [*scrutiny.findings(once), *find_discounted_deeds(once, scrutiny)]
    return _odd_sales(once, found, scrutiny, counts)


def _priced(sales: pl.DataFrame) -> Mask:
    price = pl.col("sale_price_usd")
    single = (price > TOKEN_PRICE_USD) & price.is_finite() & (pl.col("parcel_count").fill_null(1) <= 1)
    usable: Mask = sales.select(single.fill_null(value=False)).to_series().to_numpy()
    return usable


def _counting(sales: pl.DataFrame) -> Mask:
    counting: Mask = _priced(sales) & sales["is_qualified"].fill_null(value=False).to_numpy()
    return counting


def _odd_sales(sales: pl.DataFrame, found: list[Finding], scrutiny: PriceScrutiny, counts: Mask) -> list[OddSale]:
    by_sale: dict[str, list[Finding]] = defaultdict(list)
    for finding in found:
        by_sale[finding.sale_id].append(finding)
    moves = _moves(scrutiny, counts)
    odd = [
        OddSale(
            sale_id=sale_id,
            parcel_id=parcel_id,
            expected_price_usd=_known(scrutiny.expected_price_usd[row]),
            robust_z=_known(scrutiny.robust_z[row]),
            influence_percent=float(moves[row]) * max(finding.strength for finding in by_sale[sale_id]),
            findings=tuple(sorted(by_sale[sale_id], key=lambda finding: (-finding.strength, finding.reason))),
        )
        for row, (sale_id, parcel_id) in enumerate(sales.select("sale_id", "parcel_id").iter_rows())
        if sale_id in by_sale
    ]
    return sorted(odd, key=lambda sale: (-sale.influence_percent, -sale.strength, sale.sale_id))


def _moves(scrutiny: PriceScrutiny, counts: Mask) -> Floats:
    """By how many percent the level of its place follows each sale; one that nothing is expected of moves as usual."""
    known = scrutiny.residual[np.isfinite(scrutiny.residual) & counts]
    usual = float(np.median(np.abs(known))) if known.size else 0.0
    size = np.minimum(np.abs(np.nan_to_num(scrutiny.residual, nan=usual)), LARGEST_RESIDUAL)
    moved: Floats = np.where(counts, 100 * size / (scrutiny.place_sales + PLACE_PRIOR_SALES), 0.0)
    return moved


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
