"""The field catalogue: what every canonical field is called, means and measures.

One entry per column of the published views. Reports, lists and exports name fields only through it,
so a label, a unit or a Shapefile name is decided once.
"""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class DataType(StrEnum):
    """Kinds of value a canonical field holds."""

    TEXT = "text"
    INTEGER = "integer"  # 32-bit whole number
    NUMBER = "number"  # double precision
    MONEY = "money"  # numeric(14, 2)
    DATE = "date"
    TIMESTAMP = "timestamp"  # with time zone, UTC
    BOOLEAN = "boolean"
    DOCUMENT = "document"  # JSON


ShapefileName = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]{0,9}$")]
"""A dBASE column name: at most ten characters of A-Z, 0-9 and underscore."""


class CatalogField(BaseModel):
    """One canonical field."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    label: str
    data_type: DataType
    short_name: ShapefileName
    unit: str | None = None
    personal_data: bool = False


class Dataset(BaseModel):
    """A published view with its fields; `key` identifies a row within the county."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    label: str
    view: str
    key: tuple[str, ...]
    fields: tuple[CatalogField, ...]

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        names = [field.name for field in self.fields]
        short_names = [field.short_name for field in self.fields]
        if len(set(names)) < len(names) or len(set(short_names)) < len(short_names):
            raise ValueError(f"dataset {self.name} repeats a field name or a short name")
        if not set(self.key) <= set(names):
            raise ValueError(f"dataset {self.name} has a key that is not one of its fields")
        return self

    def field(self, name: str) -> CatalogField | None:
        """The field called `name`, or None."""
        return next((field for field in self.fields if field.name == name), None)


def _field(
    name: str,
    label: str,
    data_type: DataType,
    short_name: str,
    *,
    unit: str | None = None,
    personal: bool = False,
) -> CatalogField:
    return CatalogField(
        name=name, label=label, data_type=data_type, short_name=short_name, unit=unit, personal_data=personal
    )


_TEXT, _INTEGER, _NUMBER = DataType.TEXT, DataType.INTEGER, DataType.NUMBER
_MONEY, _DATE, _BOOLEAN = DataType.MONEY, DataType.DATE, DataType.BOOLEAN

PARCELS = Dataset(
    name="parcels",
    label="Parcels",
    view="ingest.parcel_v1",
    key=("parcel_id",),
    fields=(
        _field("parcel_id", "Parcel id (source key)", _TEXT, "PARCEL_ID"),
        _field("parcel_number", "Parcel number", _TEXT, "PARCEL_NO"),
        _field("tax_year", "Tax year", _INTEGER, "TAX_YEAR"),
        _field("supplement", "Supplement", _INTEGER, "SUPPLEMENT"),
        _field("is_active", "Active", _BOOLEAN, "IS_ACTIVE"),
        _field("property_type", "Property type", _TEXT, "PROP_TYPE"),
        _field("use_code", "Use code", _TEXT, "USE_CODE"),
        _field("neighborhood", "Neighborhood", _TEXT, "NBHD"),
        _field("zoning", "Zoning", _TEXT, "ZONING"),
        _field("situs_address", "Situs address", _TEXT, "SITUS_ADDR"),
        _field("situs_city", "Situs city", _TEXT, "SITUS_CITY"),
        _field("situs_zip", "Situs ZIP code", _TEXT, "SITUS_ZIP"),
        _field("legal_description", "Legal description", _TEXT, "LEGAL_DESC"),
        _field("land_value_usd", "Assessed land value", _MONEY, "LAND_VAL", unit="USD"),
        _field("improvement_value_usd", "Assessed improvement value", _MONEY, "IMPRV_VAL", unit="USD"),
        _field("total_value_usd", "Assessed total value", _MONEY, "TOTAL_VAL", unit="USD"),
        _field("market_value_usd", "Market value", _MONEY, "MARKET_VAL", unit="USD"),
        _field("taxable_value_usd", "Taxable value", _MONEY, "TAXABL_VAL", unit="USD"),
        _field("prior_total_value_usd", "Prior assessed total value", _MONEY, "PRIOR_VAL", unit="USD"),
        _field("cost_approach_value_usd", "Cost approach value", _MONEY, "COST_VAL", unit="USD"),
        _field("income_approach_value_usd", "Income approach value", _MONEY, "INCOME_VAL", unit="USD"),
        _field("market_approach_value_usd", "Market approach value", _MONEY, "MKTAPP_VAL", unit="USD"),
        _field("last_sale_date", "Last sale date", _DATE, "SALE_DATE"),
        _field("last_sale_price_usd", "Last sale price", _MONEY, "SALE_PRICE", unit="USD"),
        _field("year_built", "Year built", _INTEGER, "YEAR_BUILT"),
        _field("effective_year_built", "Effective year built", _INTEGER, "EFF_YEAR"),
        _field("living_area_sqft", "Living area", _NUMBER, "LIVING_SF", unit="ft2"),
        _field("land_area_sqft", "Land area", _NUMBER, "LAND_SF", unit="ft2"),
        _field("bedrooms", "Bedrooms", _NUMBER, "BEDROOMS"),
        _field("bathrooms", "Bathrooms", _NUMBER, "BATHROOMS"),
        _field("stories", "Stories", _NUMBER, "STORIES"),
        _field("building_class", "Building class (quality grade)", _TEXT, "BLDG_CLASS"),
        _field("condition", "Condition", _TEXT, "CONDITION"),
        _field("attributes", "Other attributes", DataType.DOCUMENT, "ATTRIBUTES"),
        _field("longitude", "Longitude", _NUMBER, "LONGITUDE", unit="degree"),
        _field("latitude", "Latitude", _NUMBER, "LATITUDE", unit="degree"),
        _field("updated_at", "Updated at", DataType.TIMESTAMP, "UPDATED_AT"),
    ),
)

