"""The shape of a county's configuration: `deploy/counties/<county>/county.yaml`."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from contracts.api.gis_export import GisExportSettings
from contracts.api.sales_review import DecisiveReason
from contracts.schedules import Schedule
from contracts.subjects import COUNTY_PATTERN


class Section(BaseModel):
    """A part of a county file: a misspelt key is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class SaleValidity(Section):
    """Which sales count as arm's length, by the source's validity codes."""

    qualified_codes: tuple[str, ...] = Field(description="codes that make a sale qualified")
    null_is_qualified: bool = Field(default=False, description="whether a sale without a code is qualified")
    minimum_price_usd: float = Field(default=0, ge=0, description="cheaper sales are never qualified")


class SaleScrutiny(Section):
    """What statistics may say of sales: a person's decision stands above it, the source's code before it."""

    decisive_reasons: tuple[DecisiveReason, ...] = Field(
        default=("repeated_entry", "several_parcels"),
        description="findings of the sale itself that take it out; the others only ask for a person",
    )
    minimum_strength: float = Field(default=0.9, ge=0.5, le=1, description="of a finding that takes a sale out")
    forced_sale_codes: tuple[str, ...] = Field(
        default=(), description="deed types or validity codes of foreclosures and other sales under force"
    )
    nonmarket_deed_codes: tuple[str, ...] = Field(
        default=(), description="the same of deeds that carry no market price, such as quitclaims"
    )


Aspect = Literal[
    "living_area",
    "land_area",
    "age",
    "bedrooms",
    "bathrooms",
    "stories",
    "quality",
    "condition",
    "use",
    "location",
    "time",
    "distance",
]


class ComparableSettings(Section):
    """How comparables are chosen. What differences are worth in money stays what the market says."""

    emphasis: dict[Aspect, Annotated[float, Field(ge=0, le=10)]] = Field(
        default_factory=dict,
        description="how much a difference counts: 1 (default) as the market has it, 2 twice, 0 not at all",
    )

    @property
    def by_aspect(self) -> dict[str, float]:
        """The emphasis by the name of the aspect."""
        return {str(aspect): weight for aspect, weight in self.emphasis.items()}


class ValuationSettings(Section):
    """Which further attributes of the record models may use. By themselves they use what tells the sales apart."""

    ignore_attributes: tuple[str, ...] = Field(
        default=(), description="never used: what repeats a price or an assessed value, or follows from one"
    )
    use_attributes: tuple[str, ...] = Field(
        default=(), description="used although the name speaks of money, such as market_area"
    )

    @model_validator(mode="after")
    def _says_one_of_each(self) -> Self:
        if both := sorted({*self.ignore_attributes} & {*self.use_attributes}):
            raise ValueError(f"valuation ignores and uses the same attributes: {both}")
        return self


class ReportSettings(Section):
    """What reports say of the county."""

    assessor_office: str = Field(default="Office of the Assessor")
    legal_assessment_level: float = Field(default=1.0, gt=0, le=2, description="assessed over market value by law")
    single_family_use_codes: tuple[str, ...] = ()


class County(Section):
    """One county."""

    county: str = Field(pattern=COUNTY_PATTERN)
    name: str
    state: str = Field(pattern=r"^[A-Z]{2}$")
    epsg: int = Field(description="the CRS of the county's parcel geometry")
    time_zone: str = Field(description="IANA name; source timestamps are local to it")
    tax_year: int | None = Field(default=None, description="null: the newest year in the record")
    data_end: str | None = Field(default=None, description="the last day that the source's sales cover, ISO 8601")
    sale_validity: SaleValidity
    sale_scrutiny: SaleScrutiny = SaleScrutiny()
    comparables: ComparableSettings = ComparableSettings()
    valuation: ValuationSettings = ValuationSettings()
    residential_use_codes: tuple[str, ...] = ()
    vacant_use_codes: tuple[str, ...] = ()
    reports: ReportSettings = ReportSettings()
    gis_export: GisExportSettings = GisExportSettings()
    schedules: tuple[Schedule, ...] = Field(default=(), description="jobs that the platform asks for by itself")

    @model_validator(mode="after")
    def _names_its_schedules_apart(self) -> Self:
        names = [schedule.name for schedule in self.schedules]
        if repeated := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"schedules have the same name: {repeated}")
        return self


class CountyUser(Section):
    """A line of `rbac/<county>_users.json`; passwords never stand there."""

    username: str
    roles: tuple[Literal["system_admin", "county_admin", "assessor", "analyst", "vendor"], ...]
    permissions: tuple[str, ...] = ()
    oidc_subject: str | None = None
