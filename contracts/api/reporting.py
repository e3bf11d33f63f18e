"""What a reporting job may be asked for."""

from datetime import date
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import Field, ValidationInfo, field_validator, model_validator

from contracts.api.base import Request

ReportName = Literal["ratio_study", "abstract_of_values"]
ReportFormat = Literal["pdf", "xlsx", "csv", "html", "json"]
PropertyClass = Literal["single_family_newer", "single_family", "other_residential", "income_producing", "vacant_land"]
RatioStudyGroup = Literal["neighborhood", "use_code", "value_decile", "sale_year", "building_age"]
AbstractGroup = Literal["use_code", "property_type", "neighborhood", "situs_city"]
Code = Annotated[str, Field(min_length=1, max_length=64)]
Codes = Annotated[tuple[Code, ...], Field(max_length=500)]


class RatioStudyArguments(Request):
    """Which sales are set against which values.

    `value_source` names the values under study: those on the roll (`assessed`) or a valuation run's
    (`valuation`; the newest of each parcel where `run_id` is left out). `from_date` and `to_date` are
    sale dates, both included. `property_class` chooses the COD range of IAAO Table 1-3.
    """

    value_source: Literal["assessed", "valuation"] = "assessed"
    run_id: UUID | None = None
    from_date: date | None = None
    to_date: date | None = None
    use_codes: Codes = ()
    neighborhoods: Codes = ()
    minimum_price_usd: float = Field(default=0.0, ge=0, le=1e12, allow_inf_nan=False)
    qualified_only: bool = True
    trim_outliers: bool = False
    confidence_level: float = Field(default=0.95, ge=0.5, le=0.999, allow_inf_nan=False)
    property_class: PropertyClass = "single_family"
    group_by: tuple[RatioStudyGroup, ...] = (
        "neighborhood",
        "use_code",
        "value_decile",
        "sale_year",
        "building_age",
    )

    @model_validator(mode="after")
    def _dates_and_run_fit(self) -> Self:
        if self.from_date and self.to_date and self.from_date > self.to_date:
            raise ValueError("from_date is after to_date")
        if self.run_id and self.value_source != "valuation":
            raise ValueError("run_id needs value_source valuation")
        return self


class AbstractOfValuesArguments(Request):
    """Which parcels of the working roll are added up, and by what."""

    use_codes: Codes = ()
    neighborhoods: Codes = ()
    include_inactive: bool = False
    group_by: tuple[AbstractGroup, ...] = Field(default=("use_code", "property_type"), min_length=1)


ReportArguments = RatioStudyArguments | AbstractOfValuesArguments
ARGUMENTS: dict[str, type[RatioStudyArguments] | type[AbstractOfValuesArguments]] = {
    "ratio_study": RatioStudyArguments,
    "abstract_of_values": AbstractOfValuesArguments,
}


class ReportingParameters(Request):
    """A report, the format it is wanted in, and its own arguments."""

    report: ReportName
    format: ReportFormat = "pdf"
    arguments: ReportArguments = Field(default_factory=dict, validate_default=True)

    @field_validator("arguments", mode="before")
    @classmethod
    def _arguments_are_the_reports_own(cls, value: Any, info: ValidationInfo) -> Any:
        """Validate against the named report's model, so that errors name its fields and no other's."""
        model = ARGUMENTS.get(info.data.get("report", ""))
        if model is None:  # the report's own error is the one to show
            return RatioStudyArguments()
        if isinstance(value, model):
            return value
        return model.model_validate(value)
