"""What a market study is asked and what it answers."""

from datetime import date
from typing import Literal, Self

from pydantic import Field, model_validator

from contracts.api.base import Answer, Request

Interval = tuple[float, float]
AreaBasis = Literal["living_area_sqft", "land_area_sqft"]


class MarketParameters(Request):
    """What a market study is asked to do.

    Without `to_date`, up to the newest sale; without `from_date`, the 60 months before it. A segment is
    `improved_residential`, `vacant_land`, `other`, or a use code or the beginning of one; without `segments`,
    the first three.
    """

    from_date: date | None = None
    to_date: date | None = None
    segments: list[str] | None = Field(default=None, min_length=1, max_length=100)
    confidence: float = Field(default=0.95, ge=0.5, le=0.999, description="of every interval in the study")
    minimum_group_sales: int = Field(
        default=30, ge=5, le=10_000, description="sales that a proposed group of neighbourhoods must have"
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.from_date and self.to_date and self.from_date >= self.to_date:
            raise ValueError("from_date must be before to_date")
        return self


class IndexPoint(Answer):
    """The price level of a month, base month = 100; null with a reason where sales are too few.

    `index` holds the mix of sales constant and smooths over months; `unsmoothed_index` is each month by itself;
    `median_index` is the median price per area, which moves with the mix too: `mix_shift_percent` by how much.
    """

    month: date
    index: float | None
    interval: Interval | None
    reason: str | None
    sales: int
    median_price_usd: float | None
    median_price_per_sqft_usd: float | None
    median_price_per_sqft_interval_usd: Interval | None = None
    unsmoothed_index: float | None = None
    unsmoothed_interval: Interval | None = None
    repeat_sales_index: float | None = None
    repeat_sales_interval: Interval | None = None
    repeat_sales_pairs: int = Field(default=0, description="pairs of sales that begin or end in the month")
    median_index: float | None = None
    median_index_interval: Interval | None = None
    mix_shift_percent: float | None = None


class RepeatSales(Answer):
    """The market by properties that sold twice; null with a reason where pairs are too few.

    `jump_percent` is what a pair gains whatever the time between: renovation, or a first sale below the market.
    A house is older at its second sale, which the hedonic index takes out and this one does not.
    """

    pairs: int
    base_month: date | None = Field(description="where the repeat-sales index is 100: the first month of enough pairs")
    pairs_left_out: dict[str, int]
    reason: str | None
    monthly_trend_percent: float | None
    monthly_trend_interval: Interval | None
    jump_percent: float | None
    jump_interval: Interval | None


class SeasonalEffect(Answer):
    """How far prices of a calendar month are from the year's average."""

    month_of_year: int
    effect_percent: float
    interval: Interval


class Seasonality(Answer):
    """Month-of-year effects; `p_value` is the chance of effects this large where there are none."""

    reason: str | None
    is_seasonal: bool | None = Field(description="whether the p-value is below one less the confidence")
    p_value: float | None
    effects: list[SeasonalEffect]


class Absorption(Answer):
    """How fast usable sales come, over the twelve months to the study's end; by listings where they are known."""

    months_of_supply: float | None
    months_of_supply_reason: str | None
    reason: str | None
    sales_last_year: int | None
    sales_per_month: float | None
    sales_per_month_interval: Interval | None
    parcels: int | None = Field(description="active parcels of the segment in the record")
    annual_turnover_percent: float | None
    annual_turnover_interval: Interval | None


class Distribution(Answer):
    """Quantiles in USD per square foot; the outer ones need more sales than the inner ones."""

    sales: int
    reason: str | None
    p10: float | None = None
    p25: float | None = None
    p50: float | None = None
    p75: float | None = None
    p90: float | None = None


class RatioProfile(Answer):
    """Assessed value over price; null with a reason where too few are known.

    Prices are carried to the study's last month by the segment's trend; as they were paid where it has none.
    """

    sales: int
    is_time_adjusted: bool
    reason: str | None
    median_ratio: float | None
    median_ratio_interval: Interval | None
    cod: float | None


class NeighborhoodMarket(Answer):
    """One neighbourhood over the whole period, against the segment's average = 100."""

    neighborhood: str
    sales: int
    level: float | None
    level_interval: Interval | None
    monthly_trend_percent: float | None
    monthly_trend_interval: Interval | None
    reason: str | None
    median_price_usd: float | None
    median_price_per_sqft_usd: float | None
    median_price_interval_usd: Interval | None = None
    parcels: int | None = None
    price_per_sqft: Distribution | None = None
    median_living_area_sqft: float | None = None
    median_age_years: float | None = Field(default=None, description="at the sale")
    ratio: RatioProfile | None = None


class NeighborhoodMerge(Answer):
    """One step of a regrouping: the group named by its busiest neighbourhood took another, and why.

    `touching` is null where a place was not known, so that nearness was not asked for.
    """

    group: str
    joined: str
    reason: Literal["no_sales", "too_few_sales", "levels_alike"]
    sales: tuple[int, int]
    difference_percent: float | None
    difference_interval: Interval | None = Field(description="95 %")
    touching: bool | None


class NeighborhoodGroup(Answer):
    """Neighbourhoods proposed as one; the level is against the segment's average of 100."""

    neighborhoods: list[str]
    sales: int
    level: float
    has_enough_sales: bool


class Regrouping(Answer):
    """A proposal for a person to judge, never applied by itself."""

    reason: str | None
    minimum_group_sales: int
    groups: list[NeighborhoodGroup]
    merges: list[NeighborhoodMerge]


class MarketSegment(Answer):
    """One segment of the market; null trend with a reason where sales are too few."""

    segment: str
    sales: int
    sales_unexplained: int = Field(description="prices far from their characteristics, left out of the trend")
    reason: str | None
    monthly_trend_percent: float | None
    monthly_trend_interval: Interval | None
    median_price_usd: float | None
    median_price_per_sqft_usd: float | None
    months: list[IndexPoint]
    neighborhoods: list[NeighborhoodMarket]
    area_basis: AreaBasis | None = Field(default=None, description="the area that prices per area are by")
    base_month: date | None = None
    price_per_sqft: Distribution | None = None
    repeat_sales: RepeatSales | None = None
    seasonality: Seasonality | None = None
    absorption: Absorption | None = None
    regrouping: Regrouping | None = None


class MarketStudy(Answer):
    """The document `study.json` of a market job."""

    county: str
    from_date: date
    to_date: date
    sales_used: int
    sales_refused: dict[str, int]
    months: int
    main_segment: str = Field(description="the segment with most sales, whose trend stands here")
    monthly_trend_percent: float | None
    monthly_trend_interval: Interval | None
    segments: list[MarketSegment]
    confidence: float = 0.95
    sales_without_place: int | None = Field(default=None, description="used, but not on the map sales.geojson")
