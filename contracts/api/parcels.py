"""The canonical record over HTTP; money in USD, areas in square feet, positions in EPSG:4326 degrees."""

from datetime import date, datetime
from typing import Any, Self
from uuid import UUID

from pydantic import Field, model_validator

from contracts.api.base import Answer, Request
from contracts.api.valuation_runs import LatestOverride
from contracts.subjects import COUNTY_PATTERN


class RecordQuery(Request):
    """What every list of the record may be asked: `county` may be left out by who has only one."""

    county: str | None = Field(default=None, pattern=COUNTY_PATTERN)
    limit: int = Field(default=100, ge=1, le=1000)
    cursor: str | None = Field(default=None, max_length=2000)


class ParcelsQuery(RecordQuery):
    """Which parcels; `q` is a part of the id, the number or the situs address."""

    neighborhood: str | None = Field(default=None, max_length=100)
    use_code: str | None = Field(default=None, max_length=100)
    bbox: str | None = Field(default=None, max_length=200, examples=["-119.4,46.1,-119.1,46.4"])
    q: str | None = Field(default=None, min_length=2, max_length=100)

    @property
    def box(self) -> tuple[float, float, float, float] | None:
        """West, south, east, north in EPSG:4326 degrees."""
        if self.bbox is None:
            return None
        west, south, east, north = (float(number) for number in self.bbox.split(","))
        return west, south, east, north

    @model_validator(mode="after")
    def _box_is_one(self) -> Self:
        try:
            box = self.box
        except ValueError as error:
            raise ValueError("bbox is four numbers: west,south,east,north") from error
        if box and not (-180 <= box[0] <= box[2] <= 180 and -90 <= box[1] <= box[3] <= 90):
            raise ValueError("bbox is west,south,east,north in degrees, with west <= east and south <= north")
        return self


class SalesQuery(RecordQuery):
    """Which sales; dates are sale dates, both included."""

    parcel_id: str | None = Field(default=None, max_length=100)
    from_date: date | None = None
    to_date: date | None = None
    is_qualified: bool | None = None


class ComparablesOptions(Request):
    """How the comparable sales of a parcel are chosen."""

    county: str | None = Field(default=None, pattern=COUNTY_PATTERN)
    comparables: int = Field(default=5, ge=1, le=30)
    valuation_date: date | None = None


class Parcel(Answer):
    """A parcel of the working roll, without its owners."""

    parcel_id: str
    parcel_number: str | None
    tax_year: int
    supplement: int
    is_active: bool
    property_type: str | None
    use_code: str | None
    neighborhood: str | None
    zoning: str | None
    situs_address: str | None
    situs_city: str | None
    situs_zip: str | None
    legal_description: str | None
    land_value_usd: float | None
    improvement_value_usd: float | None
    total_value_usd: float | None
    market_value_usd: float | None
    taxable_value_usd: float | None
    prior_total_value_usd: float | None
    cost_approach_value_usd: float | None
    income_approach_value_usd: float | None
    market_approach_value_usd: float | None
    last_sale_date: date | None
    last_sale_price_usd: float | None
    year_built: int | None
    effective_year_built: int | None
    living_area_sqft: float | None
    land_area_sqft: float | None
    bedrooms: float | None
    bathrooms: float | None
    stories: float | None
    building_class: str | None
    condition: str | None
    attributes: dict[str, Any] | None
    longitude: float | None
    latitude: float | None
    west: float | None
    south: float | None
    east: float | None
    north: float | None
    updated_at: datetime | None


class LatestValue(Answer):
    """What the newest valuation found for a parcel, with its 90 % interval; `run_id` is the job."""

    run_id: UUID
    tax_year: int | None
    valuation_date: date
    model: str
    value_usd: float
    land_value_usd: float | None
    improvement_value_usd: float | None
    low_usd: float | None
    high_usd: float | None
    confidence: float | None
    created_at: datetime
    override: LatestOverride | None = Field(default=None, description="a person's value, which stands beside it")


class Owner(Answer):
    """Personal data: only for callers with `pii:read`."""

    owner_id: str
    name: str | None
    mailing_address: str | None
    ownership_percent: float | None


class ParcelDetail(Parcel):
    """A parcel with its newest value; `owners` is null for callers without `pii:read`."""

    county: str
    latest_value: LatestValue | None
    owners: list[Owner] | None


class Sale(Answer):
    """A sale of a parcel."""

    sale_id: str
    parcel_id: str
    sale_date: date | None
    sale_price_usd: float | None
    adjusted_price_usd: float | None
    deed_type: str | None
    validity_code: str | None
    is_qualified: bool | None
    parcel_count: int | None
    recorded_date: date | None
    living_area_sqft: float | None
    land_area_sqft: float | None
    year_built: int | None
    updated_at: datetime | None


class Neighborhood(Answer):
    """A neighbourhood of the county's appraisers."""

    neighborhood: str
    tax_year: int | None
    name: str | None
