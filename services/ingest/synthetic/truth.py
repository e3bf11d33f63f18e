"""What the synthetic county is, as its maker knows it: the answer book that checks read."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from contracts.quarantine import QuarantineRule

type_cell = str | int | float | bool | None


class _Fact(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DirtyRow(_Fact):
    """A source row that breaks exactly one rule, by the value of one field."""

    table: str
    key: dict[str, type_cell]
    rule: QuarantineRule
    field: str
    value: type_cell


class RowChange(_Fact):
    """One write: `c` inserts `key` and `fields`, `u` sets `fields`, `d` deletes the row."""

    table: str
    op: Literal["c", "u", "d"]
    key: dict[str, type_cell]
    fields: dict[str, type_cell] = {}


class ExpectedFact(_Fact):
    """A canonical fact that must come of a change: its subject without the county, and its id.

    The id is the prop_id for `parcel.*` and `owner.changed`, the chg_of_owner_id for `sale.*`.
    """

    subject: Literal["parcel.changed", "parcel.removed", "sale.recorded", "sale.changed", "owner.changed"]
    id: str


class PlantedChange(_Fact):
    """One thing that happened at the county: its writes, and the facts that must come of them, none else."""

    name: str
    rows: list[RowChange]
    facts: list[ExpectedFact]


class Expected(_Fact):
    """Counts that hold after the first synthesis, before any planted change.

    Parcels are R and MH that are not inactive, in the working layer of the tax year (prop_supp_assoc). Counts
    include dirty rows unless they say clean. A parcel is dirty when a row of its own is: property, value,
    land, building, ownership or polygon. A sale is dirty when its row, or its tie to a parcel, is.
    """

    active_real_parcels: int
    inactive_properties: int
    personal_properties: int
    clean_parcels: int
    accepted_supplements: int
    pending_supplements: int
    future_year_properties: int
    deeds: int
    sales: int
    clean_sales: int
    qualified_sales: int
    qualified_single_parcel_sales: int
    multi_parcel_sales: int
    neighborhoods: int
    market_value_usd: int
    rows: dict[str, int]


class Truth(_Fact):
    """The answer book of one synthetic county.

    `neighborhood_effects` are in ln dollars, `price_noise_sd` in ln dollars, `process` as `prices.PriceProcess`.
    A sale is qualified when sl_county_ratio_cd is '100', which here agrees with sale_ratio_type.invalid_sale
    being false or the code null. Sale characteristics of the first parcel are in the sale row.
    """

    county: str
    seed: int
    tax_year: int
    parcels: int
    sales: int
    srid: int
    monthly_trend_percent: float
    price_noise_sd: float
    process: dict[str, float | list[float]]
    neighborhood_effects: dict[str, float]
    assessment_level: float
    assessment_regressivity: float
    never_read: dict[str, str]
    expected: Expected
    dirty_rows: list[DirtyRow]
    incremental_changes: list[PlantedChange]
