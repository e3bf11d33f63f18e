"""Runs of the valuation after they were made: compared, promoted, overridden, posted; money in USD."""

from datetime import date, datetime
from typing import Any, Literal, Self
from uuid import UUID

from pydantic import Field, model_validator

from contracts.api.base import Answer, Request
from contracts.subjects import COUNTY_PATTERN

ValuationMode = Literal[
    "value", "promote", "approve", "reject", "override", "withdraw", "post", "review_sales", "decide_sale"
]
"""What a `valuation` job does: `value` makes a run, `review_sales` finds odd sales; the rest are persons' decisions."""

PriorBasis = Literal["prior_year", "roll"]
"""What a value is laid beside: the total of the year before, or the total that stands on the roll now."""

ReviewFlag = Literal["change_too_large", "interval_wide", "outside_interval", "capped"]
PromotionStatus = Literal["requested", "approved", "rejected"]
PostedStatus = Literal["pending", "matched", "different", "missing"]
Reason = Field(default=None, max_length=500, description="why; stays in the record, never in an event or a file")


class Selection(Request):
    """Which parcels: of these neighbourhoods, and with codes that begin so; what is not named is not asked for."""

    neighborhoods: list[str] | None = Field(default=None, min_length=1, max_length=1_000)
    use_codes: list[str] | None = Field(
        default=None, min_length=1, max_length=1_000, description="beginnings of use codes"
    )


class ValueFactor(Selection):
    """A what-if: the model's values of these parcels grow by so many percent; where several match they multiply."""

    percent: float = Field(ge=-90, le=900)
    all: Literal[True] | None = Field(default=None, description="every parcel of the scope, instead of a choice")

    @model_validator(mode="after")
    def _says_which(self) -> Self:
        if (self.all is None) == (self.neighborhoods is None and self.use_codes is None):
            raise ValueError('a factor names neighborhoods, use_codes or both, or else "all": true')
        return self


class ValueCap(Selection):
    """How far a value may be from the prior one; of several caps that match, the first counts."""

    increase_percent: float | None = Field(default=None, ge=0, le=1_000)
    decrease_percent: float | None = Field(default=None, ge=0, le=100)

    @model_validator(mode="after")
    def _limits_something(self) -> Self:
        if self.increase_percent is None and self.decrease_percent is None:
            raise ValueError("a cap names increase_percent, decrease_percent or both")
        return self


class ReviewLimits(Request):
    """What is plausible; a value beyond it is flagged and listed, for a person to look at."""

    change_percent: float = Field(default=50, gt=0, description="from the prior value, up or down")
    interval_percent: float = Field(default=100, gt=0, description="width of the 90 % interval, of the value")


class OverrideEntry(Request):
    """A person's value of one parcel, which stands beside the model's."""

    parcel_id: str = Field(min_length=1, max_length=100)
    tax_year: int | None = Field(default=None, ge=1900, le=2200, description="null: that of the newest value")
    value_usd: float = Field(ge=0, lt=1e12, allow_inf_nan=False)
    land_value_usd: float | None = Field(
        default=None, ge=0, lt=1e12, allow_inf_nan=False, description="null: the model's share of land"
    )
    reason: str = Field(min_length=3, max_length=500, description="why; stays in the record, no names of people")

    @model_validator(mode="after")
    def _land_is_part_of_it(self) -> Self:
        if self.land_value_usd is not None and self.land_value_usd > self.value_usd:
            raise ValueError("land_value_usd is above value_usd")
        return self


class OverrideRequest(OverrideEntry):
    """The body of `POST /api/v1/valuation/overrides`."""

    county: str = Field(pattern=COUNTY_PATTERN)


class RunDecision(Request):
    """The body of what is decided about a run or an override."""

    reason: str | None = Reason


class PairSnapshot(Answer):
    """How far a pair's source had been read into the record."""

    pair: str
    sequence: int | None = Field(description="the pair's applied operations are counted; null: none was")
    operation_id: UUID | None
    synchronized_at: datetime | None


