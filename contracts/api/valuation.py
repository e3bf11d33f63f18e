"""What a valuation is asked and what it answers; money in USD, areas in square feet."""

from datetime import date
from typing import Literal, Self
from uuid import UUID

from pydantic import Field, ValidationInfo, field_validator, model_validator

from contracts.api.base import Answer, Request
from contracts.api.sales_review import SaleDecisionEntry
from contracts.api.valuation_runs import (
    OverrideEntry,
    PriorBasis,
    ReviewLimits,
    ValuationMode,
    ValueCap,
    ValueFactor,
)

ModelName = Literal["blend", "comparables", "hedonic", "kriging", "boosting", "network", "reconciled"]
PropertyKind = Literal["improved_residential", "vacant_land", "other"]


OF_THE_BASE = frozenset({"tax_year", "valuation_date", "model", "comparables", "prior_value"})
"""What a run that is made of another one takes from it."""


class ValuationScope(Request):
    """Which parcels: exactly one of a list of parcels, of neighbourhoods, of beginnings of use codes, or all."""

    parcel_ids: list[str] | None = Field(default=None, min_length=1, max_length=100_000)
    neighborhoods: list[str] | None = Field(default=None, min_length=1, max_length=10_000)
    use_codes: list[str] | None = Field(
        default=None, min_length=1, max_length=1_000, description="a use class: codes that begin so"
    )
    all: Literal[True] | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        given = [self.parcel_ids, self.neighborhoods, self.use_codes, self.all]
        if sum(choice is not None for choice in given) != 1:
            raise ValueError('give exactly one of "parcel_ids", "neighborhoods", "use_codes" and "all": true')
        return self


class ValuationParameters(Request):
    """What a valuation job is asked to do.

    Without `tax_year`, the year of `valuation_date`; without both, the county's working tax year.
    Without `valuation_date`, 1 January of the tax year. No sale after the valuation date is used.
    """

    mode: ValuationMode = "value"
    scope: ValuationScope | None = Field(default=None, validate_default=True, description="of `value`; needed there")
    tax_year: int | None = Field(default=None, ge=1900, le=2200)
    valuation_date: date | None = None
    model: ModelName = "blend"
    comparables: int = Field(default=5, ge=1, le=30, description="comparable sales stored with each parcel")
    factors: list[ValueFactor] = Field(default_factory=list, max_length=1_000, description="what if")
    caps: list[ValueCap] = Field(default_factory=list, max_length=1_000, description="year-over-year limits")
    prior_value: PriorBasis | None = Field(
        default=None, description="null: the year before where the scope has such values, else the roll's"
    )
    review: ReviewLimits = ReviewLimits()
    base_run_id: UUID | None = Field(
        default=None,
        description="put the frozen values of this run through factors, caps and review, instead of valuing anew;"
        " year, date, model and prior values are then that run's",
    )
    run_id: UUID | None = Field(default=None, description="of `promote` and `post`")
    promotion_id: UUID | None = Field(default=None, description="of `approve` and `reject`")
    override: OverrideEntry | None = Field(default=None, description="of `override`")
    override_id: UUID | None = Field(default=None, description="of `withdraw`")
    sale_decision: SaleDecisionEntry | None = Field(default=None, description="of `decide_sale`")
    reason: str | None = Field(default=None, max_length=500, description="why, for the history")

    @field_validator("scope")
    @classmethod
    def _is_given_to_value(cls, scope: ValuationScope | None, info: ValidationInfo) -> ValuationScope | None:
        if scope is None and info.data.get("mode", "value") == "value":
            raise ValueError("a valuation needs a scope")
        return scope

    @model_validator(mode="after")
    def _says_what_its_mode_needs(self) -> Self:
        needed = {
            "promote": "run_id",
            "post": "run_id",
            "approve": "promotion_id",
            "reject": "promotion_id",
            "override": "override",
            "withdraw": "override_id",
            "decide_sale": "sale_decision",
        }
        name = needed.get(self.mode)
        if name is not None and getattr(self, name) is None:
            raise ValueError(f"{self.mode} needs {name}")
        if self.mode != "value" and (self.scope or self.factors or self.caps or self.base_run_id):
            raise ValueError(f"scope, factors, caps and base_run_id belong to a valuation, not to {self.mode}")
        if self.base_run_id is not None and (said := sorted(OF_THE_BASE & self.model_fields_set)):
            raise ValueError(f"{', '.join(said)} are those of the base run")
        return self

    @property
    def parcels(self) -> ValuationScope:
        """The scope of a `value` job, which always has one."""
        assert self.scope is not None
        return self.scope


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
    similarity_lost: dict[str, float] = Field(
        default_factory=dict, description="by aspect; with the similarity they add up to 1"
    )
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


class ExcludedSale(Answer):
    """A sale near the subject that is none of its comparables, and why."""

    sale_id: str
    parcel_id: str
    sale_date: date
    distance_meters: float | None
    reason: str = Field(description="own_sale, price_unexplained, newer_sale_of_parcel or less_similar")
    similarity: float | None = Field(default=None, description="of less_similar")
    largest_difference: str | None = Field(default=None, description="of less_similar: the aspect")


class EquityComparable(Answer):
    """A similar parcel's assessed value: with its adjustments it is the adjusted value, to the cent."""

    parcel_id: str
    assessed_value_usd: float
    adjustments_usd: dict[str, float] = Field(description="by characteristic and location")
    adjusted_value_usd: float
    weight: float = Field(ge=0, le=1)
    similarity: float = Field(ge=0, le=1)
    similarity_lost: dict[str, float]


class EquityComparison(Answer):
    """What similar parcels are assessed at; the weights times the adjusted values give the indicated value."""

    assessed_value_usd: float | None = Field(description="of the subject")
    indicated_value_usd: float
    median_adjusted_value_usd: float
    comparables: list[EquityComparable]


class ExplainedValue(Answer):
    """A value by cause, in USD that add up to it, and the same in words and whole dollars."""

    run_id: UUID | None = Field(default=None, description="null: worked out now from the comparables")
    value_usd: float
    contributions: dict[str, float]
    sentences: list[str]


class ComparablesAnswer(Answer):
    """The adjustment grid of one parcel; the weights times the adjusted prices give `indicated_value_usd`."""

    parcel_id: str
    kind: PropertyKind
    valuation_date: date
    indicated_value_usd: float
    sales_used: int
    characteristics: dict[str, str | float | None]
    comparables: list[ComparableSale]
    excluded: list[ExcludedSale] = Field(default_factory=list, description="near sales that are no comparables")
    equity: EquityComparison | None = Field(default=None, description="null: no similar parcel has an assessed value")
    indicated: ExplainedValue | None = Field(default=None, description="the indicated value by cause")
    latest: ExplainedValue | None = Field(default=None, description="the newest run's value by cause")
    emphasis: dict[str, float] = Field(default_factory=dict, description="as the county file has it")