SALES = Dataset(
    name="sales",
    label="Sales",
    view="ingest.sale_v1",
    key=("sale_id", "parcel_id"),
    fields=(
        _field("sale_id", "Sale id", _TEXT, "SALE_ID"),
        _field("parcel_id", "Parcel id (source key)", _TEXT, "PARCEL_ID"),
        _field("sale_date", "Sale date", _DATE, "SALE_DATE"),
        _field("sale_price_usd", "Sale price", _MONEY, "SALE_PRICE", unit="USD"),
        _field("adjusted_price_usd", "Adjusted sale price", _MONEY, "ADJ_PRICE", unit="USD"),
        _field("deed_type", "Deed type", _TEXT, "DEED_TYPE"),
        _field("validity_code", "Validity code", _TEXT, "VALIDITY"),
        _field("is_qualified", "Qualified", _BOOLEAN, "QUALIFIED"),
        _field("parcel_count", "Parcels in the sale", _INTEGER, "PARCEL_CNT"),
        _field("recorded_date", "Recorded date", _DATE, "REC_DATE"),
        _field("living_area_sqft", "Living area as sold", _NUMBER, "LIVING_SF", unit="ft2"),
        _field("land_area_sqft", "Land area as sold", _NUMBER, "LAND_SF", unit="ft2"),
        _field("year_built", "Year built as sold", _INTEGER, "YEAR_BUILT"),
        _field("updated_at", "Updated at", DataType.TIMESTAMP, "UPDATED_AT"),
    ),
)

OWNERS = Dataset(
    name="owners",
    label="Owners",
    view="ingest.owner_v1",
    key=("parcel_id", "tax_year", "owner_id"),
    fields=(
        _field("parcel_id", "Parcel id (source key)", _TEXT, "PARCEL_ID"),
        _field("tax_year", "Tax year", _INTEGER, "TAX_YEAR"),
        _field("owner_id", "Owner id", _TEXT, "OWNER_ID", personal=True),
        _field("name", "Owner name", _TEXT, "OWNER_NAME", personal=True),
        _field("mailing_address", "Mailing address", _TEXT, "MAIL_ADDR", personal=True),
        _field("ownership_percent", "Ownership", _NUMBER, "OWNER_PCT", unit="percent"),
    ),
)

DATASETS = {dataset.name: dataset for dataset in (PARCELS, SALES, OWNERS)}
