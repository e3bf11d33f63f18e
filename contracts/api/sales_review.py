"""Sales that a person should look at, and what persons said of them; money in USD."""

from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import Field

from contracts.api.base import Answer, Request
from contracts.subjects import COUNTY_PATTERN

FindingReason = Literal[
    "price_too_high",
    "price_too_low",
    "deed_type_below_market",
    "flip",
    "several_parcels",
    "bulk",
    "forced_sale",
    "nonmarket_deed",
    "token_price",
    "built_after_sale",
    "repeated_entry",
]
DecisiveReason = Literal[
    "several_parcels", "forced_sale", "nonmarket_deed", "token_price", "built_after_sale", "repeated_entry"
]
"""Those of a sale itself. The others hold it against what else sold, later too, and so must never move a value."""

SaleVerdict = Literal["valid", "invalid", "needs_more"]
"""What a person says of a sale; `needs_more` leaves it as it was, and in the queue."""

ReviewStatus = Literal["open", "decided", "all"]


class SaleDecisionRequest(Request):
    """The body of `POST /api/v1/sales/{sale_id}/decision`."""

    county: str = Field(pattern=COUNTY_PATTERN)
    decision: SaleVerdict
    reason: str = Field(min_length=3, max_length=500, description="why; stays in the record, no names of people")


class SaleDecisionEntry(Request):
    """What a `decide_sale` job is asked to enter."""

    sale_id: str = Field(min_length=1, max_length=200)
    decision: SaleVerdict
    reason: str = Field(min_length=3, max_length=500)


class SaleFinding(Answer):
    """What is odd about a sale."""

    reason: FindingReason
    strength: float = Field(ge=0, le=1, description="0.5 where it begins to speak, 1 where it leaves no doubt")
    figures: dict[str, Any] = Field(description="what explains it")


class SaleDecision(Answer):
    """What a person said of a sale, of the price that it had then; the source's own code stands beside it."""

    id: UUID = Field(description="the job that entered it")
    decision: SaleVerdict
    reason: str
    decided_by: str
    decided_at: datetime
    is_current: bool = Field(description="false: the source has another price or date since, so it counts no longer")


class ReviewedSale(Answer):
    """A sale with findings, and the newest decision about it."""

    county: str
    sale_id: str
    parcel_id: str
    neighborhood: str | None
    sale_date: date
    sale_price_usd: float | None
    deed_type: str | None
    validity_code: str | None = Field(description="the source's own")
    is_qualified: bool | None = Field(description="by the county's rule, from the source's code")
    expected_price_usd: float | None = Field(description="by a regression on the qualified sales of its kind")
    robust_z: float | None = Field(description="how far the price is from that, in the spread of its place")
    influence_percent: float = Field(description="how far the level of its place moves with it, times strength")
    strength: float
    findings: list[SaleFinding] = Field(description="the strongest first")
    found_at: datetime
    decision: SaleDecision | None


class SalesReviewQuery(Request):
    """Which sales to look at, the most influential first."""

    county: str | None = Field(default=None, pattern=COUNTY_PATTERN)
    status: ReviewStatus = Field(default="open", description="open: nobody decided, or more is needed")
    reason: FindingReason | None = None
    is_qualified: bool | None = Field(default=None, description="by the county's rule")
    neighborhood: str | None = Field(default=None, max_length=100)
    sale_id: str | None = Field(default=None, max_length=200)
    minimum_strength: float = Field(default=0, ge=0, le=1, allow_inf_nan=False)
    limit: int = Field(default=50, ge=1, le=500)
    cursor: str | None = Field(default=None, max_length=1000)
