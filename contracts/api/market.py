"""What a market study is asked and what it answers."""

from datetime import date
from typing import Self

from pydantic import Field, model_validator

from contracts.api.base import Answer, Request


class MarketParameters(Request):
    """What a market study is asked to do.

    Without `to_date`, up to the newest sale; without `from_date`, the 60 months before it. A segment is
    `improved_residential`, `vacant_land`, `other`, or a use code or the beginning of one; without `segments`,
    the first three.
    """

    from_date: date | None = None
    to_date: date | None = None
    segments: list[str] | None = Field(default=None, min_length=1, max_length=100)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.from_date and self.to_date and self.from_date >= self.to_date:
            raise ValueError("from_date must be before to_date")
        return self


class IndexPoint(Answer):
    """The price level of a month, base month = 100; null with a reason where sales are too few."""

    month: date
    index: float | None
    interval: tuple[float, float] | None
    reason: str | None
    sales: int
    median_price_usd: float | None
    median_price_per_sqft_usd: float | None


class NeighborhoodMarket(Answer):
    """One neighbourhood over the whole period, against the segment's average = 100."""

    neighborhood: str
    sales: int
    level: float | None
    level_interval: tuple[float, float] | None
    monthly_trend_percent: float | None
    monthly_trend_interval: tuple[float, float] | None
    reason: str | None
    median_price_usd: float | None
    median_price_per_sqft_usd: float | None


class MarketSegment(Answer):
    """One segment of the market; null trend with a reason where sales are too few."""

    segment: str
    sales: int
    sales_unexplained: int = Field(description="prices far from their characteristics, left out of the trend")
    reason: str | None
    monthly_trend_percent: float | None
    monthly_trend_interval: tuple[float, float] | None
    median_price_usd: float | None
    median_price_per_sqft_usd: float | None
    months: list[IndexPoint]
    neighborhoods: list[NeighborhoodMarket]


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
    monthly_trend_interval: tuple[float, float] | None
    segments: list[MarketSegment]