class ValuationRun(Answer):
    """A run with its stamps; it is never changed."""

    run_id: UUID = Field(description="the job's id")
    county: str
    tax_year: int
    valuation_date: date
    model: str
    is_what_if: bool = Field(description="made with factors: no value of it is anybody's latest until it is promoted")
    parcels_valued: int
    parcels_refused: int
    parcels_flagged: int | None
    total_value_usd: float | None
    requested_by: str | None
    created_at: datetime
    code_version: str | None
    snapshot: list[PairSnapshot] = Field(description="the record that it was made from")
    input_sha256: str | None = Field(
        default=None, description="digest of the sales, as they were screened and decided, and parcels that it is of"
    )
    values_sha256: str | None = Field(description="digest of all values as they are stored: equal runs have equal ones")
    promotion_status: PromotionStatus | None
    posted_at: datetime | None


class Promotion(Answer):
    """A run that somebody wants to be the county's roll, and what a second person said."""

    id: UUID
    run_id: UUID
    status: PromotionStatus
    overrides: int = Field(description="so many values of persons are part of it")
    requested_by: str
    requested_at: datetime
    request_reason: str | None
    decided_by: str | None
    decided_at: datetime | None
    decision_reason: str | None


class Posting(Answer):
    """A value file of an approved run; the file is an artifact of the job."""

    id: UUID = Field(description="the job's id")
    run_id: UUID
    promotion_id: UUID
    pair: str
    file_name: str
    href: str
    sha256: str
    bytes: int
    parcels: int
    parcels_left_out: int
    total_value_usd: float
    land_value_usd: float | None
    improvement_value_usd: float | None
    posted_by: str
    posted_at: datetime


class RunHistory(Answer):
    """Who did what with a run, and when."""

    action: str
    by: str
    at: datetime
    job_id: UUID


class ValuationRunDetail(ValuationRun):
    """A run with what it was asked, how good it is, and what became of it."""

    parameters: dict[str, Any]
    prior_basis: PriorBasis | None
    flags: dict[str, int] = Field(description="flagged values by flag")
    refused: dict[str, int] = Field(description="refused parcels by reason")
    model_card: dict[str, Any]
    promotions: list[Promotion]
    postings: list[Posting]
    history: list[RunHistory]


class ValueOverride(Answer):
    """A person's value; `model_value_usd` is what the model said then."""

    id: UUID
    county: str
    parcel_id: str
    tax_year: int
    value_usd: float
    land_value_usd: float | None
    reason: str
    run_id: UUID | None
    model_value_usd: float | None
    created_by: str
    created_at: datetime
    withdrawn_by: str | None
    withdrawn_at: datetime | None
    withdrawal_reason: str | None


class LatestOverride(Answer):
    """A person's value beside the newest of the models."""

    id: UUID
    value_usd: float
    land_value_usd: float | None
    created_at: datetime


class RunValue(Answer):
    """What a run says of one parcel."""

    parcel_id: str
    kind: str
    neighborhood: str | None
    use_code: str | None
    value_usd: float = Field(description="after factors and caps")
    model_value_usd: float | None = Field(description="as the model said")
    uncapped_value_usd: float | None = Field(description="after factors, before caps")
    prior_value_usd: float | None
    change_percent: float | None
    land_value_usd: float | None
    improvement_value_usd: float | None
    low_usd: float
    high_usd: float
    confidence: float
    flags: list[str]
    override_id: UUID | None
    override_value_usd: float | None = Field(description="a person's value, which stands beside `value_usd`")


class RunsQuery(Request):
    """Which runs, the newest first."""

    county: str | None = Field(default=None, pattern=COUNTY_PATTERN)
    tax_year: int | None = Field(default=None, ge=1900, le=2200)
    model: str | None = Field(default=None, max_length=40)
    is_what_if: bool | None = None
    limit: int = Field(default=50, ge=1, le=500)
    cursor: str | None = Field(default=None, max_length=1000)


