"""The tables that ingest owns: what it has read, what it makes of it, and what it holds back."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, UUID

metadata = MetaData(schema="ingest")


def _money(name: str) -> Column[object]:
    return Column(name, Numeric(14, 2))


def _moment(name: str, *, required: bool = True) -> Column[object]:
    default = text("now()") if required else None
    return Column(name, DateTime(timezone=True), nullable=not required, server_default=default)


sync_pair = Table(
    "sync_pair",
    metadata,
    Column("county", Text, primary_key=True),
    Column("pair", Text, primary_key=True),
    Column("reader", Text, nullable=False),
    Column("tables", JSONB, nullable=False),
    Column("sequence", BigInteger, nullable=False, server_default="0", comment="counts the applied operations"),
    Column("last_operation_id", UUID),
    _moment("last_synchronized_at", required=False),
)

sync_operation = Table(
    "sync_operation",
    metadata,
    Column("county", Text, primary_key=True),
    Column("id", UUID, primary_key=True, comment="the id of its job"),
    Column("pair", Text, nullable=False),
    Column("mode", Text, nullable=False),
    Column("reader", Text, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    *(
        Column(name, BigInteger, nullable=False)
        for name in ("rows_read", "rows_applied", "rows_unchanged", "rows_quarantined", "rows_filtered")
    ),
    Column("changes", BigInteger, nullable=False),
    Column("events", BigInteger, nullable=False),
    Column("details", JSONB, nullable=False),
    _moment("finished_at"),
)

source_row = Table(
    "source_row",
    metadata,
    Column("county", Text, primary_key=True),
    Column("pair", Text, primary_key=True),
    Column("source_table", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("digest", Text, nullable=False, comment="of the normalised row, with what is masked in the image"),
    Column("image", JSONB, nullable=False, comment="the row as read; names and addresses of people are masked"),
)

quarantine = Table(
    "quarantine",
    metadata,
    Column("county", Text, primary_key=True),
    Column("pair", Text, primary_key=True),
    Column("source_table", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("rule", Text, primary_key=True),
    Column("field", Text, nullable=False),
    Column("value", Text, comment="the offending value, masked where it is personal"),
    Column("operation_id", UUID, nullable=False, comment="the operation that saw it last"),
    _moment("first_seen_at"),
    _moment("last_seen_at"),
)

PARCEL_VALUES = (
    "land_value_usd",
    "improvement_value_usd",
    "total_value_usd",
    "market_value_usd",
    "taxable_value_usd",
    "prior_total_value_usd",
    "cost_approach_value_usd",
    "income_approach_value_usd",
    "market_approach_value_usd",
)
PARCEL_TEXTS = (
    "parcel_number",
    "property_type",
    "use_code",
    "neighborhood",
    "zoning",
    "situs_address",
    "situs_city",
    "situs_zip",
    "legal_description",
)

parcel = Table(
    "parcel",
    metadata,
    Column("county", Text, primary_key=True),
    Column("parcel_id", Text, primary_key=True),
    Column("tax_year", Integer, primary_key=True),
    Column("supplement", Integer, primary_key=True),
    Column("pair", Text, nullable=False),
    Column("is_current", Boolean, nullable=False, comment="the working layer of the parcel"),
    Column("is_active", Boolean, nullable=False),
    *(Column(name, Text) for name in PARCEL_TEXTS),
    *(_money(name) for name in PARCEL_VALUES),
    Column("last_sale_date", Date),
    _money("last_sale_price_usd"),
    Column("year_built", Integer),
    Column("effective_year_built", Integer),
    *(Column(name, Double) for name in ("living_area_sqft", "land_area_sqft", "bedrooms", "bathrooms", "stories")),
    Column("building_class", Text),
    Column("condition", Text),
    Column("attributes", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    Column("longitude", Double),
    Column("latitude", Double),
    Column("geometry_wkb", LargeBinary),
    Column("srid", Integer),
    *(Column(name, Double) for name in ("west", "south", "east", "north")),
    _moment("updated_at"),
    Index("parcel_current", "county", "parcel_id", unique=True, postgresql_where=text("is_current")),
)

owner = Table(
    "owner",
    metadata,
    Column("county", Text, primary_key=True),
    Column("parcel_id", Text, primary_key=True),
    Column("tax_year", Integer, primary_key=True),
    Column("owner_id", Text, primary_key=True),
    Column("pair", Text, nullable=False),
    Column("name", Text),
    Column("mailing_address", Text),
    Column("ownership_percent", Double),
    _moment("updated_at"),
)

sale = Table(
    "sale",
    metadata,
    Column("county", Text, primary_key=True),
    Column("sale_id", Text, primary_key=True),
    Column("parcel_id", Text, primary_key=True),
    Column("pair", Text, nullable=False),
    Column("sale_date", Date),
    _money("sale_price_usd"),
    _money("adjusted_price_usd"),
    Column("deed_type", Text),
    Column("validity_code", Text),
    Column("is_qualified", Boolean, nullable=False),
    Column("parcel_count", Integer, nullable=False),
    Column("recorded_date", Date),
    Column("living_area_sqft", Double),
    Column("land_area_sqft", Double),
    Column("year_built", Integer),
    _moment("updated_at"),
    Index("sale_parcel", "county", "parcel_id"),
)

neighborhood = Table(
    "neighborhood",
    metadata,
    Column("county", Text, primary_key=True),
    Column("neighborhood", Text, primary_key=True),
    Column("tax_year", Integer, primary_key=True),
    Column("pair", Text, nullable=False),
    Column("name", Text),
    _moment("updated_at"),
)
