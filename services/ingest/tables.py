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


def _of_pair() -> tuple[Column[object], ...]:
    return Column("county", Text, primary_key=True), Column("pair", Text, primary_key=True)


def _of_table() -> tuple[Column[object], ...]:
    return *_of_pair(), Column("source_table", Text, primary_key=True)


def _of_run() -> tuple[Column[object], ...]:
    return (
        Column("county", Text, nullable=False),
        Column("pair", Text, nullable=False),
        Column("run_id", UUID, nullable=False),
    )


def _identified() -> tuple[Column[object], ...]:
    return Column("county", Text, primary_key=True), Column("id", UUID, primary_key=True)


def _links() -> tuple[Column[object], ...]:
    return tuple(Column(f"{name}_id", Text) for name in ("parcel", "sale", "owner", "lot"))


def _row(*, is_key: bool = False) -> tuple[Column[object], ...]:
    values: tuple[Column[object], ...] = tuple(Column(name, Text) for name in ("digest", "image", "personal"))
    return Column("key", Text, nullable=False, primary_key=is_key), *values, *_links()


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
    Column(
        "status",
        Text,
        nullable=False,
        server_default="active",
        comment="active, paused by a person, or held until one decides",
    ),
    Column(
        "fence",
        BigInteger,
        nullable=False,
        server_default="0",
        comment="rises with every owner: a late one changes nothing",
    ),
    Column("lease_owner", Text),
    _moment("lease_expires_at", required=False),
    Column(
        "failures", Integer, nullable=False, server_default="0", comment="failed runs in a row, for the circuit breaker"
    ),
    _moment("retry_at", required=False),
    Column("working_year", Integer, comment="of the last run"),
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
    _moment("started_at", required=False),
    Column("undone_by", UUID),
    Column("certificate_id", UUID),
)

