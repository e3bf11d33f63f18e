"""What a valuation is asked and what it answers; money in USD, areas in square feet."""

from datetime import date
from typing import Literal, Self

from pydantic import Field, model_validator

from contracts.api.base import Answer, Request

ModelName = Literal["blend", "comparables", "hedonic", "boosting"]
PropertyKind = Literal["improved_residential", "vacant_land", "other"]


class ValuationScope(Request):
    """Which parcels: exactly one of a list of parcels, a list of neighbourhoods, or all."""

    parcel_ids: list[str] | None = Field(default=None, min_length=1, max_length=100_000)
    neighborhoods: list[str] | None = Field(default=None, min_length=1, max_length=10_000)
    all: Literal[True] | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        given = [self.parcel_ids, self.neighborhoods, self.all]
        if sum(choice is not None for choice in given) != 1:
            raise ValueError('give exactly one of "parcel_ids", "neighborhoods" and "all": true')
        return self


class ValuationParameters(Request):
    """What a valuation job is asked to do.

    Without `tax_year`, the year of `valuation_date`; without both, the county's working tax year.
    Without `valuation_date`, 1 January of the tax year. No sale after the valuation date is used.
    """

    scope: ValuationScope
    tax_year: int | None = Field(default=None, ge=1900, le=2200)
    valuation_date: date | None = None
    model: ModelName = "blend"
    comparables: int = Field(default=5, ge=1, le=30, description="comparable sales stored with each parcel")


class ComparableSale(Answer):
    """A sale beside the subject: its price plus its adjustments is its adjusted price, to the cent."""

    sale_id: str
    parcel_id: str
    sale_date: date
    sale_price_usd: float
    adjustments_usd: dict[str, float] = Field(description="by characteristic, location and time")
    adjusted_price_usd: float
    weight: float = Field(ge=0, le=1)
    similarity: float = Field(ge=0, le=1)
    dissimilarity: dict[str, float] = Field(description="by aspect, as a log price difference; 0 = alike")
    distance_meters: float | None
    characteristics: dict[str, str | float | None] = Field(default_factory=dict)


class ParcelValue(Answer):
    """The value of a parcel by one run, with its 90 % interval and how it came about."""

    parcel_id: str
    kind: PropertyKind
    model: ModelName
    valuation_date: date
    value_usd: float
    land_value_usd: float | None
    improvement_value_usd: float | None
    low_usd: float
    high_usd: float
    confidence: float = Field(ge=0, le=1, description="chance that the value is within 10 % of the price")
    contributions: dict[str, float] = Field(description="USD by model or feature; they add up to the value")
    comparables: list[ComparableSale] = Field(default_factory=list)


class ComparablesQuery(Request):
    """The body of `query.valuation.comparables.<county>`."""

    parcel_id: str = Field(min_length=1)
    comparables: int = Field(default=5, ge=1, le=30)
    valuation_date: date | None = None


class ComparablesAnswer(Answer):
    """The adjustment grid of one parcel; the weights times the adjusted prices give `indicated_value_usd`."""

    parcel_id: str
    kind: PropertyKind
    valuation_date: date
    indicated_value_usd: float
    sales_used: int
    characteristics: dict[str, str | float | None]
    comparables: list[ComparableSale]