class RunValuesQuery(Request):
    """Which values of a run, by parcel."""

    flag: ReviewFlag | None = None
    is_flagged: bool | None = None
    neighborhood: str | None = Field(default=None, max_length=100)
    use_code: str | None = Field(default=None, max_length=100)
    parcel_id: str | None = Field(default=None, max_length=100)
    limit: int = Field(default=100, ge=1, le=1_000)
    cursor: str | None = Field(default=None, max_length=1000)


class OverridesQuery(Request):
    """Which values of persons, the newest first."""

    county: str | None = Field(default=None, pattern=COUNTY_PATTERN)
    parcel_id: str | None = Field(default=None, max_length=100)
    tax_year: int | None = Field(default=None, ge=1900, le=2200)
    is_active: bool | None = None
    limit: int = Field(default=50, ge=1, le=500)
    cursor: str | None = Field(default=None, max_length=1000)


class PostedQuery(Request):
    """Which parcels of the report, by parcel."""

    status: PostedStatus | None = None
    limit: int = Field(default=100, ge=1, le=1_000)
    cursor: str | None = Field(default=None, max_length=1000)


class PostedParcel(Answer):
    """What was posted of a parcel beside what the record has of it now."""

    parcel_id: str
    status: PostedStatus
    reason: str | None = Field(
        description="of missing: not_in_record, inactive, other_tax_year, value_missing; of different: the fields"
    )
    posted_usd: float
    posted_land_usd: float | None
    posted_improvement_usd: float | None
    found_usd: float | None
    found_land_usd: float | None
    found_improvement_usd: float | None
    found_tax_year: int | None


class PostingCheck(Answer):
    """What one synchronisation had brought back of a posting, when it ended."""

    operation_id: UUID
    sequence: int | None
    checked_at: datetime
    matched: int
    different: int
    missing: int
    found_usd: float | None


class PostedReport(Answer):
    """What the next synchronisation brought back of a posting, parcel by parcel."""

    posting: Posting
    is_synchronized: bool = Field(description="false: the source has not been read since, so every parcel is pending")
    verified_through: datetime | None = Field(description="what the source held then is in the record")
    counts: dict[PostedStatus, int]
    posted_usd: float
    found_usd: float | None = Field(description="the same parcels in the record now")
    checks: list[PostingCheck] = Field(
        default_factory=list, description="after each synchronisation until all matched, the newest first"
    )
    items: list[PostedParcel]
    next: str | None = None


class ComparisonOptions(Request):
    """How a comparison is shown."""

    movers: int = Field(default=20, ge=0, le=100, description="so many of the largest changes, with reasons")


class ComparisonQuery(ComparisonOptions):
    """The body of `query.valuation.comparison.<county>`."""

    run_id: UUID
    other_run_id: UUID


class ChangeSummary(Answer):
    """How the values of some parcels differ between two runs; sums are of parcels that both have."""

    parcels: int
    increased: int
    decreased: int
    unchanged: int
    total_usd: float
    other_total_usd: float
    change_usd: float
    change_percent: float | None = Field(description="of the totals; null where the first is zero")
    median_change_percent: float | None


class ChangeReason(Answer):
    """What a change is made of; all reasons of a parcel add up to its change."""

    name: str = Field(description="a model's part, a characteristic, `what_if_factor` or `cap`")
    change_usd: float


class Mover(Answer):
    """A parcel whose value differs much."""

    parcel_id: str
    neighborhood: str | None
    use_code: str | None
    value_usd: float
    other_value_usd: float
    change_usd: float
    change_percent: float | None
    reasons: list[ChangeReason] = Field(description="the largest first")


class RunComparison(Answer):
    """Two runs side by side: `other` against the first."""

    run_id: UUID
    other_run_id: UUID
    only_in_run: int
    only_in_other: int
    overall: ChangeSummary
    percentiles: dict[str, float] = Field(description="of the change in percent: p05 to p95")
    histogram: dict[str, int] = Field(description="parcels by change in percent")
    by_neighborhood: dict[str, ChangeSummary]
    by_use_code: dict[str, ChangeSummary]
    differences: dict[str, tuple[Any, Any]] = Field(description="what the runs were asked and made from differently")
    movers: list[Mover]
