"""A market study of a county's sales: segments, and for each its trend, months, seasons and neighbourhoods."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import polars as pl

from appraisal.errors import AppraisalError
from appraisal.price_index import PriceIndex, price_index
from appraisal.sale_screening import ScreeningRules, screen_sales
from contracts.api.market import MarketSegment, MarketStudy
from services.market.domain.absorption import study_absorption
from services.market.domain.mix import Mix, learn_mix
from services.market.domain.months import index_points, month_date
from services.market.domain.neighborhoods import places_of, profile_neighborhoods, propose_regrouping, time_and_mix_free
from services.market.domain.pairs import study_pairs
from services.market.domain.prices import area_basis, distribution, median, price_per_sqft
from services.market.domain.refusal import MarketRefusedError
from services.market.domain.sales_map import is_located
from services.market.domain.seasons import study_seasons
from services.market.domain.segments import Segment
from services.market.domain.trends import MINIMUM_MONTH_SALES, MINIMUM_SALES, trend_of

PARCEL_SCHEMA = {
    "use_code": pl.String,
    "neighborhood": pl.String,
    "parcels": pl.Int64,
    "located": pl.Int64,
    "longitude": pl.Float64,
    "latitude": pl.Float64,
}


@dataclass(frozen=True, kw_only=True)
class Terms:
    """How a study is to be made; without `parcels` (PARCEL_SCHEMA) the record's parcels are not known."""

    confidence: float = 0.95
    minimum_group_sales: int = 30
    parcels: pl.DataFrame | None = None


def study_market(
    sales: pl.DataFrame, *, county: str, rules: ScreeningRules, segments: Sequence[Segment], terms: Terms | None = None
) -> MarketStudy:
    """The study of sales in the period; sales in none of the segments are in no part of it.

    Refuses (`too_few_sales`) fewer than 30 usable sales, with the counts of those refused, and segments that
    have none.
    """
    terms = terms or Terms()
    kept, refused = screen_sales(sales, rules)
    if kept.height < MINIMUM_SALES:
        raise MarketRefusedError(
            "too_few_sales",
            f"{kept.height} usable sales in the period; a study needs at least {MINIMUM_SALES}",
            {"sales": kept.height, "needed": MINIMUM_SALES, "refused": refused},
        )
    known_since: date = kept["sale_date"][0]
    parts = {segment.name: segment.of(kept) for segment in segments}
    found = [
        _segment(segment, parts[segment.name], terms, to_date=rules.to_date, known_since=known_since)
        for segment in segments
    ]
    main = max(found, key=lambda segment: segment.sales)
    if not main.sales:
        raise MarketRefusedError(
            "too_few_sales",
            "no segment that was asked for has a usable sale",
            {"segments": [segment.name for segment in segments], "sales": 0, "refused": refused},
        )
    return MarketStudy(
        county=county,
        from_date=rules.from_date,
        to_date=rules.to_date,
        sales_used=sum(segment.sales for segment in found),
        sales_refused=refused,
        months=len(main.months),
        main_segment=main.segment,
        monthly_trend_percent=main.monthly_trend_percent,
        monthly_trend_interval=main.monthly_trend_interval,
        segments=found,
        confidence=terms.confidence,
        sales_without_place=sum(int((~is_located(part)).sum()) for part in parts.values()),
    )


def _segment(segment: Segment, sales: pl.DataFrame, terms: Terms, *, to_date: date, known_since: date) -> MarketSegment:
    confidence = terms.confidence
    mix = learn_mix(sales) if sales.height >= MINIMUM_SALES else None
    trend, reason = trend_of(mix, mix.usable, mix.controls, confidence=confidence) if mix else (None, "too_few_sales")
    left = time_and_mix_free(mix, trend) if mix and trend else None
    index = _index(mix, confidence) if mix and trend else None
    basis = area_basis(sales)
    pairs = study_pairs(sales, mix, confidence=confidence, minimum_month_pairs=MINIMUM_MONTH_SALES)
    parcels = None if terms.parcels is None else segment.of(terms.parcels)
    places = {} if parcels is None else places_of(parcels)
    return MarketSegment(
        segment=segment.name,
        sales=sales.height,
        sales_unexplained=0 if mix is None else int((~mix.usable).sum()),
        reason=reason,
        monthly_trend_percent=trend.monthly_trend_percent if trend else None,
        monthly_trend_interval=trend.monthly_trend_percent_interval if trend else None,
        median_price_usd=median(sales["sale_price_usd"].to_numpy()),
        median_price_per_sqft_usd=median(price_per_sqft(sales, basis)),
        months=index_points(sales, index, pairs.months, basis=basis, confidence=confidence),
        neighborhoods=profile_neighborhoods(sales, mix, trend, places, basis=basis, confidence=confidence),
        area_basis=basis,
        base_month=month_date(index.base_month) if index else None,
        price_per_sqft=distribution(price_per_sqft(sales, basis)),
        repeat_sales=pairs.told,
        seasonality=study_seasons(index, confidence=confidence, minimum_month_sales=MINIMUM_MONTH_SALES),
        absorption=study_absorption(
            sales,
            to_date=to_date,
            known_since=known_since,
            parcels=None if parcels is None else int(parcels["parcels"].sum()),
            confidence=confidence,
        ),
        regrouping=propose_regrouping(mix, left, places, minimum_group_sales=terms.minimum_group_sales),
    )


def _index(mix: Mix, confidence: float) -> PriceIndex | None:
    try:
        return price_index(
            mix.price_usd[mix.usable],
            mix.month[mix.usable],
            mix.controls[mix.usable],
            confidence=confidence,
            minimum_sales=MINIMUM_SALES,
            minimum_sales_per_month=MINIMUM_MONTH_SALES,
        )
    except AppraisalError:
        return None
