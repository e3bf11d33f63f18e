"""What the valuation says beside its jobs' facts: what persons decided about runs and values.

Reasons that persons write stay in the record; accounts are named, as in a job's `requested_by`.
"""

from typing import ClassVar
from uuid import UUID

from pydantic import Field

from contracts.api.sales_review import SaleVerdict
from contracts.events.base import Event
from contracts.subjects import fact_subject


class ValuationFact(Event):
    """A decision about values."""

    fact: ClassVar[str]

    tax_year: int
    job_id: UUID = Field(description="the job that did it, or that it is about")

    @property
    def subject(self) -> str:
        """The fact's grammar: `valuation.run_promoted.benton`."""
        return fact_subject("valuation", self.fact, self.county)


class RunFact(ValuationFact):
    """A fact of one run."""

    run_id: UUID

    @property
    def subject_id(self) -> str:
        """The run's id."""
        return str(self.run_id)


class PromotionFact(RunFact):
    """A fact of a promotion."""

    promotion_id: UUID
    requested_by: str = Field(description="the account that asked")


class ValuationPromotionRequested(PromotionFact):
    """Somebody wants a run to be the roll; another person has to decide."""

    fact = "promotion_requested"
    subjects = ("valuation.promotion_requested.*",)

    parcels: int
    total_value_usd: float
    overrides: int


class ValuationRunPromoted(PromotionFact):
    """A second person approved: the run's values are the county's."""

    fact = "run_promoted"
    subjects = ("valuation.run_promoted.*",)

    approved_by: str = Field(description="the account that approved, never the one that asked")
    parcels: int
    total_value_usd: float
    overrides: int
    values_sha256: str | None


class ValuationPromotionRejected(PromotionFact):
    """A person said no to a run."""

    fact = "promotion_rejected"
    subjects = ("valuation.promotion_rejected.*",)

    rejected_by: str


class ValuationRollPosted(RunFact):
    """A value file of an approved run is ready for the legacy system's import."""

    fact = "roll_posted"
    subjects = ("valuation.roll_posted.*",)

    posting_id: UUID = Field(description="the job's id, whose artifact the file is")
    pair: str
    file_name: str
    sha256: str
    parcels: int
    parcels_left_out: int
    total_value_usd: float


class ValuationRollChecked(RunFact):
    """A synchronisation was laid beside a posting: what came back, what differs, what is missing."""

    fact = "roll_checked"
    subjects = ("valuation.roll_checked.*",)

    posting_id: UUID
    operation_id: UUID = Field(description="the synchronisation, which is its job's id")
    pair: str
    matched: int
    different: int
    missing: int


class OverrideFact(ValuationFact):
    """A fact of a person's value of one parcel."""

    override_id: UUID
    parcel_id: str

    @property
    def subject_id(self) -> str:
        """The parcel's id."""
        return self.parcel_id


class ValuationValueOverridden(OverrideFact):
    """A person gave a parcel a value, beside the model's."""

    fact = "value_overridden"
    subjects = ("valuation.value_overridden.*",)

    value_usd: float
    model_value_usd: float | None
    overridden_by: str


class ValuationOverrideWithdrawn(OverrideFact):
    """A person's value no longer counts."""

    fact = "override_withdrawn"
    subjects = ("valuation.override_withdrawn.*",)

    withdrawn_by: str


class ValuationSaleDecided(Event):
    """A person said of a sale whether it is evidence of market value; the source's code stays as it is."""

    fact: ClassVar[str] = "sale_decided"
    subjects = ("valuation.sale_decided.*",)

    job_id: UUID = Field(description="the job that entered it")
    sale_id: str
    parcel_id: str
    decision: SaleVerdict
    decided_by: str

    @property
    def subject(self) -> str:
        """The fact's grammar: `valuation.sale_decided.benton`."""
        return fact_subject("valuation", self.fact, self.county)

    @property
    def subject_id(self) -> str:
        """The sale's id."""
        return self.sale_id


VALUATION_EVENTS: tuple[type[Event], ...] = (
    ValuationPromotionRequested,
    ValuationRunPromoted,
    ValuationPromotionRejected,
    ValuationRollPosted,
    ValuationRollChecked,
    ValuationValueOverridden,
    ValuationOverrideWithdrawn,
    ValuationSaleDecided,
)