source_row = Table(
    "source_row",
    metadata,
    Column("county", Text, primary_key=True),
    Column("pair", Text, primary_key=True),
    Column("source_table", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("digest", Text, nullable=False, comment="of the normalised row, with what is masked in the image"),
    Column("image", Text, nullable=False, comment="the row as read; names and addresses of people are masked"),
    Column("personal", Text, comment="names and addresses as read; for the record of owners alone"),
    *_links(),
    Column("range_number", Integer, comment="the range of keys it was read in; null: not placed yet"),
    Column(
        "created_sequence",
        BigInteger,
        nullable=False,
        server_default="0",
        comment="the run that brought it; the pair is not there yet: pending",
    ),
    Column(
        "sequence", BigInteger, nullable=False, server_default="0", comment="the run of the pair that changed it last"
    ),
    Column(
        "is_filtered",
        Boolean,
        nullable=False,
        server_default=text("false"),
        comment="left out by the mapping, and landed to know the scope",
    ),
    *(
        Index(
            f"source_row_{name}",
            "county",
            "pair",
            "source_table",
            f"{name}_id",
            postgresql_where=text(f"{name}_id IS NOT NULL"),
        )
        for name in ("parcel", "sale", "owner", "lot")
    ),
    Index("source_row_range", "range_number", "county", "pair", "source_table"),
)

sync_run = Table(
    "sync_run",
    metadata,
    *_of_pair(),
    Column("id", UUID, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("mode", Text, nullable=False),
    Column("rules", Text, nullable=False),
    Column("working_year", Integer, nullable=False),
    Column("phase", Text, nullable=False),
    _moment("started_at"),
    Column("seen_at", DateTime(timezone=True), nullable=False),
    Column("details", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
)

sync_table = Table(
    "sync_table",
    metadata,
    *_of_table(),
    Column("reader", Text, nullable=False),
    Column("content", Text, nullable=False, server_default="row"),
    Column("status", Text, nullable=False),
    Column("token", Text),
    Column("rules", Text),
    Column("columns", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    Column("rows", BigInteger, nullable=False, server_default="0"),
    _moment("verified_through", required=False),
    Column("stopped_code", Text),
    Column("stopped_message", Text),
    Column("token_at", DateTime(timezone=True), comment="when the source gave the token, by its own clock"),
    Column(
        "blind_spots",
        JSONB,
        nullable=False,
        server_default=text("'[]'::jsonb"),
        comment="what its reader cannot see, in words",
    ),
)

sync_range = Table(
    "sync_range",
    metadata,
    *_of_table(),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("lower", JSONB),
    Column("upper", JSONB),
    Column("digest", Text),
)

staged_row = Table(
    "staged_row",
    metadata,
    *_of_run(),
    Column("source_table", Text, nullable=False),
    Column("batch", Integer, nullable=False),
    Column("place", Integer, nullable=False),
    Column(
        "op",
        Text,
        nullable=False,
        comment="c, u, d: to be told; m: only its range changed; x: it left the years that are read",
    ),
    *_row(),
    Column("range_number", Integer),
    Column("is_filtered", Boolean, nullable=False, server_default=text("false")),
    Column("log", JSONB),
    Index("staged_row_run", "county", "pair", "run_id", "source_table", "batch", "place"),
    Index("staged_row_key", "county", "pair", "run_id", "source_table", "key"),
    prefixes=["UNLOGGED"],
)

staged_progress = Table(
    "staged_progress",
    metadata,
    *_of_pair(),
    Column("run_id", UUID, primary_key=True),
    Column("source_table", Text, primary_key=True),
    Column("batch", Integer, primary_key=True, autoincrement=False),
    Column("position", JSONB, nullable=False),
    Column("token", Text),
    Column("ranges", JSONB, nullable=False, server_default=text("'[]'::jsonb")),
    *(Column(f"rows_{name}", BigInteger, nullable=False) for name in ("read", "quarantined", "filtered", "compared")),
    Column("rows_created", BigInteger, nullable=False, server_default="0"),
    Column("is_done", Boolean, nullable=False, server_default=text("false")),
    _moment("staged_at"),
    prefixes=["UNLOGGED"],
)

staged_violation = Table(
    "staged_violation",
    metadata,
    *_of_run(),
    Column("source_table", Text, nullable=False),
    Column("batch", Integer, nullable=False),
    Column("key", Text, nullable=False),
    Column("rule", Text, comment="null: the row was read and is held back no longer"),
    Column("field", Text),
    Column("value", Text),
    Column("source_key", JSONB),
    Index("staged_violation_run", "county", "pair", "run_id", "source_table", "key"),
    prefixes=["UNLOGGED"],
)

row_before = Table(
    "row_before",
    metadata,
    *_of_pair(),
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("source_table", Text, primary_key=True),
    Column("op", Text, nullable=False),
    *_row(is_key=True),
    Column("created_sequence", BigInteger, nullable=False),
    Column("changed_sequence", BigInteger, nullable=False),
    Column("is_filtered", Boolean, nullable=False),
    Column("range_number", Integer),
    Index("row_before_key", "county", "pair", "source_table", "key"),
)

schema_change = Table(
    "schema_change",
    metadata,
    *_of_pair(),
    Column("id", UUID, primary_key=True),
    Column("source_table", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("columns", JSONB, nullable=False),
    _moment("seen_at"),
    Column("operation_id", UUID, nullable=False),
)

certificate = Table(
    "certificate",
    metadata,
    *_identified(),
    Column("pair", Text, nullable=False),
    Column("operation_id", UUID, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("holds", Boolean, nullable=False),
    Column("document", JSONB, nullable=False),
    Column("signature", Text, nullable=False),
    _moment("issued_at"),
    Index("certificate_pair", "county", "pair", "sequence"),
)

approval = Table(
    "approval",
    metadata,
    *_identified(),
    Column("pair", Text, nullable=False),
    Column("operation_id", UUID, nullable=False),
    Column("reason", Text, nullable=False),
    Column("details", JSONB, nullable=False),
    Column("status", Text, nullable=False, server_default="pending"),
    _moment("asked_at"),
    Column("decided_by", Text),
    _moment("decided_at", required=False),
)

contribution = Table(
    "contribution",
    metadata,
    *_of_pair(),
    Column("entity", Text, primary_key=True),
    Column("match_key", Text, primary_key=True),
    Column("fields", JSONB, nullable=False),
    Column("digest", Text, nullable=False),
    Column("origin", Text),
    _moment("updated_at"),
    Column("parcel_key", Text, nullable=False, comment="the pair's own id of the parcel"),
    Column("matches", Text, nullable=False, comment="what its parcel or owner is known by in the record"),
    Index("contribution_parcel", "county", "pair", "parcel_key"),
    Index("contribution_matches", "county", "entity", "matches"),
)

conflict = Table(
    "conflict",
    metadata,
    *_identified(),
    Column("entity", Text, nullable=False),
    Column("entity_id", Text, nullable=False),
    Column("field", Text, nullable=False),
    Column("candidates", JSONB, nullable=False),
    Column("status", Text, nullable=False, server_default="open"),
    Column("choice", Text),
    Column("decided_by", Text),
    _moment("decided_at", required=False),
    _moment("seen_at"),
    Column("operation_id", UUID, nullable=False),
    Index("conflict_subject", "county", "entity", "entity_id"),
    Index(
        "conflict_open", "county", "entity", "entity_id", "field", unique=True, postgresql_where=text("status = 'open'")
    ),
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
    Column("source_key", JSONB, comment="as the source gave it, to ask for the row again; null: not known"),
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
    Column(
        "is_official",
        Boolean,
        nullable=False,
        server_default="false",
        comment="the official layer of the parcel in that year",
    ),
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
    Index("parcel_official", "county", "parcel_id", "tax_year", unique=True, postgresql_where=text("is_official")),
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
